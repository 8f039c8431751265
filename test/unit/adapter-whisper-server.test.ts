/** What is particular to whisper-server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whisperServer } from '../../src/adapters/whisper-server/whisper-server.js';
import { parseConfiguration } from '../../src/config/load.js';
import { askHealth } from '../../src/probes/health-request.js';
import { KIND_DEFAULTS } from '../support/kind-defaults.js';
import { openStandIn } from '../support/stand-in.js';

for (const [status, result] of [
  [200, 'good'],
  [404, 'good'],
  [500, 'bad'],
] as const) {
  test(`by its defaults a health answer of ${status} is ${result}: 404 is an old build, or a model that is swapped`, async (t) => {
    const service = await openStandIn(t, ({ res }) => {
      res.statusCode = status;
      res.end();
    });
    const text = `consumers: { ears: { kind: whisper-server, url: "${service.url}" } }`;
    const kinds = { ...KIND_DEFAULTS, 'whisper-server': whisperServer.defaults };
    const loaded = parseConfiguration(text, { env: {}, kinds });
    assert.ok(loaded.good);
    const [consumer] = loaded.configuration.consumers.values();
    assert.ok(consumer !== undefined);
    const signal = new AbortController().signal;
    assert.equal((await askHealth(consumer, { timeoutMs: 5_000, signal })).result, result);
  });
}
