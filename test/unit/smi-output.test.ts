/** Reading what `nvidia-smi` prints: numbers, words for numbers, and what stands between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argumentsFor, fieldsToAsk, parseOutput, refusedField } from '../../src/probes/nvidia-smi-output.js';
import { GOOD_ANSWER } from '../support/pretend-smi.js';

const FIELDS = fieldsToAsk(new Set());
const parse = (text: string) => parseOutput(text, FIELDS);

function onlyCard(text: string) {
  const { cards, complaints, otherLines } = parse(text);
  assert.equal(cards.length, 1, text);
  return { card: cards[0], complaints, otherLines };
}

test('one call asks for everything, without header and units', () => {
  assert.deepEqual(argumentsFor(FIELDS), [
    '--query-gpu=index,uuid,memory.total,memory.used,memory.free,memory.reserved,utilization.gpu,temperature.gpu,power.draw,name',
    '--format=csv,noheader,nounits',
  ]);
});

test('a line of plain numbers is read as it stands', () => {
  const { card, complaints } = onlyCard(`${GOOD_ANSWER}\n`);
  assert.deepEqual(card, {
    index: 0,
    uuid: 'GPU-3cd4',
    name: 'NVIDIA H100 80GB HBM3',
    totalMib: 81559,
    usedMib: 9120,
    freeMib: 71959,
    driverReservedMib: 480,
    utilizationPct: 31,
    temperatureC: 54,
    powerW: 210.5,
  });
  assert.deepEqual(complaints, []);
});

for (const word of [
  '[N/A]',
  'N/A',
  '[Not Supported]',
  '[Insufficient Permissions]',
  '[Unknown Error]',
  '',
  'ERR!',
  '0x1F',
  'NaN',
  'Infinity',
  '1e3',
  '-',
]) {
  test(`"${word}" where a number belongs is unknown, never 0`, () => {
    const { card } = onlyCard(`0, GPU-1, ${word}, ${word}, ${word}, ${word}, ${word}, ${word}, ${word}, Card`);
    const { index, uuid, name, ...figures } = card ?? {};
    assert.deepEqual([index, uuid, name], [0, 'GPU-1', 'Card']);
    assert.deepEqual(new Set(Object.values(figures)), new Set([null]));
  });
}

test('unknown utilisation leaves the memory known, and is nothing to complain of', () => {
  const { card, complaints } = onlyCard('0, GPU-1, 24564, 9120, 15064, 380, [N/A], [N/A], [N/A], Card');
  assert.equal(card?.freeMib, 15064);
  assert.equal(card?.utilizationPct, null);
  assert.deepEqual(complaints, []);
});

test('memory that is not told is complained of in the words of the tool', () => {
  const words = '[Insufficient Permissions]';
  const { complaints } = onlyCard(`1, GPU-1, ${words}, ${words}, ${words}, ${words}, 0, 40, 10, Card`);
  assert.deepEqual(complaints, ['card 1: its memory is not told; nvidia-smi says [Insufficient Permissions]']);
});

test('where every column is a word, cards are counted by their lines', () => {
  const line = Array(10).fill('[Not Supported]').join(', ');
  const { cards } = parse(`${line}\n${line}\n`);
  assert.deepEqual(
    cards.map(({ index, uuid, name, totalMib }) => ({ index, uuid, name, totalMib })),
    [0, 1].map((index) => ({ index, uuid: null, name: null, totalMib: null })),
  );
});

test('units are taken off, a header and empty lines are skipped, other lines are kept apart', () => {
  const text = [
    'WARNING: infoROM is corrupted at gpu 0000:02:00.0',
    'index, uuid, memory.total [MiB], memory.used [MiB], memory.free [MiB], memory.reserved [MiB], utilization.gpu [%], temperature.gpu, power.draw [W], name',
    '',
    '0, GPU-1, 24564 MiB, 9120 MiB, 15064 MiB, 380 MiB, 31 %, 54, 210.50 W, Card\r',
    'GPU-1, 454, 4610, python3',
    '',
  ].join('\n');
  const { card, otherLines } = onlyCard(text);
  assert.equal(card?.totalMib, 24564);
  assert.equal(card?.utilizationPct, 31);
  assert.equal(card?.powerW, 210.5);
  assert.equal(card?.name, 'Card');
  assert.deepEqual(otherLines, ['WARNING: infoROM is corrupted at gpu 0000:02:00.0', 'GPU-1, 454, 4610, python3']);
});

test('a number with a unit that does not belong there is unknown', () => {
  assert.equal(onlyCard('0, GPU-1, 24 GiB, 1, 2, 3, 4, 5, 6, Card').card?.totalMib, null);
});

test('a comma in the name does not shift the figures', () => {
  const { card } = onlyCard('0, GPU-1, 100, 10, 90, 0, 1, 2, 3, Card, special edition');
  assert.equal(card?.name, 'Card, special edition');
  assert.equal(card?.powerW, 3);
});

const IMPOSSIBLE: [string, string, string][] = [
  ['more free than there is', '24564, 100, 99999', 'card 0: memory.used or memory.free is larger than memory.total'],
  ['more used than there is', '24564, 99999, 100', 'card 0: memory.used or memory.free is larger than memory.total'],
  [
    'used and free beyond the total',
    '24564, 20000, 20000',
    'card 0: memory.used and memory.free are more than memory.total',
  ],
];
for (const [what, figures, complaint] of IMPOSSIBLE) {
  test(`${what}: both are unknown, and said to be`, () => {
    const { card, complaints } = onlyCard(`0, GPU-1, ${figures}, 0, 1, 2, 3, Card`);
    assert.deepEqual([card?.totalMib, card?.usedMib, card?.freeMib], [24564, null, null]);
    assert.deepEqual(complaints, [complaint]);
  });
}

test('negative and impossible figures are unknown, and said to be', () => {
  const { card, complaints } = onlyCard('0, GPU-1, 24564, -1, 24000, -5, 101, 900, -3, Card');
  assert.deepEqual(
    [card?.usedMib, card?.driverReservedMib, card?.utilizationPct, card?.temperatureC, card?.powerW],
    [null, null, null, null, null],
  );
  assert.equal(card?.freeMib, 24000);
  assert.equal(complaints.length, 5);
});

test('a total of 0 is no total', () => {
  assert.equal(onlyCard('0, GPU-1, 0, 0, 0, 0, 0, 0, 0, Card').card?.totalMib, null);
});

test('a column that was left out of the question is unknown in the answer', () => {
  const fields = fieldsToAsk(new Set(['memory.reserved']));
  assert.equal(fields.includes('memory.reserved'), false);
  const [card] = parseOutput('0, GPU-1, 24564, 9120, 15064, 31, 54, 210.50, Card', fields).cards;
  assert.deepEqual([card?.driverReservedMib, card?.utilizationPct, card?.name], [null, 31, 'Card']);
});

test('the field that an old driver refuses is found in its words; one that is needed is not left out', () => {
  assert.equal(refusedField('Field "memory.reserved" is not a valid field to query.\n\n'), 'memory.reserved');
  assert.equal(refusedField('Field "memory.total" is not a valid field to query.\n\n'), null);
  assert.equal(refusedField('No devices were found\n'), null);
});

test('an endless table is cut', () => {
  const { cards, otherLines } = parse(`${GOOD_ANSWER}\n`.repeat(100));
  assert.equal(cards.length, 64);
  assert.equal(otherLines.length, 36);
});
