/** The tarball that `npm pack` makes, installed into an empty folder as somebody else would, and used there. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../support/free-port.js';
import { listAt, textAt } from '../support/json-value.js';
import { openStandIn } from '../support/stand-in.js';
import { eventually, mustRun, ROOT, runProgram } from './programs.js';

const SENTENCE = 'the quick brown fox';
/** Promised to a newcomer. */
const ADDRESS_BOUND_MS = 20_000;
/** 16 bits, and no demo voice has fewer samples a second. */
const HALF_A_SECOND_BYTES = 8_000;

/** Command lines of processes that run something below the folder; a defunct process has none. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLine(pid))
    .filter((line) => line.includes(folder));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // It ended meanwhile.
  }
}

/** The lines that the demo prints below a comment. */
function block(printed: string, comment: string): string {
  const found = printed.split(/\n\n/).find((part) => part.trimStart().startsWith(`# ${comment}`));
  return found ?? assert.fail(`no lines for "${comment}" in:\n${printed}`);
}

/** Runs them as a person would, in a shell. Returns what came out, piece by piece as it came. */
async function pasteBlock(printed: string, comment: string, folder: string): Promise<readonly string[]> {
  const shell = spawn('sh', ['-e', '-c', block(printed, comment)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    signal: AbortSignal.timeout(60_000),
  });
  const pieces: string[] = [];
  shell.stdout.setEncoding('utf8').on('data', (text: string) => pieces.push(text));
  assert.deepEqual(await once(shell, 'close'), [0, null], pieces.join(''));
  return pieces;
}

test('the packed tarball runs elsewhere', { timeout: 300_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-package-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const npx = (...words: string[]) => runProgram('npx', ['--no', 'mgpu', ...words], { cwd: folder });

  await t.test('it holds what is needed to run, and no tests', async () => {
    const packed: unknown = JSON.parse(
      await mustRun('npm', ['pack', '--json', '--pack-destination', folder], { cwd: ROOT }),
    );
    const paths = listAt(packed, 0, 'files').map((file) => textAt(file, 'path'));
    for (const wanted of [
      'dist/src/cli/main.js',
      'config/consumers.yaml',
      'examples/wa.sh',
      'systemd/mgpumanager.service',
    ]) {
      assert.ok(paths.includes(wanted), wanted);
    }
    assert.deepEqual(
      paths.filter((path) => /(^|\/)test\//.test(path)),
      [],
    );
    await mustRun('npm', ['init', '--yes'], { cwd: folder });
    const tarball = join(folder, textAt(packed, 0, 'filename'));
    await mustRun('npm', ['install', '--no-audit', '--no-fund', tarball], { cwd: folder });
  });

  await t.test('check says where a file is wrong', async () => {
    assert.equal((await npx('check', 'node_modules/mgpumanager/config/consumers.yaml')).status, 0);
    writeFileSync(join(folder, 'wrong.yaml'), 'rotes: { llm: ollama }\nconsumers:\n  ollama: { kind: ollama }\n');
    const outcome = await npx('check', 'wrong.yaml');
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /wrong\.yaml:1:1 rotes: .*routes/);
  });

  await t.test('the demo does what its lines to paste say, and leaves nothing behind', async (t) => {
    // A group of its own, so that the interrupt reaches all of it, as Ctrl-C in a terminal does.
    const startedAt = performance.now();
    const demo = spawn('npx', ['--no', 'mgpu', 'demo', '--port', '0'], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(demo, 'exit');
    const pid = demo.pid ?? assert.fail('npx did not start');
    t.after(() => {
      if (demo.exitCode === null && demo.signalCode === null) process.kill(-pid, 'SIGKILL');
    });
    let printed = '';
    demo.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    const url = await eventually(
      'the demo prints its address',
      ADDRESS_BOUND_MS,
      async () => /http:\/\/127\.0\.0\.1:\d+/.exec(printed)?.[0],
    );
    t.diagnostic(`address after ${Math.round(performance.now() - startedAt)} ms`);
    await eventually('the lines to paste are printed', 5_000, async () => printed.includes('Ctrl-C') || undefined);
    const pasted = (comment: string) => pasteBlock(printed, comment, folder);

    const wav = join(folder, 'said.wav');
    await eventually('the sentence is spoken', 60_000, async () => {
      const script = join(folder, 'node_modules/mgpumanager/examples/wa.sh');
      return mustRun('sh', [script, SENTENCE, wav], { env: { ...process.env, MGPU_URL: url } });
    });
    assert.ok(readFileSync(wav).length > HALF_A_SECOND_BYTES);

    await pasted('text to speech');
    const speech = readFileSync(join(folder, 'speech.wav'));
    assert.equal(speech.toString('latin1', 0, 4), 'RIFF');
    assert.ok(speech.length > HALF_A_SECOND_BYTES);
    const heard: unknown = JSON.parse((await pasted('speech to text')).join(''));
    const said = /"text":"([^"]+)"/.exec(block(printed, 'text to speech'))?.[1];
    assert.equal(textAt(heard, 'text').trim(), said);

    const pieces = await pasted('a language model');
    t.diagnostic(`the language model's answer came in ${pieces.length} pieces`);
    assert.ok(pieces.length >= 5, `streamed, not in ${pieces.length} pieces`);
    await pasted('an image');
    assert.equal(readFileSync(join(folder, 'picture.png')).toString('latin1', 1, 4), 'PNG');

    process.kill(-pid, 'SIGINT');
    await ended;
    await eventually('no process of the demo is left', 5_000, async () =>
      processesOf(folder).length === 0 ? true : undefined,
    );
  });
});

test('wa.sh', { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-wa-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const speak = (url: string, ...words: string[]) =>
    runProgram('sh', [join(ROOT, 'examples/wa.sh'), ...words], { cwd: folder, env: { ...process.env, MGPU_URL: url } });

  const answers: [string, string][] = [
    ['a path', '{"path": "/audio/one.wav", "seconds": 1}'],
    ['a URL of the service', '{"url":"http://10.0.0.5:8766/audio/one.wav"}'],
    ['a path with escaped slashes', '{"path":"\\/audio\\/one.wav"}'],
  ];
  for (const [form, answer] of answers) {
    await t.test(`fetches the sound where the answer names ${form}`, async (t) => {
      const broker = await openStandIn(t, ({ req, res }) => {
        if (req.method === 'POST') res.end(answer);
        else res.end(req.url === '/audio/one.wav' ? 'RIFF and so on' : 'something else');
      });
      const outcome = await speak(`${broker.url}/`, 'He said "no\\yes"', 'out.wav');
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(readFileSync(join(folder, 'out.wav'), 'utf8'), 'RIFF and so on');
      assert.deepEqual(JSON.parse(String(await broker.calls[0]?.body)), { text: 'He said "no\\yes"' });
    });
  }

  await t.test('says what the broker said when it refuses', async (t) => {
    const error = { message: 'mvoice is down: "refused" (checked 3 s ago)', code: 'consumer_down' };
    const broker = await openStandIn(t, ({ res }) => res.writeHead(503).end(JSON.stringify({ error })));
    const outcome = await speak(broker.url, SENTENCE);
    assert.equal(outcome.status, 1);
    assert.equal(outcome.stderr.trim(), 'wa.sh: mvoice is down: "refused" (checked 3 s ago) (HTTP 503, consumer_down)');
  });

  await t.test('says what to do when nobody answers', async () => {
    const outcome = await speak(`http://127.0.0.1:${await freePort()}`, SENTENCE);
    assert.equal(outcome.status, 3);
    assert.match(outcome.stderr, /is mGPUmanager running there\?/);
  });
});
