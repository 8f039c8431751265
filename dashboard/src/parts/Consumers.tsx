/** The consumers: how each is, what it holds, what it did, and what an operator may do with it. */
import type { Action } from '../data/consequence.js';
import type { Consumer, Model, Status } from '../data/wire.js';
import { ago, gib, hostOf, momentOf, span, utc } from '../data/words.js';
import { mayOperate, type Shared } from './state.js';

export function Consumers({ shared, status }: { shared: Shared; status: Status }) {
  const entries = Object.entries(status.consumers);
  return (
    <section class="panel consumers" aria-labelledby="consumers-title">
      <h2 id="consumers-title">Consumers</h2>
      {entries.length === 0 && <NoConsumers file={status.config.file} />}
      <ul>
        {entries.map(([name, consumer], index) => (
          <ConsumerRow key={name} shared={shared} name={name} consumer={consumer} colour={index % 10} />
        ))}
      </ul>
    </section>
  );
}

function NoConsumers({ file }: { file: string | null }) {
  return (
    <div class="empty">
      <p>
        <strong>No service stands behind this daemon yet.</strong> <code>mgpu discover</code> looks at the usual ports
        and prints a configuration. The smallest one{file === null ? '' : `, in ${file}`}:
      </p>
      <pre>{'routes: { llm: ollama }\nconsumers:\n  ollama: { kind: ollama }'}</pre>
    </div>
  );
}

interface RowProps {
  readonly shared: Shared;
  readonly name: string;
  readonly consumer: Consumer;
  readonly colour: number;
}

function ConsumerRow({ shared, name, consumer, colour }: RowProps) {
  return (
    <li class="consumer">
      <div class="consumer-line">
        <span class="consumer-name">
          <i class="dot" data-colour={colour} aria-hidden="true" />
          <strong>{name}</strong>
          <small>{hostOf(consumer.url)}</small>
        </span>
        <span class={`state ${consumer.health}`}>
          {HEALTH[consumer.health] ?? consumer.health}
          <Residency held={consumer} />
        </span>
        <Held held={consumer} />
        <span class="figure">
          <b>{consumer.active}</b> running, <b>{consumer.queued}</b> waiting{' '}
          <span class="second">
            <b>{consumer.total_requests}</b> ended
            {consumer.failed_requests > 0 && <span class="bad">, {consumer.failed_requests} failed</span>}
          </span>
        </span>
        <span class="figure times">
          <LastUsed at={momentOf(consumer.last_used_at)} now={shared.now} />{' '}
          {consumer.run_p50_ms !== null && (
            <span class="second" title="Half of its runs took no longer; 95 of 100 took no longer than the second">
              runs {span(consumer.run_p50_ms)} to {span(consumer.run_p95_ms)}
            </span>
          )}
        </span>
        <Actions shared={shared} target={name} held={consumer} />
      </div>
      {consumer.health_error !== null && consumer.health !== 'up' && <p class="cause">{consumer.health_error}</p>}
      {consumer.models.length > 0 && (
        <ul class="models">
          {consumer.models.map((model) => (
            <li key={model.name}>
              <span class="model-name">{model.name}</span>
              <span class="state">
                <Residency held={model} />
              </span>
              <Held held={model} />
              <span class="figure times">
                <LastUsed at={momentOf(model.last_used_at)} now={shared.now} />
              </span>
              <Actions shared={shared} target={`${name}/${model.name}`} held={model} />
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

const HEALTH: Readonly<Record<string, string>> = { up: 'up', down: 'down', unknown: 'not asked yet' };

const RESIDENCY: Readonly<Record<string, string>> = {
  absent: 'off the card',
  loading: 'loading',
  resident: 'on the card',
  evicting: 'leaving',
  stuck: 'stuck',
  parked: 'parked',
};

function Residency({ held }: { held: Consumer | Model }) {
  const words = RESIDENCY[held.residency];
  return (
    <>
      {words !== undefined && <span class={`badge ${held.residency}`}>{words}</span>}
      {held.pinned && <span class="badge pinned">pinned</span>}
    </>
  );
}

function Held({ held }: { held: Consumer | Model }) {
  return (
    <span class="figure held">
      {gib(held.gpu_resident_mib)}
      {held.gpu_resident_mib !== null && held.gpu_resident_source !== null && (
        <small> {held.gpu_resident_source}</small>
      )}
    </span>
  );
}

function LastUsed({ at, now }: { at: number | null; now: number }) {
  return (
    <span title={at === null ? 'not since the start' : utc(at)}>
      {at === null ? 'never used' : `used ${ago(at, now)}`}
    </span>
  );
}

function Actions({ shared, target, held }: { shared: Shared; target: string; held: Consumer | Model }) {
  if (!mayOperate(shared)) return null;
  // What does not answer can neither be loaded nor be asked to leave.
  const answers = !('health' in held) || held.health !== 'down';
  const on = held.residency === 'resident' || held.residency === 'stuck' || held.residency === 'unknown';
  const off = held.residency === 'absent' || held.residency === 'parked' || held.residency === 'unknown';
  const kinds: Exclude<Action['kind'], 'cancel' | 'drain' | 'resume'>[] = [
    ...(off && answers ? (['load'] as const) : []),
    ...(on && answers ? (['evict'] as const) : []),
    held.pinned ? 'unpin' : 'pin',
  ];
  return (
    <span class="actions">
      {kinds.map((kind) => (
        <button
          key={kind}
          type="button"
          aria-label={`${kind} ${target}`}
          onClick={() => shared.want({ kind, subject: target })}
        >
          {kind}
        </button>
      ))}
    </span>
  );
}
