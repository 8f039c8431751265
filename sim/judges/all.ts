/** All judges; each sits in every run. */
import { createBooksJudge } from './books.js';
import type { Bench, Judge } from './court.js';
import { createEndsJudge } from './ends.js';
import { LockJudge } from './lock.js';
import { createMemoryJudge } from './memory.js';
import { createProofJudge } from './proof.js';
import { RoomJudge } from './room.js';
import { WaitsJudge } from './waits.js';

export function allJudges(bench: Bench): readonly Judge[] {
  return [
    createEndsJudge(bench),
    new LockJudge(bench),
    new RoomJudge(bench),
    createProofJudge(bench),
    createBooksJudge(bench),
    createMemoryJudge(bench),
    new WaitsJudge(bench),
  ];
}
