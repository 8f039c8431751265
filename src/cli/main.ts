#!/usr/bin/env node
import { Command } from 'commander';
import { type Client, createClient } from './client.js';
import { reportFailure } from './failures.js';
/**
 * The command line: which commands there are, and which exit code they end with. Owns nothing else. What a command
 * needs is loaded when it runs, so that `mgpu status` answers at once.
 */
import { TARGET_ACTION_NAMES, TARGET_ACTIONS } from './target-actions.js';
import { findDaemon } from './url.js';

interface UrlFlag {
  readonly url?: string;
}

const { argv, env, stdout, stderr } = process;

/** Whoever reads us (`head`, a pager) may have seen enough. */
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const clientOf = async (flags: UrlFlag): Promise<Client> => createClient(await findDaemon(flags.url, env));

function addServerCommands(program: Command): void {
  program
    .command('serve')
    .description('run the daemon; without a file, on the services it finds at the usual ports')
    .option('--config <file>', 'the configuration (default: $MGPU_CONFIG, then the one in ~/.config/mgpumanager)')
    .option('--policy <name>', 'who gets the card when, in place of the policy in the file')
    .option('--bind <host:port>', 'where to listen, in place of the addresses in the file')
    .action(async (flags) => (await import('./serve.js')).serveCommand(flags, env));
  program
    .command('check')
    .description('say everything that is wrong with a configuration file')
    .argument('[file]', 'default: the one that serve would take')
    .option('--explain', 'print every effective value and where it is from', false)
    .action(async (file: string | undefined, { explain }: { explain: boolean }) => {
      const { checkCommand } = await import('./check.js');
      const { kindDefaults } = await import('../main.js');
      process.exitCode = await checkCommand({ file, explain, env, stdout, stderr, kinds: kindDefaults() });
    });
  program
    .command('discover')
    .description('look for services at the usual ports and print a configuration for them')
    .option('--host <host>', 'the machine to look at (default: this one)')
    .action(async ({ host }: { host?: string }) => (await import('./discover.js')).discoverCommand(host));
}

function clientCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--url <url>', 'the daemon (default: $MGPU_URL, then the configured address, then http://127.0.0.1:8770)');
}

function addLookingCommands(program: Command): void {
  clientCommand(program, 'status', 'the card, the queue and the services at one glance')
    .option('--watch', 'again every second, in place', false)
    .option('--json', 'as the daemon says it', false)
    .action(async (flags) => (await import('./status.js')).statusCommand(await clientOf(flags), flags));
  clientCommand(program, 'why', 'why a job waits or how it ended; how a service is, with its newest jobs')
    .argument('<job|target>', 'j_…, or the name of a consumer, or CONSUMER/MODEL')
    .action(async (asked: string, flags) => (await import('./why.js')).whyCommand(await clientOf(flags), asked));
  clientCommand(program, 'events', 'follow what happens, one line an event').action(async (flags) =>
    (await import('./events.js')).eventsCommand(await clientOf(flags)),
  );
}

function addOperatorCommands(program: Command): void {
  clientCommand(program, 'cancel', 'end a job that waits or runs')
    .argument('<job>', 'j_…')
    .action(async (id: string, flags) => (await import('./operate.js')).cancelCommand(await clientOf(flags), id));
  clientCommand(program, 'drain', 'let no new jobs in; those that wait or run go on').action(async (flags) =>
    (await import('./operate.js')).drainCommand(await clientOf(flags)),
  );
  clientCommand(program, 'resume', 'let new jobs in again').action(async (flags) =>
    (await import('./operate.js')).resumeCommand(await clientOf(flags)),
  );
  clientCommand(program, 'reload', 'read the configuration file again').action(async (flags) =>
    (await import('./operate.js')).reloadCommand(await clientOf(flags)),
  );
}

function addTargetCommands(program: Command): void {
  for (const action of TARGET_ACTION_NAMES) {
    clientCommand(program, action, TARGET_ACTIONS[action])
      .argument('<target>', 'CONSUMER or CONSUMER/MODEL')
      .option('--timeout <seconds>', 'how long to wait for it (load, evict); default 600')
      .action(async (target: string, flags) =>
        (await import('./act-on-target.js')).actOnTarget(await clientOf(flags), action, target, flags.timeout),
      );
  }
}

/** Its options are its own; they are loaded only for those who ask for it. */
async function addDemo(program: Command): Promise<void> {
  if (!argv.includes('demo')) {
    program.command('demo').description('the daemon with four small demo services and a pretend card; needs no GPU');
    return;
  }
  const { demoCommand } = await import('./demo.js');
  const { startDaemon } = await import('../main.js');
  const { createLog } = await import('../runtime/log.js');
  // What the daemon has to warn of is the demo's own making, and would come before the page's address.
  const log = createLog({ level: 'error' });
  const demo = demoCommand({
    startDaemon: ({ configFile, env: demoEnv }) => startDaemon({ source: { file: configFile }, env: demoEnv, log }),
    env,
    print: (text) => void stdout.write(text),
    printError: (text) => void stderr.write(text),
  });
  program.addCommand(demo.copyInheritedSettings(program));
}

async function addVersion(program: Command): Promise<void> {
  const asked = argv.includes('--version') || argv.includes('-V');
  program.version(asked ? (await import('../main.js')).VERSION : '');
}

async function run(): Promise<void> {
  const program = new Command('mgpu')
    .description('One GPU, many ML services: a broker that stands in front of them and makes them share.')
    .exitOverride()
    .showHelpAfterError('(mgpu --help, or mgpu COMMAND --help, says more)');
  addServerCommands(program);
  await addDemo(program);
  addLookingCommands(program);
  addOperatorCommands(program);
  addTargetCommands(program);
  await addVersion(program);
  await program.parseAsync(argv);
}

try {
  await run();
} catch (error) {
  process.exitCode = reportFailure(error);
}
