/**
 * The second half of `npm run test:long [-- MINUTES]`: jobs that outlast the five minutes after which many programs give up, in real time:
 * one that runs so long without a byte, and two that wait behind it, whole and streamed. Takes six minutes unless told
 * otherwise, and no processor. Ends with 1 when one of them is not answered as it should be.
 */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startDaemon } from '../../src/main.js';
import { SilentLog } from '../support/silent-log.js';

const minutes = Number(process.argv[2] ?? 6);
const runMs = minutes * 60_000;
const CHAT = { id: 'c', object: 'chat.completion', created: 1, model: 'm' };
const choices = [{ index: 0, message: { role: 'assistant', content: 'late but whole' }, finish_reason: 'stop' }];
const CHUNK = { ...CHAT, object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };

async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of req) text += String(chunk);
  return text;
}

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = await bodyOf(req);
  if (req.method !== 'POST') {
    res.end('{"data":[{"id":"m"}]}');
  } else if (body.includes('"stream":true')) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.end(`data: ${JSON.stringify(CHUNK)}\n\ndata: [DONE]\n\n`);
  } else {
    if (body.includes('slow')) await new Promise((resolve) => setTimeout(resolve, runMs));
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...CHAT, choices }));
  }
}

interface Outcome {
  readonly what: string;
  readonly status: number;
  readonly text: string;
  readonly seconds: number;
}

function ask(url: string, what: string, body: object): Promise<Outcome> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const asked = request(`${url}/v1/chat/completions`, { method: 'POST', headers, agent: false }, (res) => {
      bodyOf(res).then((text) => {
        const seconds = Math.round((performance.now() - startedAt) / 1000);
        resolve({ what, status: res.statusCode ?? 0, text, seconds });
      }, reject);
    });
    asked.once('error', reject);
    asked.end(JSON.stringify(body));
  });
}

function isGood({ status, text }: Outcome, comments: number): boolean {
  if (status !== 200) return false;
  if (!text.startsWith(':') && !text.startsWith('data:')) return text.includes('late but whole');
  return text.endsWith('data: [DONE]\n\n') && (text.match(/^: /gm) ?? []).length >= comments;
}

async function main(): Promise<number> {
  const service = createServer({ requestTimeout: 0 }, (req, res) => void answer(req, res)).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const { port } = service.address() as AddressInfo;
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-long-'));
  const file = join(folder, 'consumers.yaml');
  const consumers = { llama: { kind: 'openai', url: `http://127.0.0.1:${port}` } };
  const settings = { bind: '127.0.0.1:0', policy: 'locked', gpu: { source: 'none' }, state_dir: join(folder, 'state') };
  await writeFile(file, stringify({ ...settings, routes: { llm: 'llama' }, consumers }));
  const daemon = await startDaemon({ source: { file }, env: process.env, log: new SilentLog() });
  try {
    const url = daemon.urls[0] ?? '';
    const running = ask(url, `runs ${minutes} minutes, whole`, { model: 'llama/m', messages: [{ content: 'slow' }] });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const waiting = [
      ask(url, 'waits behind it, whole', { model: 'llama/m', messages: [] }),
      ask(url, 'waits behind it, streamed', { model: 'llama/m', messages: [], stream: true }),
    ];
    // One after 20 s, then one every 15 s.
    const comments = Math.max(0, Math.floor((runMs / 1000 - 20) / 15));
    let isAllGood = true;
    for (const outcome of await Promise.all([running, ...waiting])) {
      const good = isGood(outcome, comments);
      isAllGood &&= good && outcome.seconds >= minutes * 60 - 1;
      const told = good ? 'as it should be' : outcome.text.slice(0, 300);
      console.log(`${outcome.what}: ${outcome.status} after ${outcome.seconds} s, ${told}`);
    }
    return isAllGood ? 0 : 1;
  } finally {
    await daemon.stop();
    service.close();
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
