/**
 * The demo in a process of its own, for tests that kill it: a daemon of a few lines in place of the real one (it
 * only listens and reads its configuration). Writes one JSON line when the demo is up.
 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Command } from 'commander';
import { parse } from 'yaml';
import { demoCommand } from '../../src/cli/demo.js';
import type { StartDaemon } from '../../src/demo/main.js';
import { valueAt } from './json-value.js';

export const startListener: StartDaemon = async ({ configFile }) => {
  const bind = String(valueAt(parse(readFileSync(configFile, 'utf8')), 'bind'));
  const server = createServer((_, response) => response.end('here'));
  server.listen(Number(bind.slice(bind.lastIndexOf(':') + 1)), '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    urls: [`http://127.0.0.1:${port}`],
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
};

if (process.argv[2] === 'run') {
  await new Command()
    .addCommand(
      demoCommand({
        startDaemon: startListener,
        env: process.env,
        print: (text) => process.stdout.write(text),
        printError: (text) => process.stderr.write(text),
      }),
    )
    .parseAsync(['demo', ...process.argv.slice(3)], { from: 'user' });
}
