/**
 * A terminal that is drawn over in place, or a plain output where every drawing follows the one before. Owns the
 * cursor and the alternate screen while it is open, and gives both back however the process ends.
 */
import type { Writable } from 'node:stream';
import { cut, harmless } from './words.js';

export interface ScreenOutput extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface Screen {
  /** Characters in a line: those of the terminal, at most 160; 80 where there is none. */
  width(): number;
  draw(lines: readonly string[]): void;
  close(): void;
}

const USUAL = 80;
/** Beyond it, the eye loses the line. */
const WIDEST = 160;
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE_END = '\x1b[K';
const CLEAR_TO_END = '\x1b[J';

export const widthOf = (output: ScreenOutput): number => Math.min(WIDEST, output.columns || USUAL);

/** For a person or a pipe: what came from outside cannot steer the terminal. */
export const printLines = (output: Writable, lines: readonly string[]): void => {
  output.write(`${lines.map(harmless).join('\n')}\n`);
};

export const openScreen = (output: ScreenOutput): Screen =>
  output.isTTY === true ? new TerminalScreen(output) : new PlainScreen(output);

class PlainScreen implements Screen {
  readonly #output: ScreenOutput;
  #drawn = false;

  constructor(output: ScreenOutput) {
    this.#output = output;
  }

  width(): number {
    return USUAL;
  }

  draw(lines: readonly string[]): void {
    printLines(this.#output, this.#drawn ? ['', '-'.repeat(USUAL), '', ...lines] : lines);
    this.#drawn = true;
  }

  close(): void {}
}

class TerminalScreen implements Screen {
  readonly #output: ScreenOutput;
  #lines: readonly string[] = [];
  #closed = false;

  constructor(output: ScreenOutput) {
    this.#output = output;
    output.write(ENTER);
    output.on('resize', this.#redraw);
    process.once('exit', this.#leave);
  }

  width(): number {
    return widthOf(this.#output);
  }

  draw(lines: readonly string[]): void {
    this.#lines = lines;
    this.#redraw();
  }

  /** One write a drawing, each line erased only behind its new end: nothing is ever blank for a moment. */
  readonly #redraw = (): void => {
    if (this.#closed) return;
    const rows = Math.max(2, this.#output.rows ?? 24);
    const left = this.#lines.length - (rows - 1);
    const shown = left > 0 ? [...this.#lines.slice(0, rows - 2), `… ${left + 1} more lines`] : this.#lines;
    const width = this.#output.columns || USUAL;
    const text = shown.map((line) => `${cut(harmless(line), width)}${CLEAR_LINE_END}\n`).join('');
    this.#output.write(`${HOME}${text}${CLEAR_TO_END}`);
  };

  readonly #leave = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.#output.write(LEAVE);
  };

  close(): void {
    this.#output.off('resize', this.#redraw);
    process.off('exit', this.#leave);
    this.#leave();
  }
}
