/** ComfyUI's spelling: JSON as Python writes it, request bodies, error objects (0.3.64). Owns nothing. */
import { z } from 'zod';

/** `json.dumps` with its defaults: a blank after each comma and colon, everything beyond ASCII escaped. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return `{${entries.map(([key, each]) => `${pythonJson(key)}: ${pythonJson(each)}`).join(', ')}}`;
  }
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const nodeSchema = z.looseObject({
  class_type: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).default({}),
});
export const graphSchema = z.record(z.string(), nodeSchema);
export type Graph = z.infer<typeof graphSchema>;
export type GraphNode = z.infer<typeof nodeSchema>;

export const promptSchema = z.looseObject({
  prompt: graphSchema.optional(),
  client_id: z.string().optional(),
  prompt_id: z.string().optional(),
  number: z.number().optional(),
  front: z.boolean().optional(),
  extra_data: z.record(z.string(), z.unknown()).optional(),
});

export const queueSchema = z.looseObject({ clear: z.boolean().optional(), delete: z.array(z.string()).optional() });
export const interruptSchema = z.looseObject({ prompt_id: z.string().optional() });
export const freeSchema = z.looseObject({
  unload_models: z.boolean().default(false),
  free_memory: z.boolean().default(false),
});

/** One thing wrong with a prompt or a node. */
export interface Complaint {
  readonly type: string;
  readonly message: string;
  readonly details: string;
  readonly extra_info: Readonly<Record<string, unknown>>;
}

export const complaint = (
  type: string,
  message: string,
  details: string,
  extra: Complaint['extra_info'] = {},
): Complaint => ({
  type,
  message,
  details,
  extra_info: extra,
});
