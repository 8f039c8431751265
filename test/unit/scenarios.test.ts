import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatScenario, parseScenario, runScenario } from '../support/scenario.js';

const folder = join(import.meta.dirname, '../../../test/scenarios');

for (const name of readdirSync(folder)) {
  test(`scenario ${name}`, () => {
    const file = join(folder, name);
    const blocks = parseScenario(readFileSync(file, 'utf8'));
    const answers = runScenario(blocks);
    if (process.env.REWRITE_SCENARIOS === '1') writeFileSync(file, formatScenario(blocks, answers));
    else
      for (const [index, block] of blocks.entries())
        assert.equal(answers[index], block.expected, block.directives.join('\n'));
  });
}
