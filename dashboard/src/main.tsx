/** Puts the page together and draws it: when something came, at most four times a second, and once a second for ages. */
import { render } from 'preact';
import { Live } from './data/live.js';
import { World } from './data/world.js';
import { App } from './parts/App.js';

const DRAW_EVERY_MS = 250;
const TICK_MS = 1000;

const world = new World();
let drawnAt = 0;
let timer: number | null = null;

const live = new Live(world, drawSoon);
const loadHistory = (from: number): void => void live.loadHistory(from);

function draw(): void {
  timer = null;
  drawnAt = performance.now();
  const place = document.getElementById('page');
  if (place !== null && !document.hidden) render(<App world={world} loadHistory={loadHistory} />, place);
}

function drawSoon(): void {
  if (timer !== null) return;
  timer = window.setTimeout(draw, Math.max(0, drawnAt + DRAW_EVERY_MS - performance.now()));
}

setInterval(drawSoon, TICK_MS);
document.addEventListener('visibilitychange', drawSoon);
draw();
live.start();
