/**
 * A stand-in as a process of its own, which can be killed as a real service can: `NAME PORT SPEED`. Takes
 * faults from its parent, and ends with it.
 */
import { startLlamaServer } from '../../src/demo/services/llama-server.js';
import { startOllama } from '../../src/demo/services/ollama.js';
import { FAULTS } from '../../src/demo/services/service.js';

const STARTERS = { llama: startLlamaServer, ollama: startOllama };

const [name = '', port = '', speed = ''] = process.argv.slice(2);
process.once('disconnect', () => process.exit(0));
const start = name === 'ollama' ? STARTERS.ollama : STARTERS.llama;
const service = await start({ port: Number(port), speed: Number(speed) });
service.faultPaths = /completions|\/api\/chat/;
process.on('message', (wanted) => {
  service.fault = FAULTS.find((fault) => fault === wanted) ?? null;
  process.send?.('taken');
});
