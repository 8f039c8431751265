/** Numbers and times as people read them. Unknown is `—`, never 0. Keeps nothing. */

export const UNKNOWN = '—';

export function gib(mib: number | null): string {
  return mib === null ? UNKNOWN : `${(mib / 1024).toFixed(1)} GiB`;
}

/** Amounts in the daemon's sentences, as this page writes them. */
export function inGib(text: string): string {
  return text.replace(/(\d[\d,]*) MiB/g, (_, amount: string) => gib(Number(amount.replaceAll(',', ''))));
}

/** The name says more than the number of a job whose link is elsewhere: `comfyui (j_…)`, `j_… (comfyui)`. */
export function withoutIds(text: string): string {
  return text.replace(/ \(j_\w+\)/g, '').replace(/j_\w+ \(([^)]*)\)/g, '$1');
}

/** `0.8 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d`. */
export function span(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return joined(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return joined(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  return `${Math.round(minutes / 1440)} d`;
}

/** For what is drawn again every second: no tenths that flicker. */
export function wholeSpan(ms: number | null): string {
  return ms === null ? UNKNOWN : ms < 9950 ? `${Math.max(0, Math.floor(ms / 1000))} s` : span(ms);
}

/** The largest unit alone: beside a minute, seconds are noise. */
export function roughSpan(ms: number): string {
  if (ms < 60_000) return wholeSpan(ms);
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockSeconds = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const dayClock = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});

export const timeOfDay = (at: number): string => clock.format(at);
export const timeWithSeconds = (at: number): string => clockSeconds.format(at);

/** The time, with the day where it is not today. */
export function moment(at: number, now: number): string {
  return new Date(at).toDateString() === new Date(now).toDateString() ? timeOfDay(at) : dayClock.format(at);
}

export function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

export function ago(at: number | null, now: number): string {
  if (at === null) return UNKNOWN;
  return now - at < 2000 ? 'just now' : `${roughSpan(now - at)} ago`;
}

export const momentOf = (iso: string | null): number | null => (iso === null ? null : Date.parse(iso));

export function count(amount: number, one: string, many = `${one}s`): string {
  return `${amount.toLocaleString('en-US')} ${amount === 1 ? one : many}`;
}

export function list(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** `CONSUMER` or `CONSUMER/MODEL`. */
export function targetName(consumer: string, model: string | null): string {
  return model === null ? consumer : `${consumer}/${model}`;
}

/** A consumer's name never has a slash, a model's may have. */
export function splitTarget(target: string): { readonly consumer: string; readonly model: string | null } {
  const slash = target.indexOf('/');
  return slash === -1
    ? { consumer: target, model: null }
    : { consumer: target.slice(0, slash), model: target.slice(slash + 1) };
}

export const hostOf = (url: string): string => url.replace(/^https?:\/\//, '');
