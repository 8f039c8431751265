import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { onCards, parseComputeApps } from '../../src/probes/compute-apps.js';
import { ProcessOwners } from '../../src/probes/processes.js';
import { sampleConsumer } from '../support/sample-configuration.js';

/** A `/proc` as proc(5) describes it, of a few processes. */
function pretendProc(t: TestContext) {
  const proc = mkdtempSync(join(tmpdir(), 'mgpu-proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, 'net'));
  writeFileSync(join(proc, 'net/tcp'), 'header\n   0: 0100007F:1FF2 00000000:0000 0A 0:0 0:0 0 0 0 4242 1\n');
  const add = (pid: number, parent: number, facts: { cgroup?: string; name?: string; socket?: number }): void => {
    const folder = join(proc, String(pid));
    mkdirSync(join(folder, 'fd'), { recursive: true });
    const name = facts.name ?? 'python3';
    writeFileSync(join(folder, 'stat'), `${pid} (a (b) ${name}) S ${parent} ${'0 '.repeat(17)}${pid}99 0\n`);
    writeFileSync(join(folder, 'comm'), `${name}\n`);
    writeFileSync(join(folder, 'cmdline'), `${name}\0--serve\0`);
    writeFileSync(join(folder, 'cgroup'), `0::${facts.cgroup ?? '/user.slice'}\n`);
    if (facts.socket !== undefined) symlinkSync(`socket:[${facts.socket}]`, join(folder, 'fd', '3'));
  };
  return { add, owners: new ProcessOwners(proc) };
}

test('the listener of a consumer, and what it started, are the consumer', (t) => {
  const { add, owners } = pretendProc(t);
  add(10, 1, { socket: 4242 });
  add(11, 10, {});
  add(12, 11, {});
  add(20, 1, {});
  owners.configure([sampleConsumer('whisper', { url: 'http://127.0.0.1:8178' })]);
  assert.deepEqual(
    [10, 11, 12, 20, 99].map((pid) => owners.consumerOf(pid)),
    ['whisper', 'whisper', 'whisper', null, null],
  );
});

test('a service of another account is told by its cgroup, a unit of ours by its name, a container by its scope', (t) => {
  const { add, owners } = pretendProc(t);
  add(30, 1, { cgroup: '/system.slice/ollama.service' });
  add(40, 1, { cgroup: '/user.slice/user-1000.slice/user@1000.service/app.slice/comfyui.service' });
  add(41, 1, { cgroup: '/user.slice/user@1000.service/app.slice/not-comfyui.service' });
  add(50, 1, { cgroup: '/system.slice/docker-0f3a.scope' });
  add(60, 1, { name: 'vllm-worker' });
  owners.configure([
    sampleConsumer('ollama', { processes: { cgroup: /ollama\.service/ } }),
    sampleConsumer('comfyui', { unit: 'comfyui.service' }),
    sampleConsumer('boxed', { processes: { cgroup: /docker-0f3a/ } }),
    sampleConsumer('vllm', { processes: { name: /^vllm/ } }),
  ]);
  const owned = [30, 40, 41, 50, 60].map((pid) => owners.consumerOf(pid));
  assert.deepEqual(owned, ['ollama', 'comfyui', null, 'boxed', 'vllm']);
});

const CARD = {
  index: 0,
  uuid: 'GPU-1',
  name: null,
  totalMib: 100,
  usedMib: 50,
  freeMib: 50,
  driverReservedMib: 0,
  utilizationPct: null,
  temperatureC: null,
  powerW: null,
};

test('the list of processes: one line each, words for unknown, and what is no list', () => {
  const parse = (text: string) => {
    const rows = parseComputeApps(text, () => null);
    return rows === null ? null : onCards(rows, [CARD]);
  };
  assert.deepEqual(parse(''), []);
  assert.deepEqual(
    parse('GPU-1, 454, 4610, python3, the second\nGPU-1, 455, [N/A], x\n')?.map(({ pid, usedMib, name }) => [
      pid,
      usedMib,
      name,
    ]),
    [
      [454, 4610, 'python3, the second'],
      [455, null, 'x'],
    ],
  );
  assert.equal(parse('No devices were found'), null);
  assert.equal(parse('GPU-other, 1, 2, x'), null);
});
