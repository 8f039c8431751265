/** Drawing in place on a terminal, and the words and figures that are drawn. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { openScreen } from '../../src/cli/screen.js';
import { cell, cut, duration, gib, seconds, wrap } from '../../src/cli/words.js';

class FakeTerminal extends Writable {
  readonly isTTY = true;
  columns = 30;
  rows = 5;
  readonly writes: string[] = [];

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.writes.push(chunk.toString('utf8'));
    done();
  }
}

test('a drawing is one write from the top, erasing only behind what is new', () => {
  const terminal = new FakeTerminal();
  const screen = openScreen(terminal);
  screen.draw(['one', 'two']);
  screen.close();
  assert.deepEqual(terminal.writes, [
    '\x1b[?1049h\x1b[?25l',
    '\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J',
    '\x1b[?25h\x1b[?1049l',
  ]);
});

test('the cursor comes back once, and nothing is drawn afterwards', () => {
  const terminal = new FakeTerminal();
  const screen = openScreen(terminal);
  screen.close();
  screen.close();
  screen.draw(['late']);
  terminal.emit('resize');
  assert.equal(terminal.writes.length, 2);
});

test('the cursor comes back, too, when the process ends without closing', () => {
  const terminal = new FakeTerminal();
  const before = new Set(process.listeners('exit'));
  openScreen(terminal);
  const added = process.listeners('exit').filter((listener) => !before.has(listener));
  assert.equal(added.length, 1);
  for (const leave of added) {
    leave(0);
    process.off('exit', leave);
  }
  assert.equal(terminal.writes.at(-1), '\x1b[?25h\x1b[?1049l');
});

test('what does not fit is said, not scrolled; a larger window shows more at once', () => {
  const terminal = new FakeTerminal();
  const screen = openScreen(terminal);
  screen.draw(['1', '2', '3', '4', '5', 'x'.repeat(40)]);
  assert.equal(terminal.writes.at(-1), '\x1b[H1\x1b[K\n2\x1b[K\n3\x1b[K\n… 3 more lines\x1b[K\n\x1b[J');
  terminal.rows = 20;
  terminal.emit('resize');
  screen.close();
  assert.match(terminal.writes.at(-2) ?? '', /5.*\nx{29}…/);
});

test('control characters in a line do nothing', () => {
  const terminal = new FakeTerminal();
  const screen = openScreen(terminal);
  screen.draw(['a\x1b[2Jb\r\u009bc']);
  screen.close();
  assert.equal(terminal.writes[1], '\x1b[Ha\uFFFD[2Jb\uFFFD\uFFFDc\x1b[K\n\x1b[J');
});

test('figures: one decimal, a unit, and a dash for what is unknown', () => {
  assert.deepEqual([gib(9120), gib(0), gib(null)], ['8.9', '0.0', '—']);
  assert.deepEqual([seconds(2100), seconds(123_456), seconds(null)], ['2.1', '123', '—']);
  const times = [null, 0, 340, 9_940, 9_960, 119_000, 121_000, 7_300_000, 200_000_000];
  const shown = ['—', '0.0 s', '0.3 s', '9.9 s', '10 s', '119 s', '2 min', '2 h', '2 d'];
  assert.deepEqual(times.map(duration), shown);
});

test('texts are cut, filled and wrapped to a width', () => {
  assert.deepEqual([cut('abcd', 4), cut('abcde', 4), cut('a', 0)], ['abcd', 'abc…', '']);
  assert.deepEqual([cell('ab', 4), cell('ab', 4, 'right'), cell('abcde', 4)], ['ab  ', '  ab', 'abc…']);
  assert.deepEqual(wrap('one two three', 10, '  '), ['  one two', '  three']);
  assert.deepEqual(wrap(`a ${'x'.repeat(25)}`, 10), ['a', 'xxxxxxxxxx', 'xxxxxxxxxx', 'xxxxx']);
  assert.deepEqual(wrap('', 10), []);
});
