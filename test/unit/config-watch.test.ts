/** The watch is tied to a name: it sees every way in which people and programs replace a file, for ever. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { digestOf } from '../../src/config/load.js';
import { type WatchOptions, watchFile } from '../../src/config/watch.js';

const V1 = 'consumers: { tts: { url: "http://127.0.0.1:9103" } }\n';
const V2 = `${V1}# and stt\n`;
const V3 = `${V1}# no stt\n`;

/** The promise of the contract for every step. */
const NOTICED_WITHIN_MS = 3_000;

interface Watched {
  readonly folder: string;
  readonly file: string;
  readonly lines: readonly string[];
  readonly seen: readonly string[];
  /** Does the step and waits until the watch told of it and the file then had this content. */
  step(what: string, content: string, act: () => Promise<void>): Promise<void>;
  /** Waits for the next line in the log. */
  nextLine(): Promise<string>;
}

async function watched(t: TestContext, options: WatchOptions, first: string | null = V1): Promise<Watched> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-watch-'));
  const file = join(folder, 'config.yaml');
  if (first !== null) await writeFile(file, first);
  const happened = new EventEmitter();
  const lines: string[] = [];
  const seen: string[] = [];
  const say = (_: object, message: string) => {
    lines.push(message);
    happened.emit('line', message);
  };
  const log = { debug: () => {}, info: say, warn: say, error: say };
  const known = first === null ? {} : { digest: digestOf(Buffer.from(first)) };
  const onChange = async () => {
    seen.push(await readFile(file, 'utf8'));
    happened.emit('change');
  };
  const watch = watchFile(file, onChange, log, { ...known, ...options });
  t.after(async () => {
    watch.close();
    await rm(folder, { recursive: true });
  });
  const signal = () => AbortSignal.timeout(NOTICED_WITHIN_MS);
  return {
    folder,
    file,
    lines,
    seen,
    async step(what, content, act) {
      const limit = signal();
      const told = async () => {
        while (seen.at(-1) !== content) await once(happened, 'change', { signal: limit });
      };
      await act();
      await told().catch(() => assert.fail(`${what} was not noticed within ${NOTICED_WITHIN_MS} ms`));
    },
    async nextLine() {
      const [line] = await once(happened, 'line', { signal: signal() });
      return String(line);
    },
  };
}

async function renameOver(file: string, content: string): Promise<void> {
  await writeFile(`${file}.new`, content);
  await rename(`${file}.new`, file);
}

async function linkOver(target: string, link: string): Promise<void> {
  await symlink(target, `${link}.new`);
  await rename(`${link}.new`, link);
}

/** The seven steps of an editor, a person, a tool that links, and a mounted volume, one after another on one watch. */
async function sevenSteps(w: Watched): Promise<void> {
  const { folder, file } = w;
  await w.step('renaming over', V2, () => renameOver(file, V2));
  await w.step('renaming over a second time', V3, () => renameOver(file, V3));
  await w.step('renaming over a third time', V2, () => renameOver(file, V2));
  await w.step('editing in place', V3, () => writeFile(file, V3));

  const gone = w.nextLine();
  await rm(file);
  assert.match(await gone, /is missing; the configuration in force stays/);
  await w.step('creating anew', V2, () => writeFile(file, V2));
  assert.deepEqual(w.lines, [
    'configuration file is missing; the configuration in force stays',
    'configuration file can be read again',
  ]);

  await writeFile(join(folder, 'v2.yaml'), V2);
  await writeFile(join(folder, 'v3.yaml'), V3);
  await w.step('becoming a link', V3, () => linkOver('v3.yaml', file));
  await w.step('switching the link', V2, () => linkOver('v2.yaml', file));

  await mkdir(join(folder, '..first'));
  await mkdir(join(folder, '..second'));
  await writeFile(join(folder, '..first', 'config.yaml'), V3);
  await writeFile(join(folder, '..second', 'config.yaml'), V2);
  await symlink('..first', join(folder, '..data'));
  await w.step('becoming a link into a linked folder', V3, () => linkOver('..data/config.yaml', file));
  await w.step('switching the folder behind the link', V2, () => linkOver('..second', join(folder, '..data')));
  await w.step('moving the folder behind the link', V3, async () => {
    await rename(join(folder, '..second'), join(folder, '..old'));
    await rename(join(folder, '..first'), join(folder, '..second'));
  });
  await w.step('editing in place behind the links', V1, () => writeFile(join(folder, '..second', 'config.yaml'), V1));
  await w.step('renaming over the link', V2, () => renameOver(file, V2));
}

test('each of the seven ways to replace a file is noticed within 3 s, with the usual settings', async (t) => {
  await sevenSteps(await watched(t, {}));
});

test('each of them is noticed by looking alone, where folders cannot be watched', async (t) => {
  await sevenSteps(await watched(t, { hints: false, lookMs: 10 }));
});

test('folder watches make it quick: a change is told long before the next look is due', async (t) => {
  const w = await watched(t, { lookMs: 60_000 });
  // The first look lays the folder watches; a first step can come before it, a second one cannot.
  await w.step('a first change', V2, () => renameOver(w.file, V2));
  await w.step('a second change', V3, () => writeFile(w.file, V3));
  const elsewhere = join(w.folder, 'elsewhere');
  await mkdir(elsewhere);
  await writeFile(join(elsewhere, 'config.yaml'), V2);
  await w.step('becoming a link', V2, () => linkOver('elsewhere/config.yaml', w.file));
  await w.step('an edit behind the link', V3, () => writeFile(join(elsewhere, 'config.yaml'), V3));
});

test('a change between loading and the beginning of the watch is not missed', async (t) => {
  const w = await watched(t, { digest: digestOf(Buffer.from('what was loaded')) });
  await w.step('the earlier change', V1, async () => {});
});

test('a file that did not exist when the watch began is noticed when it comes', async (t) => {
  const w = await watched(t, { lookMs: 10 }, null);
  await w.step('the file', V1, async () => {
    assert.match(await w.nextLine(), /is missing/);
    await writeFile(w.file, V1);
  });
});

test('saving again what was in the file is no change, and a half-written save is never seen', async (t) => {
  const w = await watched(t, { lookMs: 1 });
  await renameOver(w.file, V1);
  // Not for longer than a file may be without rest before it is read all the same.
  for (let save = 0; save < 50; save += 1) await writeFile(w.file, V1);
  await w.step('the only change', V2, () => renameOver(w.file, V2));
  assert.deepEqual(w.seen, [V2]);
});

test('a link further up that no folder watch sees is noticed by the looks that go on beside them', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-watch-'));
  for (const [name, content] of [
    ['one', V1],
    ['two', V2],
  ] as const) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'config.yaml'), content);
  }
  await symlink('one', join(folder, 'current'));
  const happened = new EventEmitter();
  const silent = () => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const file = join(folder, 'current', 'config.yaml');
  const onChange = () => void happened.emit('change');
  const watch = watchFile(file, onChange, log, { digest: digestOf(Buffer.from(V1)), lookMs: 10 });
  t.after(async () => {
    watch.close();
    await rm(folder, { recursive: true });
  });
  const changed = () => once(happened, 'change', { signal: AbortSignal.timeout(NOTICED_WITHIN_MS) });
  // Once something was seen, the folder watches lie.
  const seen = changed();
  await renameOver(file, V3);
  await seen;
  const switched = changed();
  await linkOver('two', join(folder, 'current'));
  await switched;
});

test('a listener that fails is reported, and the watch goes on', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-watch-'));
  const file = join(folder, 'config.yaml');
  await writeFile(file, V1);
  const happened = new EventEmitter();
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (_: object, message: string) => happened.emit('error line', message),
  };
  const onChange = () => {
    happened.emit('change');
    throw new Error('this listener fails');
  };
  const watch = watchFile(file, onChange, log, { digest: digestOf(Buffer.from(V1)), lookMs: 10 });
  t.after(async () => {
    watch.close();
    await rm(folder, { recursive: true });
  });
  const failed = once(happened, 'error line', { signal: AbortSignal.timeout(NOTICED_WITHIN_MS) });
  await renameOver(file, V2);
  assert.match(String(await failed), /could not be applied/);
  const again = once(happened, 'change', { signal: AbortSignal.timeout(NOTICED_WITHIN_MS) });
  await renameOver(file, V3);
  await again;
});
