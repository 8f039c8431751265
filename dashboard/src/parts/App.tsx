/** The whole page. Owns which part is shown, the question that is open, and what was last said of an action. */
import { useEffect, useState } from 'preact/hooks';
import type { Action } from '../data/consequence.js';
import type { World } from '../data/world.js';
import { Cards } from './Cards.js';
import { Confirm } from './Confirm.js';
import { Consumers } from './Consumers.js';
import { Happened } from './Happened.js';
import { Banner, Headline, TopBar } from './Headline.js';
import { JobPage } from './JobPage.js';
import { Queue } from './Queue.js';
import type { Shared } from './state.js';
import { Timeline } from './Timeline.js';
import { usePlace } from './use-place.js';

interface AppProps {
  readonly world: World;
  readonly loadHistory: (from: number) => void;
}

const SAID_MS = 8000;

export function App({ world, loadHistory }: AppProps) {
  const { path, go } = usePlace();
  const [action, setAction] = useState<Action | null>(null);
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (said === '') return;
    const timer = setTimeout(() => setSaid(''), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);

  const want = (wanted: Action): void => {
    setSaid('');
    setAction(wanted);
  };
  const shared: Shared = { world, now: world.now(), go, want, loadHistory };
  const job = /^\/ui\/jobs\/([^/]+)$/.exec(path)?.[1];
  return (
    <>
      <TopBar shared={shared} />
      <main class={world.contact.kind === 'lost' ? 'lost' : ''}>
        <Banner shared={shared} />
        <Headline shared={shared} />
        {job === undefined ? <Overview shared={shared} /> : <JobPage shared={shared} id={decodeURIComponent(job)} />}
      </main>
      <p class={`said ${said === '' ? '' : 'shown'}`} role="status" aria-live="polite">
        {said}
      </p>
      {action !== null && (
        <Confirm
          key={`${action.kind} ${action.subject}`}
          shared={shared}
          action={action}
          close={() => setAction(null)}
          said={setSaid}
        />
      )}
    </>
  );
}

function Overview({ shared }: { shared: Shared }) {
  const { status } = shared.world;
  if (status === null) return null;
  return (
    <>
      <Cards shared={shared} status={status} />
      {Object.keys(status.consumers).length > 0 && <Timeline shared={shared} />}
      <div class="lower">
        <Queue shared={shared} status={status} />
        <Consumers shared={shared} status={status} />
        <Happened shared={shared} />
      </div>
    </>
  );
}
