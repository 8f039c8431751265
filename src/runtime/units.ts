/**
 * Starts and stops the consumers' systemd user units with `systemctl --user`. Owns no state. Each call is bounded: a
 * `systemctl` that hangs is killed, and whoever waits is told.
 */
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type { ConsumerConfiguration } from '../config/configuration.js';
import type { ConsumerId } from '../core/vocabulary.js';
import type { ConfigurationPort, UnitPort } from './ports.js';

const LOOK_AGAIN_MS = 200;

export interface UnitOptions {
  readonly configuration: ConfigurationPort;
  readonly env: NodeJS.ProcessEnv;
  /** One look at the consumer's health, outside the usual rhythm; true when good. */
  readonly isHealthy: (consumer: ConsumerConfiguration) => Promise<boolean>;
}

export function createUnits(options: UnitOptions): UnitPort {
  return {
    async start(id, timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      const consumer = consumerOf(options, id);
      await systemctl(options.env, ['start', unitOf(consumer)], timeoutMs);
      while (!(await options.isHealthy(consumer))) {
        if (performance.now() >= deadline) {
          throw new Error(`${consumer.unit} runs, but ${consumer.url} was not healthy within ${timeoutMs / 1000} s`);
        }
        await pause(LOOK_AGAIN_MS);
      }
    },
    async stop(id, timeoutMs) {
      await systemctl(options.env, ['stop', unitOf(consumerOf(options, id))], timeoutMs);
    },
  };
}

function consumerOf({ configuration }: UnitOptions, id: ConsumerId): ConsumerConfiguration {
  const consumer = configuration.current().consumers.get(id);
  if (consumer === undefined) throw new Error(`${id} is not in the configuration any more`);
  return consumer;
}

function unitOf(consumer: ConsumerConfiguration): string {
  if (consumer.unit === null) throw new Error(`${consumer.id} has no \`unit\` in the configuration`);
  return consumer.unit;
}

function systemctl(env: NodeJS.ProcessEnv, words: readonly string[], timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { env, timeout: timeoutMs, killSignal: 'SIGKILL' } as const;
    execFile('systemctl', ['--user', ...words], options, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(explain(words, error, stderr, timeoutMs), { cause: error }));
    });
  });
}

function explain(
  words: readonly string[],
  error: { killed?: boolean | undefined; message: string },
  stderr: string,
  timeoutMs: number,
): string {
  const command = `systemctl --user ${words.join(' ')}`;
  if (error.killed) return `\`${command}\` did not return within ${timeoutMs / 1000} s`;
  const said = stderr.trim().split('\n')[0];
  return `\`${command}\` failed: ${said === undefined || said === '' ? error.message : said}`;
}
