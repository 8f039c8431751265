/** Which daemon a client command talks to: `--url`, `$MGPU_URL`, the configured address, the usual one. Keeps nothing. */
import { readFile } from 'node:fs/promises';
import { findConfigurationFile } from '../config/find.js';
import { UsageError } from './failures.js';

export interface DaemonAddress {
  /** Without a trailing slash. */
  readonly url: string;
  /** Where it is from, for people. */
  readonly source: string;
}

const USUAL: DaemonAddress = { url: 'http://127.0.0.1:8770', source: 'nowhere (it is the usual one)' };

/** Throws UsageError. */
export async function findDaemon(option: string | undefined, env: NodeJS.ProcessEnv): Promise<DaemonAddress> {
  if (option !== undefined) return { url: checkedUrl(option, '--url'), source: '--url' };
  const named = env.MGPU_URL;
  if (named !== undefined && named !== '') return { url: checkedUrl(named, '$MGPU_URL'), source: '$MGPU_URL' };
  return (await configuredAddress(env)) ?? USUAL;
}

function checkedUrl(text: string, source: string): string {
  const parsed = URL.canParse(text) ? new URL(text) : null;
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol) || parsed.search + parsed.hash !== '') {
    throw new UsageError(`${source}: not an address of a daemon; write for instance http://127.0.0.1:8770`);
  }
  return parsed.href.replace(/\/+$/, '');
}

/**
 * Reads `bind` and nothing else of the file: a command that asks must start fast, and work while another line of the
 * file is wrong. null: no file, or none that tells.
 */
async function configuredAddress(env: NodeJS.ProcessEnv): Promise<DaemonAddress | null> {
  const { file } = await findConfigurationFile({ env });
  // What is wrong with the file is for `serve` and `check` to say; asking goes to the usual address then.
  const text = file === null ? null : await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  const { readDocument } = await import('../config/document.js');
  const { readBindAddress } = await import('../config/values.js');
  const bind = firstOf(readDocument(text, env).data);
  if (bind === null) return null;
  const reading = readBindAddress(bind);
  if ('wrong' in reading || reading.value.port === 0) return null;
  return { url: urlOf(reading.value), source: `bind in ${file}` };
}

function firstOf(data: unknown): string | null {
  const bind: unknown = typeof data === 'object' && data !== null && 'bind' in data ? data.bind : null;
  const first: unknown = Array.isArray(bind) ? bind[0] : bind;
  return typeof first === 'string' ? first : null;
}

/** A wildcard address is where one listens, not where one asks. */
function urlOf({ host, port }: { readonly host: string; readonly port: number }): string {
  const asked = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${asked.includes(':') ? `[${asked}]` : asked}:${port}`;
}
