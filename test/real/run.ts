/**
 * `npm run test:real [-- SUITE...]`: the daemon before a real whisper-server and a real llama-server, which environment
 * variables name because nothing installs them. Says what it lacks and ends with 1 then: a suite that silently does
 * not run protects nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VARIABLES, type Variable } from './real-programs.js';

interface Suite {
  readonly name: string;
  readonly shows: string;
  readonly needs: readonly Variable[];
}

const WHISPER = ['WHISPER_SERVER', 'WHISPER_MODEL'] as const;
const LLAMA = ['LLAMA_SERVER', 'LLAMA_MODEL'] as const;

const SUITES: readonly Suite[] = [
  { name: 'whisper-server', shows: 'audio in, its answer out unchanged; busy is not down', needs: WHISPER },
  {
    name: 'llama-server',
    shows: 'tokens one by one; a client that leaves frees the slot',
    needs: [...LLAMA, 'LLAMA_ENDLESS_MODEL'],
  },
  {
    name: 'killed',
    shows: 'both killed and restarted while requests come',
    needs: [...WHISPER, 'LLAMA_SERVER', 'LLAMA_ENDLESS_MODEL'],
  },
  { name: 'discovered', shows: 'no file: serve finds whisper-server, curl transcribes', needs: WHISPER },
];

function lacks({ needs }: Suite): string[] {
  return needs.flatMap((name) => {
    const value = process.env[name];
    if (value === undefined || value === '') return [`${name} (${VARIABLES[name]}) is not set`];
    return existsSync(value) ? [] : [`${name} names no file`];
  });
}

async function passes({ name }: Suite): Promise<boolean> {
  const file = fileURLToPath(new URL(`./${name}.test.js`, import.meta.url));
  const child = spawn(process.execPath, ['--test', '--test-reporter=spec', file], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [status, signal] = await once(child, 'exit');
  if (signal !== null) console.log(`the suite was ended by ${signal}`);
  return status === 0;
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`no suite ${unknown.join(', ')}; there are: ${SUITES.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const bad: string[] = [];
  for (const suite of SUITES.filter(({ name }) => names.length === 0 || names.includes(name))) {
    console.log(`\n== ${suite.name}: ${suite.shows}`);
    const lacking = lacks(suite);
    for (const line of lacking) console.log(`cannot run here: ${line}`);
    if (lacking.length > 0 || !(await passes(suite))) bad.push(suite.name);
  }
  console.log(`\nreal programs: failed or could not run: ${bad.length === 0 ? 'none' : bad.join(', ')}`);
  return bad.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
