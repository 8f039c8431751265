/**
 * The bare relay that the daemon is compared with: `node:http` on both sides, `pipe`, the pool options of the daemon,
 * and nothing else. Arguments: its port, the URL for /v1/llm, the URL for everything else.
 */
import { Agent, createServer, request } from 'node:http';

const [port, small = '', streams = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, timeout: 50, scheduling: 'lifo' });
const [smallTo, streamsTo] = [small, streams].map((url) => new URL(url));

createServer((req, res) => {
  const to = req.url === '/v1/llm' ? smallTo : streamsTo;
  const { method, url, headers } = req;
  const upstream = request({ host: to?.hostname, port: to?.port, method, path: url, headers, agent });
  upstream.once('response', (answer) => {
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    res.flushHeaders();
    answer.on('error', () => res.destroy());
    answer.pipe(res);
  });
  upstream.on('error', () => {
    if (res.headersSent) res.destroy();
    else res.writeHead(502).end();
  });
  res.once('close', () => {
    if (!res.writableFinished) upstream.destroy();
  });
  req.pipe(upstream);
}).listen(Number(port), '127.0.0.1');
