/**
 * Pictures by ComfyUI: a workflow of the configuration, filled in, and when its prompt is over the pictures that its
 * history names. Read at 0.3.64 and 0.26. Keeps nothing.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { askService } from '../adapters/asking.js';
import type { WholeAnswer } from '../adapters/translation.js';
import type { ConsumerConfiguration } from '../config/configuration.js';
import { filledIn, type Workflow } from '../config/workflow.js';
import { BrokerError } from '../errors.js';
import { openFile } from './consumer-file.js';
import { type ImageWish, refused } from './image-wish.js';
import { answerOf, jsonOf } from './json.js';
import { LARGEST_PICTURES_BYTES, type Picture } from './picture.js';

const HISTORY_MS = 10_000;

const fileSchema = z.looseObject({ filename: z.string(), subfolder: z.string().default(''), type: z.string() });
const historySchema = z.record(
  z.string(),
  z.looseObject({ outputs: z.record(z.string(), z.looseObject({ images: z.array(fileSchema).optional() })) }),
);
const refusalSchema = z.looseObject({
  error: z.looseObject({ message: z.string(), details: z.string().default('') }),
  node_errors: z
    .record(
      z.string(),
      z.looseObject({ class_type: z.string(), errors: z.array(z.looseObject({ message: z.string() })) }),
    )
    .default({}),
});

/** `POST /prompt`'s body. Throws `bad_request` for what the workflow has no place for. */
export function promptBody(name: string, workflow: Workflow, wish: ImageWish): Buffer {
  const { placeholders } = workflow;
  const has = (one: (typeof placeholders)[number]) => placeholders.includes(one);
  if (wish.count > 1 && !has('n')) {
    throw refused('n', `the workflow ${name} makes one picture at a time (it has no %n%); ask for n 1`);
  }
  if (wish.size !== null && !(has('width') && has('height'))) {
    throw refused('size', `the workflow ${name} has a size of its own (no %width% and %height%); ask for auto`);
  }
  const { width, height } = wish.size ?? workflow.size;
  const graph = filledIn(workflow, {
    ...{ prompt: wish.prompt, negative_prompt: wish.negativePrompt, seed: wish.seed },
    ...{ width, height, n: wish.count },
  });
  return Buffer.from(`{"client_id":"mgpu-${randomUUID()}","prompt":${graph}}`);
}

/** ComfyUI's refusal in a sentence; it names the nodes, which only who wrote the workflow can mend. */
export function refusalOf(name: string, answer: WholeAnswer): WholeAnswer {
  const told = refusalSchema.safeParse(jsonOf(answer.body));
  if (!told.success) return answer;
  const { error, node_errors } = told.data;
  const nodes = Object.entries(node_errors).map(
    ([id, { class_type, errors }]) => `node ${id} (${class_type}): ${errors.map(({ message }) => message).join(', ')}`,
  );
  const words = [[error.message, error.details].filter((text) => text !== '').join(' '), ...nodes].join('; ');
  const message = `ComfyUI does not take the workflow ${name}: ${words}`;
  return { ...answer, body: Buffer.from(JSON.stringify({ error: { message } })) };
}

/** The pictures of a prompt that is over. */
export async function comfyuiPictures(
  consumer: ConsumerConfiguration,
  name: string,
  answer: WholeAnswer,
  signal: AbortSignal,
): Promise<Picture[]> {
  const { workId } = answer;
  if (workId === null) throw failed(consumer, 'took a prompt without saying its id');
  const path = `/history/${encodeURIComponent(workId)}`;
  const history = await askService(consumer, { method: 'GET', path, timeoutMs: HISTORY_MS }).catch((cause: Error) => {
    throw failed(consumer, `did not tell what became of its prompt: ${cause.message}`, cause);
  });
  const entry = answerOf(historySchema, history.body, consumer.id, 'history')[workId];
  const files = Object.values(entry?.outputs ?? {}).flatMap(({ images }) => images ?? []);
  const saved = files.filter(({ type }) => type === 'output');
  const pictures: Picture[] = [];
  let leftBytes = LARGEST_PICTURES_BYTES;
  for (const file of saved.length > 0 ? saved : files) {
    const bytes = await fileOf(consumer, file, leftBytes, signal);
    leftBytes -= bytes.length;
    pictures.push({ bytes });
  }
  if (pictures.length === 0) throw failed(consumer, `made no picture with the workflow ${name}; it needs a SaveImage`);
  return pictures;
}

async function fileOf(
  consumer: ConsumerConfiguration,
  file: z.infer<typeof fileSchema>,
  mostBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const { filename, subfolder, type } = file;
  const stream = await openFile(consumer, `/view?${new URLSearchParams({ filename, subfolder, type })}`, signal);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    sizeBytes += chunk.length;
    if (sizeBytes > mostBytes)
      throw failed(consumer, `made pictures of more than ${LARGEST_PICTURES_BYTES / 2 ** 20} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const failed = ({ id }: ConsumerConfiguration, what: string, cause?: unknown): BrokerError =>
  new BrokerError('consumer_failed', `${id} ${what}`, { consumer: id, cause });
