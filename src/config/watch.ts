/**
 * Watches the NAME of a file, not the node it stands for today: editors and configuration managers save by renaming a
 * new file over it or by switching a link, and a watch on the old node would be blind from then on.
 *
 * The truth is a look at the name once a second: one `stat` that follows all links, and the content when that differs.
 * `fs.watch` on the folders only makes the next look come sooner. It cannot be the truth: it follows nodes, it sees
 * neither the switch of a link further up nor a folder moved behind it, network and container file systems do not
 * report at all, and the number of watches is limited. A `stat` a second costs nothing that could be measured.
 *
 * Owns its timer and its folder watches. Never judges the content and never gives up.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Log } from '../runtime/ports.js';
import { digestOf } from './load.js';

export interface WatchOptions {
  /** Of what was loaded last (`Loaded.digest`): a change between loading and watching is then not missed. */
  readonly digest?: string;
  /** Between two looks; milliseconds, default 1000. */
  readonly lookMs?: number;
  /** False: only looks. For file systems on which folder watches do harm, and for tests. */
  readonly hints?: boolean;
}

export interface FileWatch {
  /** No call of `onChange` begins after this. */
  close(): void;
}

/** A file that changed less than this ago may be half written: it is read when it has been at rest for so long. */
const SETTLE_MS = 50;
/** A file that is written without end is read all the same after so many looks. */
const MOST_SETTLES = 20;
/** A file that changed so recently can change again without a new time stamp: then its content decides. */
const STAMP_DOUBT_MS = 2_000;

interface Look {
  /** Changes whenever the name may stand for something else. null: there is no file. */
  readonly stamp: string | null;
  readonly changedAtMs: number;
}

async function lookAt(path: string): Promise<Look> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(path, { bigint: true });
    return { stamp: [dev, ino, size, mtimeNs, ctimeNs].join(':'), changedAtMs: Number(ctimeMs) };
  } catch (error) {
    if (isMissing(error)) return { stamp: null, changedAtMs: 0 };
    throw error;
  }
}

const MISSING = 'is missing';

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error));

/** The folder of the name and the folder of what it stands for; those that exist. */
async function foldersOf(path: string): Promise<string[]> {
  const target = await realpath(path).catch(() => path);
  return [...new Set([dirname(path), dirname(target)])];
}

/** Calls `onChange` after each change of the file's content, one call at a time, for ever. Never throws. */
export function watchFile(
  file: string,
  onChange: () => void | Promise<void>,
  log: Log,
  options: WatchOptions = {},
): FileWatch {
  const path = resolve(file);
  const { lookMs = 1_000, hints = true } = options;
  const watchers = new Map<string, FSWatcher>();
  /** undefined: nothing is known yet; null: there was no file when the watch began. */
  let digest: string | null | undefined = options.digest;
  let stamp: string | null | undefined;
  let trouble: string | null = null;
  let closed = false;
  /** The next look is to come soon. */
  let hinted = false;
  let settles = 0;
  let timer: NodeJS.Timeout | null = null;

  /** One line when a trouble begins, none while it lasts, one when it is over. */
  function report(now: string | null): void {
    if (now === trouble) return;
    if (now !== null) log.warn({ file: path }, `configuration file ${now}; the configuration in force stays`);
    else log.info({ file: path }, 'configuration file can be read again');
    trouble = now;
  }

  /** Makes the next look come soon, once: a folder that is always busy must not put it off for ever. */
  function hint(): void {
    if (!hinted && timer !== null) wait(SETTLE_MS);
    hinted = true;
  }

  /** Folder watches follow nodes as well, so they are laid anew after every change. */
  async function layHints(): Promise<void> {
    for (const watcher of watchers.values()) watcher.close();
    watchers.clear();
    for (const folder of await foldersOf(path)) {
      if (closed) return;
      try {
        const watcher = watch(folder, { persistent: false }, hint);
        watcher.on('error', (error) =>
          log.debug({ file: path, error: String(error) }, 'folder watch ended; looks go on'),
        );
        watchers.set(folder, watcher);
      } catch (error) {
        log.debug({ file: path, error: String(error) }, 'no folder watch; looks go on');
      }
    }
  }

  async function look(): Promise<void> {
    const seen = await lookAt(path);
    const isNew = seen.stamp !== stamp;
    if (isNew && Date.now() - seen.changedAtMs < SETTLE_MS && settles < MOST_SETTLES) {
      settles += 1;
      hinted = true;
      return;
    }
    settles = 0;
    if (isNew && hints) await layHints();
    if (seen.stamp === null) {
      stamp = null;
      digest ??= null;
      report(MISSING);
      return;
    }
    if (!isNew && Date.now() - seen.changedAtMs > STAMP_DOUBT_MS) return;
    const now = digestOf(await readFile(path));
    stamp = seen.stamp;
    report(null);
    const changed = digest !== undefined && now !== digest;
    digest = now;
    if (changed && !closed) await tell();
  }

  async function tell(): Promise<void> {
    try {
      await onChange();
    } catch (error) {
      log.error({ file: path, error: String(error) }, 'the change of the configuration file could not be applied');
    }
  }

  function wait(waitMs: number): void {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(turn, waitMs);
  }

  function turn(): void {
    timer = null;
    hinted = false;
    look()
      // Between the look and the reading the file can go away: that is no other trouble than a missing one.
      .catch((error: unknown) => report(isMissing(error) ? MISSING : `cannot be read (${codeOf(error)})`))
      .finally(() => {
        if (!closed) wait(hinted ? SETTLE_MS : lookMs);
      });
  }

  turn();
  return {
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}
