/** Where wrk is missing: the same load from Node. Arguments: URL, connections, seconds. Prints what post.lua prints. */
import { Agent, request } from 'node:http';
import { quantile } from './statistics.js';

const [url = '', connections = '64', seconds = '1'] = process.argv.slice(2);
const BODY = '{"model":"small","messages":[{"role":"user","content":"hello"}]}';
const HEADERS = { 'Content-Type': 'application/json', 'Content-Length': BODY.length };
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) });
const startedAt = performance.now();
const endAt = startedAt + Number(seconds) * 1000;
const latenciesMs: number[] = [];
let failed = 0;

function once(): Promise<void> {
  return new Promise((resolve) => {
    const sentAt = performance.now();
    const fail = () => {
      failed += 1;
      resolve();
    };
    const asked = request(url, { method: 'POST', headers: HEADERS, agent }, (answer) => {
      answer.resume();
      answer.once('error', fail);
      answer.once('end', () => {
        latenciesMs.push(performance.now() - sentAt);
        if (answer.statusCode !== 200) failed += 1;
        resolve();
      });
    });
    asked.once('error', fail);
    asked.end(BODY);
  });
}

async function keepAsking(): Promise<void> {
  while (performance.now() < endAt) await once();
}

await Promise.all(Array.from({ length: Number(connections) }, keepAsking));
const took = (performance.now() - startedAt) / 1000;
const [p50Ms, p99Ms] = [quantile(latenciesMs, 0.5), quantile(latenciesMs, 0.99)];
console.log(JSON.stringify({ requests: latenciesMs.length, seconds: took, failed, p50Ms, p99Ms }));
agent.destroy();
