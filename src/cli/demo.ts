/**
 * `mgpu demo`: starts the demo and keeps it until a signal. Owns the signals while it runs; Ctrl-C once ends
 * everything in order, twice at once.
 */
import { Command, InvalidArgumentError } from 'commander';
import { type Demo, DemoError, type StartDaemon, startDemo } from '../demo/main.js';
import { startTraffic } from '../demo/traffic.js';

const DEFAULT_PORT = 8770;
/** Signals this close together are one. */
const SAME_SIGNAL_MS = 1_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface DemoCommandOptions {
  readonly startDaemon: StartDaemon;
  readonly env: NodeJS.ProcessEnv;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
}

interface Flags {
  readonly port: number;
  readonly host: string;
  readonly speed: number;
  readonly policy: string;
  readonly traffic: boolean;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535');
  return port;
}

function parseSpeed(text: string): number {
  const speed = Number(text);
  if (!(speed > 0 && speed <= 1000)) throw new InvalidArgumentError('a speed is a number above 0, at most 1000');
  return speed;
}

/**
 * Resolves with the first signal. Another one ends the process at once (its children notice that by themselves), but
 * not within the first second: under `npm run` one Ctrl-C arrives twice, from the terminal and from npm.
 */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | null = null;
    const onSignal = (): void => {
      if (firstAt === null) {
        firstAt = performance.now();
        resolve();
      } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
        process.exit(130);
      }
    };
    for (const signal of SIGNALS) process.on(signal, onSignal);
  });
}

async function runDemo(flags: Flags, options: DemoCommandOptions): Promise<number> {
  const { startDaemon, env, print } = options;
  const { host, port, speed, policy } = flags;
  const signalled = untilSignal();
  let demo: Demo;
  try {
    demo = await startDemo({ host, port, speed, policy, env, startDaemon, print });
  } catch (error) {
    if (!(error instanceof DemoError)) throw error;
    options.printError(`${error.message}\n`);
    return 1;
  }
  const traffic = flags.traffic ? startTraffic({ url: demo.url, speed, print }) : null;
  await signalled;
  print('\nEnding the demo ...\n');
  await traffic?.stop();
  await demo.stop();
  return 0;
}

/** The exit code goes into `process.exitCode`. */
export function demoCommand(options: DemoCommandOptions): Command {
  return new Command('demo')
    .description('the real broker in front of four small demo services and a pretend card; needs no GPU')
    .option('--port <number>', 'port to listen on (0: any free one)', parsePort, DEFAULT_PORT)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--speed <factor>', 'how many times faster than usual the services work', parseSpeed, 1)
    .option('--policy <name>', 'who gets the card, and when', 'vram-lru')
    .option('--traffic', 'let a few made-up clients use it', false)
    .action(async (flags: Flags) => {
      process.exitCode = await runDemo(flags, options);
    });
}
