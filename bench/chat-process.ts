/** A chat service that answers at once: whole, or as a stream of a few events. Argument: its port. */
import { createServer } from 'node:http';

const STAMP = { id: 'c', created: 1, model: 'm' };
const WHOLE = JSON.stringify({
  ...STAMP,
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
});
const event = (delta: object, finish_reason: string | null): string =>
  `data: ${JSON.stringify({ ...STAMP, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
const FIRST = event({ role: 'assistant', content: 'hello' }, null);
const REST = `${event({}, 'stop')}data: [DONE]\n\n`;

createServer((req, res) => {
  if (req.method !== 'POST') {
    const isSlots = req.url === '/slots';
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(isSlots ? '[]' : '{"data":[{"id":"m"}]}');
    return;
  }
  let body = '';
  req.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  req.once('end', () => {
    if (body.includes('"stream":true')) {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.write(FIRST);
      res.end(REST);
    } else {
      res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(WHOLE) }).end(WHOLE);
    }
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
