/**
 * A prompt's entry in ComfyUI's history, as its values come by. `status_str` can be `success` for a graph that failed
 * before its first node ran (a cycle): the messages decide. Read at 0.3.64 and 0.26.
 */

import type { JsonPath } from '../../server/json-walk.js';
import type { WorkVerdict } from '../adapter.js';
import { outOfMemoryIn } from '../out-of-memory.js';

type ErrorMember = 'exception_type' | 'exception_message' | 'node_type';

export class HistoryEntry {
  readonly #id: string;
  #isThere = false;
  #saysError = false;
  /** The name of the message that comes by. */
  #message: string | null = null;
  #isInterrupted = false;
  #error: Partial<Record<ErrorMember, string>> | null = null;

  constructor(id: string) {
    this.#id = id;
  }

  /** `{"ID": {"status": {"status_str": …, "messages": [[NAME, {…}], …]}}}` */
  take([id, part, member, _place, half, detail]: JsonPath, text: string | null): void {
    if (id !== this.#id) return;
    this.#isThere = true;
    if (part !== 'status') return;
    if (member === 'status_str') this.#saysError = text === 'error';
    else if (member !== 'messages') return;
    else if (half === 0) this.#takeMessage(text);
    else if (detail !== undefined && this.#message === 'execution_error') this.#takeErrorMember(detail, text);
  }

  #takeMessage(name: string | null): void {
    this.#message = name;
    if (name === 'execution_interrupted') this.#isInterrupted = true;
    if (name === 'execution_error') this.#error = {};
  }

  #takeErrorMember(name: string | number | null, text: string | null): void {
    if (this.#error === null || text === null) return;
    if (name === 'exception_type' || name === 'exception_message' || name === 'node_type') this.#error[name] = text;
  }

  /** null: there is no entry. */
  verdict(): WorkVerdict | null {
    if (!this.#isThere) return null;
    if (this.#error !== null) {
      const { exception_type: type, exception_message: text, node_type: node } = this.#error;
      const message = `${type ?? 'error'} in ${node ?? 'a node'}: ${(text ?? 'no words').trim()}`;
      return { end: 'failed', message, outOfMemory: outOfMemoryIn(`${type ?? ''} ${text ?? ''}`) !== null };
    }
    if (this.#isInterrupted) return { end: 'failed', message: 'the prompt was interrupted at ComfyUI' };
    return this.#saysError ? { end: 'failed', message: 'ComfyUI says that the prompt failed' } : { end: 'done' };
  }
}
