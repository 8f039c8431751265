/** A job's own page: its life as a strip, then line by line. */
import { useEffect, useState } from 'preact/hooks';
import { ask } from '../data/ask.js';
import { type Job, readJob } from '../data/wire.js';
import { span, targetName } from '../data/words.js';
import { Link } from './Link.js';
import { lifeOf, type Phase } from './life.js';
import { colourOf, mayOperate, type Shared } from './state.js';
import { Time } from './Time.js';

type Found = { readonly job: Job } | { readonly failure: string } | null;

export function JobPage({ shared, id }: { shared: Shared; id: string }) {
  const live = shared.world.jobs.get(id);
  const [found, setFound] = useState<Found>(null);
  // Asked again when it ends: what it waited for and how it ended is complete then.
  useEffect(() => {
    let gone = false;
    ask(`/v1/jobs/${encodeURIComponent(id)}`).then(
      (value) => !gone && setFound({ job: readJob(value) }),
      (error: unknown) => !gone && setFound({ failure: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      gone = true;
    };
  }, [id, live?.state, live?.reasons.length]);

  return (
    <section class="panel job-page" aria-labelledby="job-title">
      <p class="back">
        <Link shared={shared} to="/ui/">
          ← Overview
        </Link>
      </p>
      <h2 id="job-title">
        Job <code>{id}</code>
      </h2>
      {found === null && <p class="empty">Asking for it.</p>}
      {found !== null && 'failure' in found && <p class="failure">{found.failure}</p>}
      {found !== null && 'job' in found && <Life shared={shared} job={found.job} />}
    </section>
  );
}

function Life({ shared, job }: { shared: Shared; job: Job }) {
  const { world, now } = shared;
  const phases = lifeOf(job, world.happenings, now);
  const total = Math.max(
    1,
    phases.reduce((ms, { from, to }) => ms + to - from, 0),
  );
  return (
    <>
      <p class="job-about">
        <i class="dot" data-colour={colourOf(world, job.consumer)} aria-hidden="true" />
        <strong>{targetName(job.consumer, job.model)}</strong> {job.capability ?? 'request'}, {job.class}, from{' '}
        {job.client}
      </p>
      <p class={`job-end ${job.end === 'done' || job.end === null ? '' : 'bad'}`}>{endText(job)}</p>
      <div class="strip" aria-hidden="true" data-colour={colourOf(world, job.consumer)}>
        {phases.map((phase) => (
          <span
            key={`${phase.from} ${phase.text}`}
            class={`piece ${phase.kind}`}
            style={{ flexGrow: (phase.to - phase.from) / total }}
          >
            <span class="piece-text">
              <b>{phase.title}</b> {span(phase.to - phase.from)}
            </span>
          </span>
        ))}
      </div>
      <ol class="phases">
        {phases.map((phase) => (
          <PhaseLine key={`${phase.from} ${phase.text}`} phase={phase} now={now} />
        ))}
        {job.ended_at !== null && (
          <li>
            <Time at={Date.parse(job.ended_at)} now={now} seconds />
            <span class="phase-length" />
            <span>{endText(job)}</span>
          </li>
        )}
      </ol>
      {job.state !== 'ended' && (mayOperate(shared) || world.whoami?.address === job.client) && (
        <button type="button" onClick={() => shared.want({ kind: 'cancel', subject: job.id })}>
          Cancel this job
        </button>
      )}
    </>
  );
}

function PhaseLine({ phase, now }: { phase: Phase; now: number }) {
  return (
    <li>
      <Time at={phase.from} now={now} seconds />
      <span class="phase-length">{span(phase.to - phase.from)}</span>
      <span>
        <strong>{phase.title}:</strong> {phase.text}
      </span>
    </li>
  );
}

function endText({ state, end, code, message }: Job): string {
  if (state === 'waiting') return 'It waits.';
  if (state === 'running') return 'It runs.';
  if (end === 'done') return 'Done.';
  return `${ENDS[end ?? ''] ?? 'Ended'}${code === null ? '' : ` (${code})`}${message === null ? '.' : `: ${message}`}`;
}

const ENDS: Readonly<Record<string, string>> = {
  failed: 'Failed',
  cancelled: 'Cancelled',
  refused: 'Refused',
  timed_out: 'Took too long',
};
