/** What AUTOMATIC1111 says when it is asked (read at 1.10.1). Everything rejects as `askService` does. Keeps nothing. */
import { z } from 'zod';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import type { ListedModel } from '../adapter.js';
import { askService } from '../asking.js';

const ANSWER_MS = 5000;

const progressSchema = z.looseObject({
  state: z.looseObject({ job: z.string().default(''), job_count: z.number().default(0) }),
  current_task: z.string().nullish(),
});
const modelsSchema = z.array(z.looseObject({ model_name: z.string().min(1) }));

/** What it works on; null: nothing. A job that failed leaves its name in `current_task`, so the count decides. */
export async function workOf(
  consumer: ConsumerConfiguration,
  timeoutMs = ANSWER_MS,
): Promise<{ readonly task: string | null } | null> {
  const path = '/sdapi/v1/progress?skip_current_image=true';
  const { status, body } = await askService(consumer, { method: 'GET', path, timeoutMs });
  if (status !== 200) throw new Error(`${consumer.id} answered ${status} to GET ${path}`);
  const { state, current_task } = progressSchema.parse(JSON.parse(body.toString('utf8')));
  return state.job_count !== 0 || state.job !== '' ? { task: current_task ?? null } : null;
}

export const isBusy = async (consumer: ConsumerConfiguration, timeoutMs?: number): Promise<boolean> =>
  (await workOf(consumer, timeoutMs)) !== null;

async function tell(consumer: ConsumerConfiguration, path: string, timeoutMs: number): Promise<void> {
  const { status } = await askService(consumer, { method: 'POST', path, timeoutMs });
  if (status !== 200) throw new Error(`${consumer.id} answered ${status} to POST ${path}`);
}

export const unload = (consumer: ConsumerConfiguration, timeoutMs: number): Promise<void> =>
  tell(consumer, '/sdapi/v1/unload-checkpoint', timeoutMs);
export const reload = (consumer: ConsumerConfiguration, timeoutMs: number): Promise<void> =>
  tell(consumer, '/sdapi/v1/reload-checkpoint', timeoutMs);
/** Whatever runs. */
export const interrupt = (consumer: ConsumerConfiguration): Promise<void> =>
  tell(consumer, '/sdapi/v1/interrupt', ANSWER_MS);

/** Its checkpoints, by the names that `override_settings.sd_model_checkpoint` takes. */
export async function listModels(consumer: ConsumerConfiguration, timeoutMs: number): Promise<readonly ListedModel[]> {
  const { status, body } = await askService(consumer, { method: 'GET', path: '/sdapi/v1/sd-models', timeoutMs });
  if (status !== 200) throw new Error(`${consumer.id} answered ${status} to GET /sdapi/v1/sd-models`);
  const models = modelsSchema.parse(JSON.parse(body.toString('utf8')));
  return models.map(({ model_name: name }) => ({ name, createdS: null, owner: null }));
}
