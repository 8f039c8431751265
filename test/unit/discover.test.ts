import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { parseConfiguration } from '../../src/config/load.js';
import { startComfyui } from '../../src/demo/services/comfyui.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import { startWhisperServer } from '../../src/demo/services/whisper-server.js';
import { kindDefaults } from '../../src/main.js';
import { discover } from '../../src/probes/discover.js';
import { freePort } from '../support/free-port.js';

describe('discover', () => {
  const services: { port: number; close(): Promise<void> }[] = [];
  let ports: Record<string, number>;
  before(async () => {
    const [whisper, ollama, comfyui] = await Promise.all([
      startWhisperServer({ speed: 50 }),
      startOllama({ speed: 50 }),
      startComfyui({ speed: 50 }),
    ]);
    services.push(whisper, ollama, comfyui);
    ports = { 'whisper-server': whisper.port, ollama: ollama.port, comfyui: comfyui.port, mvoice: await freePort() };
  });
  after(() => Promise.all(services.map((service) => service.close())));

  test('recognises the services at their ports and writes a configuration that loads without a complaint', async () => {
    const { found, configText } = await discover({ ports });
    assert.deepEqual(found.map(({ consumer }) => consumer).sort(), ['comfyui', 'ollama', 'whisper-server']);
    const loaded = parseConfiguration(configText, { env: {}, kinds: kindDefaults() });
    assert.ok(loaded.good);
    assert.deepEqual(loaded.configuration.routes, { stt: 'whisper-server', llm: 'ollama', image: 'comfyui' });
  });

  test('what answers and is something else is said, and not served', async () => {
    const other = ports.ollama ?? 0;
    const { found, sentences } = await discover({ ports: { ...ports, comfyui: other, mvoice: other } });
    assert.ok(!found.some(({ consumer }) => consumer === 'comfyui'));
    assert.ok(sentences.some((sentence) => /^comfyui: something answers at .* but it is not comfyui/.test(sentence)));
    assert.ok(sentences.some((sentence) => /^mvoice: something answers at .*; if it is mvoice/.test(sentence)));
  });

  test('a port where nothing listens, and one that says nothing', async () => {
    const mute = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    const address = mute.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { found, sentences } = await discover({
      ports: { 'whisper-server': await freePort(), ollama: port, comfyui: port, mvoice: port },
      timeoutMs: 100,
    });
    mute.closeAllConnections();
    mute.close();
    assert.deepEqual(found, []);
    assert.ok(sentences.some((sentence) => sentence.startsWith('whisper-server: nothing listens at')));
    assert.ok(sentences.some((sentence) => /^ollama: could not tell: no answer to GET/.test(sentence)));
  });

  test('an IPv6 host stands in brackets; what is no host is said, and nothing is found', async () => {
    const closed = await freePort();
    const ports = { 'whisper-server': closed, ollama: closed, comfyui: closed, mvoice: closed };
    const six = await discover({ host: '::1', ports });
    assert.ok(
      six.sentences.every((sentence) => sentence.includes(`[::1]:${closed}`)),
      six.sentences.join('\n'),
    );
    const none = await discover({ host: 'no host', ports });
    assert.deepEqual(none.found, []);
    assert.ok(none.sentences.every((sentence) => /could not tell: the host is neither a name nor/.test(sentence)));
  });
});
