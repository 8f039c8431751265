import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumerId } from '../../src/core/vocabulary.js';
import { createProcessUse, useIn } from '../../src/probes/process-use.js';
import { openPretendSmi } from '../support/pretend-smi.js';

const PMON = `# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command
# Idx           #    C/G      %      %      %      %      %      %    name
    0        454     C     87     12      -      -      -      -    ollama
    0        455     C      0      0      -      -      -      -    python3
    0        456     C      -      -      -      -      -      -    python3
    0          -     -      -      -      -      -      -      -    -
`;
const consumerOf = (pid: number) => (pid === 454 ? consumerId('ollama') : pid === 455 ? consumerId('comfyui') : null);

test('who works on the card past us, of those whose processes are known; a dash is no reading', () => {
  assert.deepEqual(
    [...(useIn(PMON, consumerOf) ?? [])],
    [
      ['ollama', true],
      ['comfyui', false],
    ],
  );
});

test('a tool that fails says nothing', async (t) => {
  const smi = await openPretendSmi(t);
  smi.answer(PMON);
  const use = createProcessUse({ env: smi.env, consumerOf });
  assert.equal((await use.look())?.get(consumerId('ollama')), true);
  smi.answer('No devices were found', 6);
  assert.equal(await use.look(), null);
});
