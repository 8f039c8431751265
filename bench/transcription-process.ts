/** Takes forms of any size and says how many bytes came. Argument: its port. */
import { createServer } from 'node:http';

createServer({ requestTimeout: 0 }, (req, res) => {
  let sizeBytes = 0;
  req.on('data', (piece: Buffer) => {
    sizeBytes += piece.length;
  });
  req.once('end', () => {
    const answer = req.method === 'POST' ? { text: `${sizeBytes} bytes` } : { data: [{ id: 'm' }] };
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
