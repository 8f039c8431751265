/** What happened, the newest first, in sentences. */
import { useState } from 'preact/hooks';
import type { Happening } from '../data/happening.js';
import { type Told, tell } from '../data/tell.js';
import { jobPath, Link } from './Link.js';
import { colourOf, type Shared } from './state.js';
import { Time } from './Time.js';
import { useNarrow } from './use-narrow.js';

const FIRST = 40;
const FIRST_NARROW = 12;
const MORE = 100;

export function Happened({ shared }: { shared: Shared }) {
  const { world, now } = shared;
  const [consumer, setConsumer] = useState('');
  const [most, setMost] = useState(useNarrow() ? FIRST_NARROW : FIRST);
  const names = Object.keys(world.status?.consumers ?? {});
  const { lines, more } = newest(world.happenings, consumer, most);
  return (
    <section class="panel happened" aria-labelledby="happened-title">
      <div class="panel-head">
        <h2 id="happened-title">What happened</h2>
        <label>
          <span class="unseen">Only about</span>
          <select value={consumer} onChange={(event) => setConsumer(event.currentTarget.value)}>
            <option value="">everything</option>
            {names.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      {lines.length === 0 && <p class="empty">Nothing yet.</p>}
      <ol>
        {lines.map(({ at, told, key }) => (
          <li key={key} class={told.tone}>
            <Time at={at} now={now} seconds />
            <i
              class="mark"
              data-colour={told.consumer === null ? undefined : colourOf(world, told.consumer)}
              aria-hidden="true"
            >
              {told.mark}
            </i>
            <span>
              {told.job === null ? (
                told.text
              ) : (
                <Link shared={shared} to={jobPath(told.job)}>
                  {told.text}
                </Link>
              )}
            </span>
          </li>
        ))}
      </ol>
      {more && (
        <button type="button" class="quiet" onClick={() => setMost(most + MORE)}>
          Show older
        </button>
      )}
    </section>
  );
}

interface Line {
  readonly key: string;
  readonly at: number;
  readonly told: Told;
}

function newest(happenings: readonly Happening[], consumer: string, most: number): { lines: Line[]; more: boolean } {
  const lines: Line[] = [];
  for (let index = happenings.length - 1; index >= 0; index -= 1) {
    const happening = happenings[index];
    const told = happening === undefined ? null : tell(happening);
    if (happening === undefined || told === null || (consumer !== '' && told.consumer !== consumer)) continue;
    if (lines.length === most) return { lines, more: true };
    lines.push({ key: `${happening.at} ${told.text}`, at: happening.at, told });
  }
  return { lines, more: false };
}
