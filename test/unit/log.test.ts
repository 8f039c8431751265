/** The log: one JSON line a fact, readable on a terminal, and never a key. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { createLog } from '../../src/runtime/log.js';

class Lines {
  readonly written: string[] = [];

  write(line: string): void {
    this.written.push(line);
  }
}

test('one JSON line a fact, with level, time and message', () => {
  const destination = new Lines();
  createLog({ level: 'info', destination, pretty: false }).warn({ job: 'j_1' }, 'job failed');
  assert.equal(destination.written.length, 1);
  assert.match(destination.written[0] ?? '', /\n$/);
  const { time, ...rest } = JSON.parse(destination.written[0] ?? '');
  assert.deepEqual(rest, { level: 'warn', job: 'j_1', msg: 'job failed' });
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

for (const pretty of [false, true]) {
  test(`keys never appear, wherever they are and however they are written (pretty: ${pretty})`, () => {
    const destination = new Lines();
    const log = createLog({ level: 'info', destination, pretty });
    log.info({ authorization: 'SECRET', 'X-Api-Key': 'SECRET', Cookie: 'SECRET', safe: 'shown' }, 'at the top');
    log.info({ req: { headers: { authorization: 'SECRET' } }, res: { 'set-cookie': 'SECRET' } }, 'inside');
    log.info({ a: { b: { headers: { x: 'SECRET' }, Authorization: 'SECRET', 'x-api-key': 'SECRET' } } }, 'deep');
    log.error({ err: Object.assign(new Error('broken'), { headers: { any: 'SECRET' } }) }, 'of an error');
    const text = destination.written.join('');
    assert.ok(!text.includes('SECRET'), text);
    assert.ok(text.includes('shown') && text.includes('broken'), text);
  });
}

test('the level counts from the next line on', () => {
  const destination = new Lines();
  const log = createLog({ level: 'warn', destination, pretty: false });
  log.info({}, 'not this');
  log.setLevel('debug');
  log.debug({}, 'but this');
  log.setLevel('error');
  log.warn({}, 'not this either');
  log.fatal({}, 'and this');
  assert.deepEqual(
    destination.written.map((line) => JSON.parse(line).msg),
    ['but this', 'and this'],
  );
});

test('on a terminal a line is for people', () => {
  const destination = new Lines();
  createLog({ level: 'info', destination, pretty: true }).info({ job: 'j_1' }, 'job done');
  assert.match(destination.written.join(''), /\d\d:\d\d:\d\d.*INFO.*job done.*"job":"j_1"/);
});

/** A process whose stdout is `out` ("pipe": read to its end), and which logs as the daemon does. */
async function runLogger(script: string, out: 'pipe' | number): Promise<{ code: number | null; text: string }> {
  const module = new URL('../../src/runtime/log.js', import.meta.url).href;
  const source = `const { createLog } = await import('${module}'); const log = createLog({ level: 'info', pretty: false }); ${script}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', out, 'inherit'],
    // A log that waits for its stdout would block its process for good.
    timeout: 20_000,
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, text };
}

test('the last line before an end is not lost', async () => {
  const { code, text } = await runLogger("log.info({}, 'first'); log.info({}, 'last'); process.exit(3);", 'pipe');
  assert.equal(code, 3);
  assert.match(text, /first[^\n]*\n[^\n]*last/);
});

test('a disk that is full costs the log, not its process', async (t) => {
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const script =
    "for (let line = 0; line < 1000; line += 1) log.info({}, 'x'.repeat(5000)); setImmediate(() => setImmediate(() => process.exit(3)));";
  assert.equal((await runLogger(script, full)).code, 3);
});
