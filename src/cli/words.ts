/** Figures and texts as people read them on a terminal; unknown is a dash, never 0. Owns no state. */

export const UNKNOWN = '—';

/** `8.9` */
export const gib = (mib: number | null): string => (mib === null ? UNKNOWN : (mib / 1024).toFixed(1));

/** `0.3 s`, `12 s`, `59 min`, `3 h`, `2 d`; below ten seconds with a decimal. */
export function duration(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 120 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** `, about 4.0 s more`; nothing where nobody knows. */
export function expectedWait(ms: number | null): string {
  if (ms === null) return '';
  return ms < 100 ? ', any moment now' : `, about ${duration(ms)} more`;
}

/** `2.1`: seconds, for a column that names the unit. */
export function seconds(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  return ms < 99_950 ? (ms / 1000).toFixed(1) : String(Math.round(ms / 1000));
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `14:03:02`, local. */
export function clockTime(wallMs: number | null): string {
  if (wallMs === null) return UNKNOWN;
  const date = new Date(wallMs);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `2026-11-25 14:03:02`, local. */
export function dateAndTime(wallMs: number | null): string {
  if (wallMs === null) return UNKNOWN;
  const date = new Date(wallMs);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockTime(wallMs)}`;
}

export const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;

/** At most `width` characters; what is missing shows as an ellipsis. */
export function cut(text: string, width: number): string {
  const characters = [...text];
  if (characters.length <= width) return text;
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`;
}

/** Cut and filled up to exactly `width`. */
export function cell(text: string, width: number, side: 'left' | 'right' = 'left'): string {
  const fitting = cut(text, width);
  const filling = ' '.repeat(Math.max(0, width - [...fitting].length));
  return side === 'left' ? fitting + filling : filling + fitting;
}

/** Breaks between words, and inside one that is longer than a line; every line begins with `indent`. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const room = Math.max(8, width - indent.length);
  const lines: string[] = [];
  let line = '';
  for (const part of text.split(/\s+/).flatMap((word) => pieces(word, room))) {
    const longer = line === '' ? part : `${line} ${part}`;
    if ([...longer].length > room) {
      lines.push(line);
      line = part;
    } else {
      line = longer;
    }
  }
  if (line !== '') lines.push(line);
  return lines.map((each) => indent + each);
}

function pieces(word: string, room: number): string[] {
  const characters = [...word];
  const count = Math.ceil(characters.length / room);
  return Array.from({ length: count }, (_, index) => characters.slice(index * room, (index + 1) * room).join(''));
}

/** Names of models and texts of services come from outside: nothing in them may steer the terminal. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\uFFFD');
