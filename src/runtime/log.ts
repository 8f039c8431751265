/**
 * The log: one line a fact; JSON for programs, readable on a terminal. Owns the level and what is blotted out. Writes
 * without a worker, once a turn of the event loop and at the end of the process, so that no line is lost or late.
 */
import {
  type DestinationStream,
  destination as fileDestination,
  type Logger,
  type LoggerOptions,
  pino,
  stdTimeFunctions,
} from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Configuration } from '../config/configuration.js';
import type { Log } from './ports.js';

export type LogLevel = Configuration['log']['level'];

export interface ChangeableLog extends Log {
  /** What the process does not survive. */
  fatal(fields: object, message: string): void;
  /** From the next line on; for a reload. */
  setLevel(level: LogLevel): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** Default: stdout. */
  readonly destination?: DestinationStream;
  /** Default: whether stdout is a terminal. */
  readonly pretty?: boolean;
}

/** Fields that can hold a key, whatever they hold; `headers` as a whole, since a consumer's are secret. */
const SECRET_FIELDS = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'headers'];
/** HTTP field names come in any case; Node gives them in lower case, people write them in title case. */
const titleCase = (name: string): string => name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
const SECRET_NAMES = new Set(SECRET_FIELDS.flatMap((name) => [name, titleCase(name)]));
/** The fields themselves, and inside another one (`err.headers`, `request.options.headers`). */
const DEPTHS = ['', '*', '*.*'];
const STDOUT = 1;

export function createLog(options: LogOptions): ChangeableLog {
  const pretty = options.pretty ?? process.stdout.isTTY === true;
  const destination = options.destination ?? onceATurn();
  const lines = pretty ? prettyLines(destination) : destination;
  const loggerOptions: LoggerOptions = {
    level: options.level,
    // The service manager knows the process and the machine.
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  const plain = pino(loggerOptions, lines);
  const blotting = pino({ ...loggerOptions, redact: { paths: secretPaths(), censor: '(secret)' } }, lines);
  // Looking for secrets at every depth takes longer than all the rest of a line; most lines cannot hold one.
  const loggerFor = (fields: object): Logger => (canHoldSecret(fields) ? blotting : plain);
  return {
    debug(fields, message) {
      // Most of what happens is told at this level, to nobody.
      if (plain.isLevelEnabled('debug')) loggerFor(fields).debug(fields, message);
    },
    info: (fields, message) => loggerFor(fields).info(fields, message),
    warn: (fields, message) => loggerFor(fields).warn(fields, message),
    error: (fields, message) => loggerFor(fields).error(fields, message),
    fatal: (fields, message) => loggerFor(fields).fatal(fields, message),
    setLevel: (level) => {
      plain.level = level;
      blotting.level = level;
    },
  };
}

/** By a field's name, or inside an object. */
function canHoldSecret(fields: object): boolean {
  for (const name in fields) {
    const value: unknown = Reflect.get(fields, name);
    if ((typeof value === 'object' && value !== null) || SECRET_NAMES.has(name)) return true;
  }
  return false;
}

/** What is longer than this goes out at once. Characters. */
const MOST_HELD = 8 * 1024;
/** What a stdout that takes nothing may keep in memory; what comes then is dropped. Bytes. */
const MOST_UNWRITTEN_BYTES = 1024 * 1024;

/** A call of the system for all lines of one turn: under load it costs more than the lines themselves. */
function onceATurn(): DestinationStream {
  const stdout = fileDestination({ dest: STDOUT, sync: true, maxLength: MOST_UNWRITTEN_BYTES });
  // A full disk or a reader that left costs the log, never the broker; there is nowhere left to tell it.
  stdout.on('error', () => {});
  let held = '';
  const flush = () => {
    const lines = held;
    held = '';
    if (lines !== '') stdout.write(lines);
  };
  process.once('exit', flush);
  return {
    write(line) {
      if (held === '') setImmediate(flush);
      held += line;
      if (held.length > MOST_HELD) flush();
    },
  };
}

/** Line by line and at once: the library's own stream hands lines on later, and an exit in between would lose them. */
function prettyLines(destination: DestinationStream): DestinationStream {
  const format = prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', singleLine: true });
  return {
    write(line) {
      const text = format(line);
      if (text !== undefined) destination.write(text);
    },
  };
}

function secretPaths(): string[] {
  return DEPTHS.flatMap((depth) => [...SECRET_NAMES].map((name) => `${depth}["${name}"]`));
}
