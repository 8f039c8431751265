/**
 * Real reverse proxies in front of the real daemon, configured exactly as docs/operations.md says: the blocks are read
 * from there, only the addresses are exchanged.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.js';
import { type Call, openStandIn, type StandIn } from '../support/stand-in.js';
import { type BrokerProcess, oneConsumer, startBroker } from './broker-process.js';
import { ask, endChild, eventually, ROOT } from './programs.js';

const REQUESTS = 600;
const AT_ONCE = 24;
const UPLOAD_BYTES = 20 * 1024 * 1024;

interface ReverseProxy {
  readonly name: string;
  /** The language of its block in docs/operations.md. */
  readonly block: string;
  /** A whole configuration file, and the command that serves it in the foreground. */
  wrap(block: string, folder: string): string;
  command(file: string): readonly [string, ...string[]];
}

const REVERSE_PROXIES: readonly ReverseProxy[] = [
  {
    name: 'nginx',
    block: 'nginx',
    wrap: (block, folder) => {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      const paths = temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n');
      const owner = process.getuid?.() === 0 ? 'user root;' : '';
      return `${owner}\ndaemon off;\npid ${folder}/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n${paths}\n${block}}\n`;
    },
    command: (file) => ['nginx', '-c', file, '-e', 'stderr'],
  },
  {
    name: 'HAProxy',
    block: 'haproxy',
    wrap: (block) => block,
    command: (file) => ['haproxy', '-db', '-f', file],
  },
];

function documentedBlock(language: string): string {
  const text = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const [, block] = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text) ?? [];
  assert.ok(block !== undefined, `docs/operations.md has a block for ${language}`);
  return block;
}

/** Its URL; ended after the test. */
async function startInFront(t: TestContext, proxy: ReverseProxy, broker: BrokerProcess): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-front-'));
  const address = `127.0.0.1:${await freePort()}`;
  const block = documentedBlock(proxy.block)
    .replaceAll('127.0.0.1:8770', broker.address)
    .replaceAll('127.0.0.1:8080', address);
  const file = join(folder, 'configuration');
  writeFileSync(file, proxy.wrap(block, folder));
  const [command, ...args] = proxy.command(file);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  t.after(async () => {
    await endChild(child);
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://${address}`;
  await eventually(`${proxy.name} answers at ${url}`, 60_000, async () => {
    if (child.exitCode !== null) throw new Error(`${proxy.name} ended with ${child.exitCode}: ${said}`);
    return (await ask(`${url}/readyz`)).status === 200 ? true : undefined;
  });
  return url;
}

const post = (url: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}/v1/llm`, { method: 'POST', body: '{}', ...init });

/** A request that the stand-in answers by itself: a health probe, or a job that wants it so. */
const answersItself = ({ req }: Call): boolean => req.method === 'GET' || req.headers['x-at-once'] !== undefined;

/** The next request that waits for the test's answer. */
async function nextJob(standIn: StandIn): Promise<Call> {
  let call = await standIn.next();
  while (answersItself(call)) call = await standIn.next();
  return call;
}

for (const proxy of REVERSE_PROXIES) {
  test(`behind ${proxy.name}`, { timeout: 300_000 }, async (t) => {
    const standIn = await openStandIn(t, (call) => {
      if (answersItself(call)) call.res.end('{"done":true}');
    });
    const broker = await startBroker(t, oneConsumer(standIn.url));
    const url = await startInFront(t, proxy, broker);

    await t.test('pieces of an event stream arrive one by one', async () => {
      const [answer, call] = await Promise.all([
        post(url),
        nextJob(standIn).then((call) => {
          call.res.writeHead(200, { 'content-type': 'text/event-stream' });
          call.res.write('data: 0\n\n');
          return call;
        }),
      ]);
      const reader = (answer.body ?? assert.fail('no body')).pipeThrough(new TextDecoderStream()).getReader();
      for (let number = 1; number <= 5; number += 1) {
        // The next piece is sent only once the one before has come: a proxy that gathers them would hang here.
        assert.equal((await reader.read()).value, `data: ${number - 1}\n\n`);
        call.res.write(`data: ${number}\n\n`);
      }
      await reader.read();
      call.res.end();
      assert.equal((await reader.read()).done, true);
    });

    await t.test(`${REQUESTS} requests, ${AT_ONCE} at once, over pooled connections: none fails`, async () => {
      let left = REQUESTS;
      const statuses = new Map<number, number>();
      const work = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          const answer = await post(url, { headers: { 'x-at-once': 'yes' } });
          await answer.arrayBuffer();
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      assert.deepEqual([...statuses], [[200, REQUESTS]]);
    });

    await t.test('a large body without a length arrives byte for byte', async () => {
      const body = randomBytes(UPLOAD_BYTES);
      const stream = new Blob([body]).stream();
      const [answer, received] = await Promise.all([
        post(url, { body: stream, duplex: 'half' }),
        nextJob(standIn).then(async (call) => {
          const bytes = await call.body;
          call.res.end('taken');
          return bytes;
        }),
      ]);
      assert.equal(await answer.text(), 'taken');
      const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
      assert.equal(digest(received), digest(body));
    });

    await t.test('a client that leaves in mid-answer ends the work of the consumer', async () => {
      const gone = new AbortController();
      const answering = post(url, { signal: gone.signal });
      const call = await nextJob(standIn);
      call.res.write('first');
      const answer = await answering;
      gone.abort();
      await assert.rejects(answer.text());
      assert.deepEqual(await call.closed, { complete: false });
    });

    await t.test('an answer that the consumer broke off is seen as broken', async () => {
      const answering = post(url);
      const call = await nextJob(standIn);
      call.res.write('half of it');
      const answer = await answering;
      call.res.destroy();
      await assert.rejects(answer.text());
    });
  });
}
