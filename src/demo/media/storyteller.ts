/**
 * The demo's "language model": a word-by-word Markov chain over a few sentences of its own and the words of the
 * prompt, from a seed made of model, prompt and options. The same request gives the same text, another prompt
 * another one. Owns nothing; it understands nothing either, and says so if asked by reading it.
 */
import { createHash } from 'node:crypto';

const CORPUS = `
A small machine with one card can serve a whole house when everybody waits for their turn.
The card was quiet in the morning and the queue was short, so the first answer came at once.
Nobody likes to wait, but nobody likes to hear that the memory is full, and waiting is the kinder of the two.
When two voices speak at once the listener hears neither, and when two models load at once the card holds neither.
A good queue is like a good host: it greets everybody, forgets nobody and knows who came first.
In the evening the house asked for a picture of the sea, and the card painted it line by line.
The sentence went out as sound, the sound came back as words, and the words were the same.
Every question takes a little time and a little memory, and both are given back at the end.
There was once a broker who stood at a narrow door and let one guest through after another.
A model that sleeps needs no memory, and a model that wakes needs all of it at once.
The answer begins with one word, and the next word follows when the card has found it.
If a guest leaves early the door is free again, and the next one need not ask twice.
Light fell on the desk, the fan began to turn, and the numbers on the screen grew slowly.
What was asked is less important than that somebody listened until the end of the question.
`;

const OPENINGS = [
  'Let me think about',
  'You asked about',
  'Here is something on',
  'There is much to say about',
  'A short answer on',
  'Few things are as plain as',
];
const MOST_WORDS = 70;
const FEWEST_WORDS = 28;

/** xorshift128 on four words of a digest: small, and the same on every machine. */
function randomFrom(seed: string): () => number {
  const digest = createHash('sha256').update(seed).digest();
  const state = new Uint32Array([
    digest.readUInt32LE(0),
    digest.readUInt32LE(4),
    digest.readUInt32LE(8),
    digest.readUInt32LE(12) | 1,
  ]);
  return () => {
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const mixed = a ^ (a << 11);
    const next = d ^ (d >>> 19) ^ mixed ^ (mixed >>> 8);
    state.set([b, c, d, next]);
    return (state[3] ?? 0) / 2 ** 32;
  };
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** What may follow each word: once for every time that it did. */
function chainOf(words: readonly string[]): Map<string, string[]> {
  const followers = new Map<string, string[]>();
  words.slice(0, -1).forEach((word, index) => {
    const key = word.toLowerCase();
    followers.set(key, [...(followers.get(key) ?? []), words[index + 1] ?? '']);
  });
  return followers;
}

/** The longest words of the prompt, at most three, in the order in which they stand. */
function topicOf(prompt: string): string {
  const words = (prompt.match(/[\p{L}\p{N}'-]+/gu) ?? []).slice(-40);
  const chosen = new Set([...words].sort((a, b) => b.length - a.length).slice(0, 3));
  const topic = words.filter((word) => chosen.delete(word)).join(' ');
  return topic === '' ? 'nothing in particular' : topic;
}

export interface StoryRequest {
  readonly model: string;
  readonly prompt: string;
  /** Another seed, another text. */
  readonly seed: number;
}

/** Tokens of the answer, as they are streamed: a word each, with the blank before it. The last one ends a sentence. */
export function tellStory(request: StoryRequest): string[] {
  const random = randomFrom(`${request.model}\n${request.seed}\n${request.prompt}`);
  const pick = <T>(list: readonly T[], otherwise: T): T => list[Math.floor(random() * list.length)] ?? otherwise;
  const corpus = wordsOf(CORPUS);
  const chain = chainOf(corpus);
  const starts = corpus.filter((_, index) => index === 0 || corpus[index - 1]?.endsWith('.') === true);
  const words = wordsOf(`${pick(OPENINGS, 'About')} ${topicOf(request.prompt)}.`);
  let word = pick(starts, 'A');
  while (words.length < MOST_WORDS) {
    words.push(word);
    if (word.endsWith('.') && words.length >= FEWEST_WORDS) break;
    word = word.endsWith('.') ? pick(starts, 'A') : pick(chain.get(word.toLowerCase()) ?? starts, 'A');
  }
  const last = words.length - 1;
  words[last] = `${(words[last] ?? '').replace(/[.,:]*$/, '')}.`;
  return words.map((each, index) => (index === 0 ? each : ` ${each}`));
}
