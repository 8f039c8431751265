/** The cards: a bar to scale each, what fills it by name, and how the card fares. */
import { useState } from 'preact/hooks';
import { STALE_MS } from '../data/sentence.js';
import type { Card, Status } from '../data/wire.js';
import { gib, momentOf, UNKNOWN, wholeSpan } from '../data/words.js';
import { type Block, blocksOf } from './blocks.js';
import type { Shared } from './state.js';

export function Cards({ shared, status }: { shared: Shared; status: Status }) {
  const { gpu } = status;
  const sampledAt = momentOf(gpu.sampled_at);
  const ageMs = sampledAt === null ? null : shared.now - sampledAt;
  const stale = ageMs !== null && ageMs > STALE_MS;
  return (
    <section class="panel cards" aria-labelledby="cards-title">
      <h2 id="cards-title">{gpu.cards.length > 1 ? 'Cards' : 'Card'}</h2>
      {gpu.cards.length === 0 && <NoCard status={status} />}
      {gpu.cards.map((card) => (
        <CardBar key={card.index} status={status} card={card} staleMs={stale ? ageMs : null} />
      ))}
    </section>
  );
}

function NoCard({ status }: { status: Status }) {
  const { source, error } = status.gpu;
  return (
    <div class="empty">
      <p>
        <strong>No card can be read.</strong>{' '}
        {source === 'none' ? 'The configuration says gpu.source: none.' : 'Tried: nvidia-smi.'}
        {error !== null && <> It said: {error}</>}
      </p>
      <p>
        Jobs are brokered all the same, with the sizes from the configuration. To see the card: install the NVIDIA
        driver so that <code>nvidia-smi</code> works for this account; without one, <code>gpu.total_mib</code> says how
        much there is.
      </p>
    </div>
  );
}

function CardBar({ status, card, staleMs }: { status: Status; card: Card; staleMs: number | null }) {
  const blocks = blocksOf(status, card);
  const [picked, pick] = useState<string | null>(null);
  const shown = blocks.find(({ kind, name }) => `${kind} ${name}` === picked) ?? null;
  const total = card.total_mib ?? 1;
  return (
    <div class={`card ${staleMs === null ? '' : 'stale'}`}>
      <p class="figures">
        <span class="name">{card.name ?? `Card ${card.index}`}</span>
        <span>
          <strong>{gib(card.used_mib)}</strong> of {gib(card.total_mib)}
        </span>
        <span>GPU {figure(card.utilization_pct, ' %')}</span>
        <span>{figure(card.temperature_c, ' °C')}</span>
        <span>{figure(card.power_w, ' W')}</span>
        {staleMs !== null && <span class="age">reading is {wholeSpan(staleMs)} old</span>}
      </p>
      <ul class="bar">
        {blocks.map((block) => (
          <li
            key={`${block.kind} ${block.name}`}
            class={`block ${block.kind} ${block.going ?? ''}`}
            data-colour={block.colour === null ? undefined : block.colour % 10}
            style={{ flexGrow: block.mib / total }}
          >
            <button
              type="button"
              title={said(block)}
              aria-label={said(block)}
              onClick={() => pick(`${block.kind} ${block.name}`)}
            >
              <span class="block-name">{block.name}</span>{' '}
              <span class="block-size">
                {gib(block.mib)}
                {block.going !== null && `, ${block.going}`}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <ul class="legend" aria-hidden="true">
        {blocks.filter(isWorthNaming).map((block) => (
          <li key={`${block.kind} ${block.name}`} class={block === shown ? 'picked' : ''}>
            <i
              class={`block ${block.kind} ${block.going ?? ''}`}
              data-colour={block.colour === null ? undefined : block.colour % 10}
            />
            {block.name} <b>{gib(block.mib)}</b>
            {block.going !== null && <small> {block.going}</small>}
            {block.source !== null && block.source !== 'measured' && <small> {block.source}</small>}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Less is written as 0.0 GiB, which says nothing. */
const isWorthNaming = ({ mib }: Block): boolean => mib >= 52;

const figure = (value: number | null, unit: string): string => `${value === null ? UNKNOWN : Math.round(value)}${unit}`;

const said = ({ name, mib, source, going }: Block): string =>
  [`${name} ${gib(mib)}`, going, source].filter((part) => part !== null).join(', ');
