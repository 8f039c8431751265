/** Stands in for systemd: a `systemd-notify` in PATH that writes down what it was told. */
import { once } from 'node:events';
import { appendFileSync, readFileSync, watch } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface FakeManager {
  readonly env: NodeJS.ProcessEnv;
  /** The arguments of each call, in order; calls that began. */
  readonly said: () => string[];
  /** Resolves when what was said holds. */
  readonly until: (holds: (said: string[]) => boolean) => Promise<void>;
}

/** `then`: shell lines after the call was written down. */
export async function fakeManager(t: TestContext, then = ''): Promise<FakeManager> {
  const folder = await mkdtemp(join(tmpdir(), 'mgpu-notify-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const calls = join(folder, 'calls');
  appendFileSync(calls, '');
  const script = `#!/bin/sh\nIFS='|'\nprintf '%s\\n' "$*" >> '${calls}'\n${then}\n`;
  await writeFile(join(folder, 'systemd-notify'), script, { mode: 0o755 });
  const said = () => readFileSync(calls, 'utf8').split('\n').slice(0, -1);
  return {
    env: { PATH: `${folder}:/usr/bin:/bin`, NOTIFY_SOCKET: '/nowhere' },
    said,
    async until(holds) {
      const changes = watch(folder);
      const limit = AbortSignal.timeout(10_000);
      while (!holds(said())) await once(changes, 'change', { signal: limit });
      changes.close();
    },
  };
}
