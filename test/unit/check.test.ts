/** `mgpu check`: exit codes, where what is printed, and the shipped configuration. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkCommand } from '../../src/cli/check.js';
import { KIND_DEFAULTS } from '../support/kind-defaults.js';

async function check(file: string | undefined, options: { explain?: boolean; env?: NodeJS.ProcessEnv } = {}) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const { explain = false, env = {} } = options;
  const code = await checkCommand({ file, explain, env, stdout, stderr, kinds: KIND_DEFAULTS });
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-check-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

async function fileWith(t: TestContext, content: string | Uint8Array): Promise<string> {
  const file = join(await folderFor(t), 'consumers.yaml');
  await writeFile(file, content);
  return file;
}

const GOOD =
  'policy: locked\nconsumers:\n  ollama: { kind: ollama, pin: true, headers: { Authorization: "Bearer XSECRETX" } }\n';

test('the shipped configuration is good, and nothing is to be warned of', async () => {
  const file = fileURLToPath(new URL('../../../config/consumers.yaml', import.meta.url));
  const { code, stderr, stdout } = await check(file);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /good, 4 consumers, policy vram-lru$/m);
});

test('a good file: 0, the answer on stdout, warnings on stderr', async (t) => {
  const file = await fileWith(t, GOOD);
  const { code, stdout, stderr } = await check(file);
  assert.equal(code, 0);
  assert.equal(stdout, `${file}: good, 1 consumer, policy locked, 1 warning\n`);
  assert.match(stderr, new RegExp(`^${file}:3:27 consumers\\.ollama\\.pin: warning: no effect: [^\\n]+\\n$`));
});

test('a bad file: 1, every problem on stderr with file, line and column, nothing on stdout', async (t) => {
  const file = await fileWith(t, 'polcy: x\nconsumers: { a: { kind: olama } }\n');
  const { code, stdout, stderr } = await check(file);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.deepEqual(stderr.split('\n'), [
    `${file}:1:1 polcy: unknown key; did you mean "policy"?`,
    `${file}:2:25 consumers.a.kind: not one of the known words; did you mean "ollama"?`,
    `${file}: refused, 2 problems`,
    '',
  ]);
});

test('--explain shows every value with its origin, and no secret', async (t) => {
  const file = await fileWith(t, GOOD);
  const { stdout } = await check(file, { explain: true, env: { HOME: '/h' } });
  assert.match(stdout, /^queue\.max: 500 +# default$/m);
  assert.match(stdout, /^consumers\.ollama\.pin: true +# consumers\.yaml:3:32$/m);
  assert.match(stdout, /^consumers\.ollama\.url: http:\/\/127\.0\.0\.1:11434 +# kind ollama$/m);
  assert.match(stdout, /^consumers\.ollama\.headers\.Authorization: \(hidden\) +# consumers\.yaml:3:/m);
  assert.doesNotMatch(stdout, /XSECRETX/);
});

test('no file: 2, and the three places that were looked at', async (t) => {
  const folder = await folderFor(t);
  const { code, stderr } = await check(undefined, { env: { XDG_CONFIG_HOME: folder } });
  assert.equal(code, 2);
  assert.match(stderr, /--config/);
  assert.match(stderr, /\$MGPU_CONFIG/);
  assert.ok(stderr.includes(join(folder, 'mgpumanager', 'consumers.yaml')));
});

test('the file is looked for as named, then in $MGPU_CONFIG, then in the XDG folder', async (t) => {
  const folder = await folderFor(t);
  const usual = join(folder, 'mgpumanager', 'consumers.yaml');
  await mkdir(join(folder, 'mgpumanager'));
  await writeFile(usual, 'consumers: {}\n');
  const named = await fileWith(t, GOOD);
  const XDG_CONFIG_HOME = folder;
  assert.ok((await check(undefined, { env: { XDG_CONFIG_HOME } })).stdout.startsWith(`${usual}: good`));
  assert.ok(
    (await check(undefined, { env: { HOME: '/none', XDG_CONFIG_HOME, MGPU_CONFIG: named } })).stdout.startsWith(named),
  );
  const env = { XDG_CONFIG_HOME, MGPU_CONFIG: '/nowhere' };
  assert.ok((await check(named, { env })).stdout.startsWith(named));
});

test('a named file that cannot be read is bad, and says why', async (t) => {
  const folder = await folderFor(t);
  const missing = await check(join(folder, 'none.yaml'));
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /none\.yaml:1:1: there is no such file; create it/);
  assert.match((await check(folder)).stderr, /is a folder; name the file in it/);
  assert.match((await check(await fileWith(t, new Uint8Array([0x61, 0xff])))).stderr, /is not UTF-8 text/);
  assert.match((await check(await fileWith(t, '#'.repeat(2 ** 20 + 1)))).stderr, /larger than 1 MiB/);
});
