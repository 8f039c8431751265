/** Every job has exactly one end, and hears of it in an order that a proxy can obey. */
import type { Command } from '../../src/core/commands.js';
import type { CoreEvent } from '../../src/core/events.js';
import type { StepRecord } from '../daemon.js';
import type { Bench, Judge } from './court.js';

interface Life {
  admitted: boolean;
  granted: number;
  retried: number;
  outOfMemorySeen: number;
  /** `ended` facts. */
  ends: number;
  /** The broker told its proxy that the job is over, or the proxy told the broker. */
  told: number;
}

export function createEndsJudge({ complain }: Bench): Judge {
  const name = 'ends';
  const lives = new Map<string, Life>();
  const count = (command: Command): void => {
    if (command.type === 'RecordFact') {
      const life = command.fact.type === 'job' ? lives.get(command.fact.job.id) : undefined;
      if (command.fact.type !== 'job' || command.fact.change !== 'ended' || life === undefined) return;
      life.ends += 1;
      if (life.ends > 1) complain(name, `${command.fact.job.id} ended ${life.ends} times`);
      return;
    }
    if (!('jobId' in command)) return;
    const life = lives.get(command.jobId);
    if (life === undefined) complain(name, `${command.type} for ${command.jobId}, which was never announced`);
    else countOrder(life, command, (text) => complain(name, `${command.jobId} ${text}`));
  };
  return {
    name,
    see({ event, commands }: StepRecord) {
      noteEvent(lives, event);
      for (const command of commands) count(command);
    },
    reborn: () => lives.clear(),
    finish() {
      for (const [id, life] of lives) if (life.ends !== 1) complain(name, `${id} has ${life.ends} ends at rest`);
    },
  };
}

function noteEvent(lives: Map<string, Life>, event: CoreEvent): void {
  if (event.type === 'JobAnnounced' && !lives.has(event.job.id)) {
    lives.set(event.job.id, { admitted: false, granted: 0, retried: 0, outOfMemorySeen: 0, ends: 0, told: 0 });
  }
  if (event.type === 'OutOfMemorySeen') {
    const life = lives.get(event.jobId);
    if (life !== undefined) life.outOfMemorySeen += 1;
  }
  if (event.type === 'JobEnded') {
    const life = lives.get(event.jobId);
    if (life !== undefined && life.told === 0) life.told += 1;
  }
}

function countOrder(life: Life, command: Extract<Command, { jobId: unknown }>, complain: (text: string) => void): void {
  if (command.type !== 'AbortJob' && command.type !== 'RefuseJob' && life.told > 0)
    complain(`gets ${command.type} after its end`);
  switch (command.type) {
    case 'AdmitJob':
      if (life.admitted) complain('was admitted twice');
      life.admitted = true;
      return;
    case 'GrantJob':
      if (!life.admitted || life.granted > 0) complain('was granted before it was admitted, or twice');
      life.granted += 1;
      return;
    case 'RetryJob':
    case 'PassAnswer':
      life.retried += 1;
      if (life.granted === 0 || life.retried > life.outOfMemorySeen) complain(`gets ${command.type} without cause`);
      return;
    case 'RefuseJob':
      if (life.granted > 0) complain('was refused after its grant');
      break;
    case 'AbortJob':
      if (life.granted === 0) complain('was aborted before its grant');
      break;
  }
  life.told += 1;
  if (life.told > 1) complain(`was told of its end ${life.told} times`);
}
