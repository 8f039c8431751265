/** Pictures by AUTOMATIC1111 and Forge: its own names for what is asked, its answer's pictures. Read at 1.10.1. Keeps nothing. */
import { z } from 'zod';
import type { ConsumerId } from '../core/vocabulary.js';
import type { ImageWish } from './image-wish.js';
import { answerOf, jsonOf } from './json.js';
import type { Picture } from './picture.js';

const answerSchema = z.looseObject({ images: z.array(z.string()).min(1), info: z.string().default('') });
const infoSchema = z.looseObject({ index_of_first_image: z.number().int().min(0).default(0) });

/** One after another, not side by side: several at once need several times the memory. `model`: null: the one it has. */
export function txt2imgBody({ prompt, negativePrompt, count, size, seed }: ImageWish, model: string | null): Buffer {
  return Buffer.from(
    JSON.stringify({
      ...{ prompt, negative_prompt: negativePrompt, n_iter: count, batch_size: 1, seed },
      ...size,
      ...{ send_images: true, save_images: false, do_not_save_grid: true },
      ...(model === null ? {} : { override_settings: { sd_model_checkpoint: model } }),
      ...(model === null ? {} : { override_settings_restore_afterwards: false }),
    }),
  );
}

/** A grid of all of them may stand before them. */
export function txt2imgPictures(body: Buffer, consumer: ConsumerId): Picture[] {
  const { images, info } = answerOf(answerSchema, body, consumer, 'list of pictures');
  const told = infoSchema.safeParse(jsonOf(info));
  const first = told.success && told.data.index_of_first_image < images.length ? told.data.index_of_first_image : 0;
  return images.slice(first).map((text) => ({ bytes: Buffer.from(text.replace(/^data:[^,]*,/, ''), 'base64') }));
}
