/**
 * `npm run bench:upload`: how much the daemon's memory grows while a form of 200 MB passes whose `model` stands behind
 * the sound, so that nothing can be sent on before all of it is here. A fresh daemon each time. Ends with 1 when the bar
 * is missed.
 */
import { request } from 'node:http';
import { Children } from './children.js';
import { startDaemonProcess } from './daemon-process.js';
import { growthDuring } from './process-figures.js';
import { atMost, printBars, printCircumstances, printTable } from './report.js';

const SOUND_BYTES = 200_000_000;
const PIECE = Buffer.alloc(64 * 1024, 0x5a);
const ROUNDS = 3;
const GROWTH_MIB = 64;
const BOUNDARY = 'openai-bench';
const HEAD = Buffer.from(
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: application/octet-stream\r\n\r\n`,
);
const TAIL = Buffer.from(
  `\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--${BOUNDARY}--\r\n`,
);
const FORM_BYTES = HEAD.length + SOUND_BYTES + TAIL.length;

const children = new Children();

/** `isChunked`: without a length, as Node's SDK sends a file that it reads. */
function upload(url: string, isChunked: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const framing = isChunked ? {} : { 'Content-Length': FORM_BYTES };
    const headers = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}`, ...framing };
    const asked = request(`${url}/v1/audio/transcriptions`, { method: 'POST', headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      answer.once('error', reject);
      answer.once('end', () => {
        if (text === JSON.stringify({ text: `${FORM_BYTES} bytes` })) resolve();
        else reject(new Error(`the form did not arrive whole: ${answer.statusCode} ${text}`));
      });
    });
    asked.once('error', reject);
    asked.write(HEAD);
    let leftBytes = SOUND_BYTES;
    const more = () => {
      while (leftBytes > 0) {
        const piece = leftBytes >= PIECE.length ? PIECE : PIECE.subarray(0, leftBytes);
        leftBytes -= piece.length;
        if (!asked.write(piece)) return;
      }
      asked.off('drain', more).end(TAIL);
    };
    asked.on('drain', more);
    more();
  });
}

async function run(): Promise<number> {
  printCircumstances('200 MB of sound, then the name of the model', [`${ROUNDS} rounds each, a fresh daemon a round`]);
  const service = await children.startScript('transcription-process');
  const rows = [['round', 'with its length, MiB', 'chunked, MiB']];
  let most = 0;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const row = [String(round)];
    for (const isChunked of [false, true]) {
      const config = `aliases: { whisper-1: stt }\nconsumers:\n  stt: { kind: openai, url: "${service.url}" }\n`;
      const { pid, url, end } = await startDaemonProcess(children, 'locked', config);
      const growth = await growthDuring(pid, () => upload(url, isChunked));
      most = Math.max(most, growth);
      row.push(growth.toFixed(1));
      await end();
    }
    rows.push(row);
  }
  printTable(rows);
  return printBars([atMost('growth of resident memory, worst round', most, GROWTH_MIB, 'MiB')]);
}

try {
  process.exitCode = await run();
} finally {
  await children.endAll();
}
