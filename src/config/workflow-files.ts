/**
 * The workflow files that a configuration names: read with it, checked with it, faults told with their places in those
 * files. Reads them and nothing else; keeps nothing.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConfigProblem } from './configuration.js';
import type { Path } from './document.js';
import { keyPathOf } from './explain.js';
import { expandHome } from './find.js';
import type { CheckedFile } from './schema.js';
import { readWorkflow, type Workflow } from './workflow.js';

/** A picture baked into one is the only thing that makes it large. */
const LARGEST_BYTES = 1024 * 1024;

/** By consumer, then by the name that clients ask for. */
export type Workflows = ReadonlyMap<string, ReadonlyMap<string, Workflow>>;

export interface WorkflowFilesOptions {
  readonly checked: CheckedFile;
  /** Paths are taken from its folder; null: from where the process runs. */
  readonly file: string | null;
  readonly env: NodeJS.ProcessEnv;
  /** A problem with the file's own words for the path of a workflow. */
  readonly problemAt: (path: Path, message: string) => ConfigProblem;
}

export function readWorkflows(options: WorkflowFilesOptions): { workflows: Workflows; problems: ConfigProblem[] } {
  const { checked, file, env, problemAt } = options;
  const problems: ConfigProblem[] = [];
  const folder = file === null ? process.cwd() : dirname(file);
  const workflows = Object.entries(checked.consumers).map(([consumer, keys]): [string, Map<string, Workflow>] => {
    const own = new Map<string, Workflow>();
    for (const [name, { file: named, size }] of Object.entries(keys.workflows)) {
      const path = resolve(folder, expandHome(named, env));
      const text = textOf(path);
      if ('wrong' in text) {
        problems.push(problemAt(['consumers', consumer, 'workflows', name], text.wrong));
        continue;
      }
      const reading = readWorkflow(text.value);
      if (reading.good) own.set(name, { text: text.value, size, ...placedIn(reading) });
      else {
        for (const { place, path: inside, message } of reading.faults) {
          problems.push({ file: path, ...place, keyPath: keyPathOf(inside), message });
        }
      }
    }
    return [consumer, own];
  });
  return { workflows: new Map(workflows), problems };
}

const placedIn = ({ slots, placeholders }: Pick<Workflow, 'slots' | 'placeholders'>) => ({ slots, placeholders });

function textOf(path: string): { readonly value: string } | { readonly wrong: string } {
  try {
    if (statSync(path).size > LARGEST_BYTES)
      return { wrong: 'larger than 1 MiB; this is no workflow, name another file' };
    return { value: readFileSync(path, 'utf8') };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return {
      wrong: `the workflow cannot be read (${code}); write its path, absolute or from the folder of this file`,
    };
  }
}
