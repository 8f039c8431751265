/**
 * A service that a pretend unit starts: `node unit-process.js PORT CARD-FOLDER`. Its memory is on the pretend card of the
 * demo from its start to its end, as whisper-server's is.
 */
import { openCard } from '../../src/demo/card.js';
import { startPlain } from '../../src/demo/services/plain.js';

const [port = '', cardFolder = ''] = process.argv.slice(2);
const card = openCard(cardFolder, 'stt');
const service = await startPlain({ name: 'stt', port: Number(port), card, residentMib: 14_000, runMib: 100 });
await service.load();
