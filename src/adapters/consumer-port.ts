/**
 * Loads, unloads and asks consumers, by what the configuration says, else by what their kind knows. Owns nothing; each
 * call is bounded.
 */
import { execFile } from 'node:child_process';
import type { CallSpec, ConsumerConfiguration, KindName } from '../config/configuration.js';
import type { ConsumerId, Target } from '../core/vocabulary.js';
import type { ConfigurationPort, ConsumerPort } from '../runtime/ports.js';
import type { Adapter } from './adapter.js';
import { askService } from './asking.js';

export interface ConsumerPortOptions {
  readonly configuration: ConfigurationPort;
  readonly adapters: Readonly<Record<KindName, Adapter>>;
  readonly env: NodeJS.ProcessEnv;
}

export function createConsumerPort({ configuration, adapters, env }: ConsumerPortOptions): ConsumerPort {
  const consumerOf = (id: ConsumerId): ConsumerConfiguration => {
    const consumer = configuration.current().consumers.get(id);
    if (consumer === undefined) throw new Error(`${id} is not in the configuration any more`);
    return consumer;
  };
  return {
    async load({ consumer: id, model }: Target, timeoutMs) {
      const consumer = consumerOf(id);
      const adapter = adapters[consumer.kind];
      if (consumer.load !== null) await make(consumer.load, consumer, env, timeoutMs);
      else if (adapter.load !== undefined) await adapter.load(model, consumer, timeoutMs);
      else throw new Error(`${id} loads by its jobs; there is nothing to ask it for beforehand`);
    },
    async unload({ consumer: id, model }: Target, timeoutMs) {
      const consumer = consumerOf(id);
      const adapter = adapters[consumer.kind];
      if (consumer.unload !== null) await make(consumer.unload, consumer, env, timeoutMs);
      else if (adapter.unload !== undefined) await adapter.unload(model, consumer, timeoutMs);
      else throw new Error(`${id} cannot be asked to unload`);
    },
    async ask(id) {
      const consumer = consumerOf(id);
      return (await adapters[consumer.kind].ask?.(consumer)) ?? null;
    },
  };
}

async function make(
  call: CallSpec,
  consumer: ConsumerConfiguration,
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
): Promise<void> {
  if ('command' in call) {
    await runCommand(call.command, env, timeoutMs);
    return;
  }
  const { method, path, body, headers } = call;
  const answer = await askService(consumer, { method, path, headers, timeoutMs, ...(body === null ? {} : { body }) });
  if (answer.status >= 200 && answer.status < 300) return;
  throw new Error(
    `${consumer.id} answered ${answer.status} to ${method} ${path}: ${answer.body.toString('utf8').slice(0, 200)}`,
  );
}

function runCommand(command: readonly string[], env: NodeJS.ProcessEnv, timeoutMs: number): Promise<void> {
  const [program = '', ...words] = command;
  return new Promise((resolve, reject) => {
    execFile(program, words, { env, timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else if (error.killed === true)
        reject(new Error(`\`${command.join(' ')}\` did not end within ${timeoutMs / 1000} s`));
      else
        reject(
          new Error(`\`${command.join(' ')}\` failed: ${stderr.trim().split('\n')[0] || error.message}`, {
            cause: error,
          }),
        );
    });
  });
}
