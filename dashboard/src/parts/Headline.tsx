/** The sentence, and beside it who looks, at what, and whether the page still hears the daemon. */
import { sentenceOf } from '../data/sentence.js';
import { timeOfDay, wholeSpan } from '../data/words.js';
import { Link } from './Link.js';
import { mayOperate, type Shared } from './state.js';

const MOODS = {
  calm: { word: 'Calm', path: 'M5 12.5l4.5 4.5L19 7.5' },
  busy: { word: 'Busy', path: 'M8 5.5v13l11-6.5z' },
  trouble: { word: 'Trouble', path: 'M12 4.5v9.5M12 18.2v.6' },
  past: { word: 'Last known', path: 'M12 4a8 8 0 1 1 0 16a8 8 0 1 1 0-16M12 8.5v4l2.5 1.5' },
} as const;

export function Headline({ shared }: { shared: Shared }) {
  const { world } = shared;
  const { mood, text, more } = sentenceOf(world);
  return (
    <section class={`headline ${mood}`} aria-label="Is it working?">
      <span class="mood">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d={MOODS[mood].path} />
        </svg>
        {MOODS[mood].word}
      </span>
      <p class="sentence" role="status" aria-live="polite">
        {text}
        {more !== '' && <span class="more"> {more}</span>}
      </p>
    </section>
  );
}

export function TopBar({ shared }: { shared: Shared }) {
  const { world } = shared;
  const { status } = world;
  return (
    <header class="top">
      <h1>
        <Link shared={shared} to="/ui/">
          mGPUmanager
        </Link>
      </h1>
      <p class="about">
        <span class={`contact ${world.contact.kind}`}>{CONTACT[world.contact.kind]}</span>
        {status !== null && <span>{status.policy}</span>}
        {status !== null && world.contact.kind !== 'lost' && <span>up {wholeSpan(status.uptime_s * 1000)}</span>}
        {status !== null && <span>{status.version}</span>}
      </p>
      {mayOperate(shared) && status !== null && (
        <button
          type="button"
          class="quiet"
          onClick={() => shared.want({ kind: status.state === 'draining' ? 'resume' : 'drain', subject: '' })}
        >
          {status.state === 'draining' ? 'Resume' : 'Drain'}
        </button>
      )}
    </header>
  );
}

const CONTACT = { opening: 'connecting', live: 'live', lost: 'no contact' } as const;

export function Banner({ shared }: { shared: Shared }) {
  const { contact, whoami, status } = shared.world;
  if (contact.kind === 'lost') {
    return (
      <p class="banner lost" role="status">
        No contact with the daemon since {timeOfDay(contact.since)}.{' '}
        {status === null ? 'Trying again.' : 'What you see is the last known state; trying again.'}
      </p>
    );
  }
  if (whoami === null || whoami.may_operate) return null;
  return (
    <p class="banner look">
      <strong>Look only:</strong> act from {whoami.operators.length === 0 ? 'nowhere yet' : whoami.operators.join(', ')}
      . <span class="why">{whoami.look_only}</span>
    </p>
  );
}
