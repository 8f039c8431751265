/** The queue: what runs, then what waits, each with its reason in words. */
import type { Job, Status } from '../data/wire.js';
import { count, inGib, roughSpan, UNKNOWN, wholeSpan, withoutIds } from '../data/words.js';
import { jobPath, Link } from './Link.js';
import { colourOf, mayOperate, type Shared } from './state.js';
import { useNarrow } from './use-narrow.js';
import { VirtualRows } from './virtual-rows.js';

/** As high as the style sheet makes a row that is scrolled. */
const ROW_HEIGHT = 60;
const NARROW_ROW_HEIGHT = 112;

export function Queue({ shared, status }: { shared: Shared; status: Status }) {
  const narrow = useNarrow();
  const jobs = inOrder([...shared.world.jobs.values()]);
  const running = jobs.filter(({ state }) => state === 'running').length;
  const waiting = Math.max(jobs.length - running, status.jobs_omitted > 0 ? status.scheduler.queue_depth : 0);
  return (
    <section class="panel queue" aria-labelledby="queue-title">
      <div class="panel-head">
        <h2 id="queue-title">Queue</h2>
        <p class="note" role="status" aria-live="polite">
          {running} running, {waiting.toLocaleString('en-US')} waiting
        </p>
      </div>
      {jobs.length === 0 ? (
        <p class="empty">
          Nothing runs and nothing waits. {count(status.scheduler.total_jobs, 'job has', 'jobs have')} ended since the
          start.
        </p>
      ) : (
        <VirtualRows
          items={jobs}
          label="Jobs that run and wait"
          rowHeight={narrow ? NARROW_ROW_HEIGHT : ROW_HEIGHT}
          keyOf={(job) => job.id}
          row={(job) => <JobRow shared={shared} job={job} />}
        />
      )}
    </section>
  );
}

/** What runs, then what waits in its order; what came after the last snapshot has no place yet and stands last. */
function inOrder(jobs: Job[]): Job[] {
  const rank = (job: Job): number => (job.state === 'running' ? 0 : 1);
  return jobs.sort((a, b) => {
    if (rank(a) !== rank(b)) return rank(a) - rank(b);
    if (a.position !== null && b.position !== null && a.position !== b.position) return a.position - b.position;
    return a.queued_at < b.queued_at ? -1 : a.queued_at > b.queued_at ? 1 : 0;
  });
}

function JobRow({ shared, job }: { shared: Shared; job: Job }) {
  const { now, world } = shared;
  const ageMs = now - Date.parse(job.queued_at);
  const mayCancel = mayOperate(shared) || (world.contact.kind === 'live' && world.whoami?.address === job.client);
  return (
    <>
      <span class="age" title={`came ${wholeSpan(ageMs)} ago`}>
        {roughSpan(ageMs)}
      </span>
      <span class="what">
        <i class="dot" data-colour={colourOf(world, job.consumer)} aria-hidden="true" />
        <Link shared={shared} to={jobPath(job.id)}>
          {job.consumer}
        </Link>
        {job.model !== null && <span class="model">{job.model}</span>}
      </span>
      <span class="kind">
        {job.capability ?? 'request'}
        <span class="class"> {job.class}</span>
      </span>
      <span class="client">{job.client}</span>
      <span class="reason" title={reasonText(job)}>
        {reasonText(job)}
        {job.state === 'waiting' && job.expected_wait_ms !== null && (
          <span class="expected"> (about {wholeSpan(Math.max(1000, job.expected_wait_ms))} more)</span>
        )}
      </span>
      <span class="action">
        {mayCancel && (
          <button
            type="button"
            aria-label={`Cancel ${job.id}`}
            onClick={() => shared.want({ kind: 'cancel', subject: job.id })}
          >
            Cancel
          </button>
        )}
      </span>
    </>
  );
}

function reasonText({ state, answered, reason }: Job): string {
  if (state === 'running') return answered ? 'answered, still working' : 'running';
  return reason === null ? UNKNOWN : inGib(withoutIds(reason.text));
}
