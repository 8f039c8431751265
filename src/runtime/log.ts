/**
 * The log: one line a fact; JSON for programs, readable on a terminal. Owns the level and what is blotted out. Writes
 * synchronously and without a worker, so that the last line before an end is not lost.
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
  const destination = options.destination ?? fileDestination({ dest: STDOUT, sync: true });
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
  return Object.entries(fields).some(
    ([name, value]) => (typeof value === 'object' && value !== null) || SECRET_NAMES.has(name),
  );
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
