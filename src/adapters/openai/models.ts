/** Which models a service of the OpenAI kind says that it has. Asks for the list only, which loads nothing anywhere. */
import { z } from 'zod';
import type { ConsumerConfiguration } from '../../config/configuration.js';
import type { ListedModel } from '../adapter.js';
import { askService } from '../asking.js';

const listSchema = z.object({
  data: z.array(z.object({ id: z.string().min(1), created: z.number().nullish(), owned_by: z.string().nullish() })),
});

export async function listModels(consumer: ConsumerConfiguration, timeoutMs: number): Promise<readonly ListedModel[]> {
  const { status, body } = await askService(consumer, { method: 'GET', path: '/v1/models', timeoutMs });
  if (status !== 200) throw new Error(`${consumer.id} answered ${status} to GET /v1/models`);
  const { data } = listSchema.parse(JSON.parse(body.toString('utf8')));
  return data.map(({ id, created, owned_by }) => ({ name: id, createdS: created ?? null, owner: owned_by ?? null }));
}
