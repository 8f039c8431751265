/** What the demo's main process and its service processes tell one another. Types and their checks only. */
import { z } from 'zod';

export const SERVICE_NAMES = ['mvoice', 'whisper-server', 'ollama', 'comfyui'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** The one argument of a service process, as JSON. */
export const orderSchema = z.object({
  name: z.enum(SERVICE_NAMES),
  speed: z.number().positive(),
  /** Everything that the demo wrote; the last process to go takes it along. */
  folder: z.string(),
  cardFolder: z.string(),
});
export type Order = z.infer<typeof orderSchema>;

/** From a service process. */
export const reportSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), url: z.string() }),
  z.object({ type: z.literal('failed'), message: z.string() }),
]);
export type Report = z.infer<typeof reportSchema>;

/** The names of the demo's temporary folders begin so; nothing else is ever removed. */
export const FOLDER_PREFIX = 'mgpu-demo-';
