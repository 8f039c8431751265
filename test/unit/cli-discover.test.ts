/** What `serve` without a file and `discover` run on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discoverOrRefuse } from '../../src/cli/discover.js';
import { Refusal } from '../../src/cli/failures.js';
import { parseConfiguration } from '../../src/config/load.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import { kindDefaults } from '../../src/main.js';

/** Nobody listens on port 1, so what else runs on this machine does not count. */
const NOBODY = { mvoice: 1, 'whisper-server': 1, ollama: 1, comfyui: 1 };

test('what is found becomes a configuration that is good', async (t) => {
  const ollama = await startOllama({ speed: 50 });
  t.after(() => ollama.close());
  const said: string[] = [];
  const text = await discoverOrRefuse({ ports: { ...NOBODY, ollama: ollama.port } }, (lines) => said.push(...lines));
  assert.ok(
    said.some((line) => line.includes(ollama.url)),
    said.join('\n'),
  );
  const loaded = parseConfiguration(text, { env: {}, kinds: kindDefaults() });
  assert.ok(loaded.good, text);
  assert.deepEqual([...loaded.configuration.consumers.keys()], ['ollama']);
});

test('nothing found is a no, with the smallest file, which is good', async () => {
  const refused = await discoverOrRefuse({ ports: NOBODY }, () => {}).then(
    () => assert.fail('nobody is there'),
    (error: unknown) => error,
  );
  assert.ok(refused instanceof Refusal);
  const smallest = refused.message
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.slice(2));
  const loaded = parseConfiguration(smallest.join('\n'), { env: {}, kinds: kindDefaults() });
  assert.ok(loaded.good, smallest.join('\n'));
});
