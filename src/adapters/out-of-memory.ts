/**
 * How services say that the card's memory ran out. The words are those of ollama's own search (v0.33), of PyTorch, of
 * ggml and of vLLM; a status below 500 is never one: a client may have asked for a text about memory.
 */
import type { AnswerHead } from './adapter.js';

const WORDS = [
  'out of memory',
  'out of device memory',
  'outofmemoryerror',
  'cudamalloc failed',
  'hipmalloc failed',
  'failed to allocate',
  'unable to allocate',
  'allocation failed',
  'not enough memory',
  'insufficient memory',
  'vk_error_out_of_device_memory',
  'cublas_status_alloc_failed',
  'no available memory for the cache blocks',
  'less than desired gpu memory utilization',
];
const LONGEST_MESSAGE = 300;

/** The part of the text that says so, cut to a line's length; null: it does not. */
export function outOfMemoryIn(text: string): string | null {
  const lower = text.toLowerCase();
  const at = WORDS.map((word) => lower.indexOf(word)).filter((index) => index !== -1);
  if (at.length === 0) return null;
  const from = Math.max(0, Math.min(...at) - 80);
  return text.slice(from, from + LONGEST_MESSAGE).trim();
}

export const outOfMemoryAnswer = (head: AnswerHead, body: string): string | null =>
  head.status >= 500 ? outOfMemoryIn(body) : null;
