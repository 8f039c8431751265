/**
 * The demo's "image model": soft colour fields, a sun, hills and some shapes, all from a seed made of the prompt's
 * text and the seed number. Each word moves something. Paints in bands, so that a job has steps. Owns nothing.
 */
import { createHash } from 'node:crypto';
import type { Picture } from './png.js';

type Colour = readonly [red: number, green: number, blue: number];

interface Blob {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly square: boolean;
  readonly colour: Colour;
}

interface Scene {
  readonly sky: readonly [top: Colour, bottom: Colour];
  readonly land: Colour;
  readonly waves: readonly { readonly height: number; readonly length: number; readonly shift: number }[];
  readonly swirl: readonly number[];
  readonly blobs: readonly Blob[];
}

/** Words that a person expects to see in the colours: hue in degrees. */
const HUES: Readonly<Record<string, number>> = {
  red: 0,
  rose: 345,
  orange: 28,
  sunset: 18,
  gold: 45,
  yellow: 52,
  desert: 40,
  green: 120,
  forest: 130,
  grass: 100,
  sea: 195,
  ocean: 205,
  blue: 220,
  sky: 205,
  night: 245,
  violet: 270,
  purple: 280,
  pink: 330,
};

/** Hue 0 to 360, saturation and lightness 0 to 1. */
function colourOf(hue: number, saturation: number, lightness: number): Colour {
  const part = (offset: number): number => {
    const angle = (offset + hue / 30) % 12;
    return (
      255 *
      (lightness - saturation * Math.min(lightness, 1 - lightness) * Math.max(-1, Math.min(angle - 3, 9 - angle, 1)))
    );
  };
  return [part(0), part(8), part(4)];
}

const mix = (from: Colour, to: Colour, share: number): Colour => [
  from[0] + (to[0] - from[0]) * share,
  from[1] + (to[1] - from[1]) * share,
  from[2] + (to[2] - from[2]) * share,
];

/** Numbers from 0 to 1, as many as one likes, all from one text. */
function* numbersOf(text: string): Generator<number, never> {
  for (let round = 0; ; round += 1) {
    const digest = createHash('sha256').update(`${round}\n${text}`).digest();
    for (let at = 0; at < digest.length; at += 2) yield digest.readUInt16LE(at) / 0xffff;
  }
}

function sceneOf(text: string, seed: string): Scene {
  const numbers = numbersOf(`${seed}\n${text}`);
  const next = (from = 0, to = 1): number => from + (to - from) * numbers.next().value;
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const named = words.flatMap((word) => HUES[word] ?? []);
  const hue = named[0] ?? next(0, 360);
  const second = named[1] ?? hue + next(25, 150);
  return {
    sky: [colourOf(hue, 0.65, next(0.25, 0.5)), colourOf(second, 0.75, next(0.55, 0.8))],
    land: colourOf(named[2] ?? second + next(90, 200), 0.4, next(0.15, 0.3)),
    waves: Array.from({ length: 3 }, () => ({ height: next(0.02, 0.07), length: next(2, 9), shift: next(0, 6.3) })),
    swirl: Array.from({ length: 6 }, () => next(1, 7)),
    blobs: Array.from({ length: 2 + Math.min(9, words.length) }, () => ({
      x: next(),
      y: next(0.05, 0.75),
      radius: next(0.025, 0.11),
      square: next() < 0.3,
      colour: colourOf(hue + next(120, 260), 0.8, next(0.5, 0.85)),
    })),
  };
}

function colourAt(scene: Scene, x: number, y: number): Colour {
  const [a = 1, b = 1, c = 1, d = 1, e = 1, f = 1] = scene.swirl;
  const plasma =
    Math.sin(a * x + Math.sin(b * y + c)) + Math.sin(d * (x + y) + e) + Math.sin(f * Math.hypot(x - 0.5, y - 0.3));
  let colour = mix(scene.sky[0], scene.sky[1], Math.max(0, Math.min(1, y * 0.9 + plasma * 0.09)));
  for (const blob of scene.blobs) {
    const [dx, dy] = [Math.abs(x - blob.x), Math.abs(y - blob.y)];
    const distance = blob.square ? Math.max(dx, dy) : Math.hypot(dx, dy);
    // A soft edge of a few hundredths, so that shapes look painted and not cut out.
    const cover = Math.max(0, Math.min(1, (blob.radius - distance) / 0.012 + 0.5));
    colour = mix(colour, blob.colour, cover * 0.85);
  }
  scene.waves.forEach((wave, index) => {
    const horizon = 0.72 + index * 0.09 + wave.height * Math.sin(wave.length * x + wave.shift);
    if (y > horizon) colour = mix(scene.land, scene.sky[0], 0.45 - index * 0.2);
  });
  return colour;
}

export interface Canvas extends Picture {
  /** Paints the rows of one of so many equal bands, from 0. */
  paintBand(band: number, bands: number): void;
}

/** An empty (black) canvas for the picture of this text and seed. */
export function openCanvas(width: number, height: number, text: string, seed: string): Canvas {
  const scene = sceneOf(text, seed);
  const rgb = new Uint8Array(width * height * 3);
  return {
    width,
    height,
    rgb,
    paintBand: (band, bands) => {
      const last = Math.floor((height * (band + 1)) / bands);
      for (let row = Math.floor((height * band) / bands); row < last; row += 1) {
        for (let column = 0; column < width; column += 1) {
          rgb.set(colourAt(scene, column / width, row / height), (row * width + column) * 3);
        }
      }
    },
  };
}
