/** `mgpu discover [--host H]`, and what `serve` does without a file. Owns the sentences about finding nothing. */
import { type DiscoverOptions, discover } from '../probes/discover.js';
import { Refusal } from './failures.js';
import { printLines } from './screen.js';

const NOTHING_FOUND = [
  'Nothing was found at the usual ports. Write a file; the smallest one:',
  '',
  '  consumers:',
  '    ollama: { kind: ollama, url: "http://127.0.0.1:11434" }',
  '',
  'and name it: mgpu serve --config FILE. `mgpu check FILE` says what is wrong with one.',
].join('\n');

/** Sentences go to stderr, the configuration to stdout: `mgpu discover > consumers.yaml`. */
export async function discoverCommand(host: string | undefined): Promise<void> {
  const text = await discoverOrRefuse(host === undefined ? {} : { host });
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** The configuration to run on. Throws Refusal. */
export async function discoverOrRefuse(
  options: DiscoverOptions = {},
  say = (sentences: readonly string[]): void => printLines(process.stderr, sentences),
): Promise<string> {
  const { found, sentences, configText } = await discover(options);
  say(sentences);
  if (found.length === 0) throw new Refusal(NOTHING_FOUND);
  return configText;
}
