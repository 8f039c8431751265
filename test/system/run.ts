/**
 * `npm run test:system [-- SUITE...] [--allow-missing]`: runs the system suites one after another, each in a process of
 * its own, and says for each what it lacks on this machine. A suite that cannot run is a failure, because a test that
 * silently does not run protects nothing; `--allow-missing` makes it a remark.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Need {
  /** A program in the PATH or in the system folders, or an absolute path. */
  readonly program: string;
  readonly debianPackage: string;
}

interface Suite {
  readonly name: string;
  readonly shows: string;
  readonly needs: readonly Need[];
  readonly needsRoot: boolean;
  /** Files beside the one of its name. */
  readonly more?: readonly string[];
}

const need = (program: string, debianPackage: string): Need => ({ program, debianPackage });

const SUITES: readonly Suite[] = [
  {
    name: 'package',
    shows: 'the packed tarball, installed into an empty folder',
    needs: [need('npm', 'npm'), need('curl', 'curl')],
    needsRoot: false,
  },
  {
    name: 'reverse-proxies',
    shows: 'nginx and HAProxy in front, as docs/operations.md configures them',
    needs: [need('nginx', 'nginx'), need('haproxy', 'haproxy')],
    needsRoot: false,
  },
  {
    name: 'page',
    shows: 'the page in a real browser: each of its states, its keys, and a story told by the demo',
    more: ['page-keys', 'page-demo'],
    needs: [need('chromium', 'chromium')],
    needsRoot: false,
  },
  {
    name: 'exposition',
    shows: '/metrics as Prometheus reads it',
    needs: [need('promtool', 'prometheus')],
    needsRoot: false,
  },
  {
    name: 'parking',
    shows: 'units stopped and started again for room, and whose a GPU process is, under a systemd user manager',
    needs: [
      need('sshd', 'openssh-server'),
      need('systemctl', 'systemd'),
      need('/usr/lib/systemd/user/dbus.socket', 'dbus-user-session'),
      need('nsenter', 'util-linux'),
      need('useradd', 'passwd'),
    ],
    needsRoot: true,
  },
  {
    name: 'deployment',
    shows: 'make deploy over ssh to another account, and the unit under a systemd user manager',
    needs: [
      need('make', 'make'),
      need('ssh', 'openssh-client'),
      need('sshd', 'openssh-server'),
      need('rsync', 'rsync'),
      need('systemctl', 'systemd'),
      need('/usr/lib/systemd/user/dbus.socket', 'dbus-user-session'),
      need('nsenter', 'util-linux'),
      need('useradd', 'passwd'),
    ],
    needsRoot: true,
  },
];

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

function isHere({ program }: Need): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** In words; empty when the suite can run. */
function lacks(suite: Suite): string[] {
  const missing = suite.needs.filter((wanted) => !isHere(wanted));
  return [
    ...missing.map(({ program, debianPackage }) => `${program} (Debian package ${debianPackage})`),
    ...(suite.needsRoot && process.getuid?.() !== 0 ? ['to be run as root'] : []),
  ];
}

async function runSuite(suite: Suite): Promise<boolean> {
  const files = [suite.name, ...(suite.more ?? [])].map((name) =>
    fileURLToPath(new URL(`./${name}.test.js`, import.meta.url)),
  );
  const child = spawn(process.execPath, ['--test', '--test-reporter=spec', ...files], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [status] = await once(child, 'exit');
  return status === 0;
}

async function main(words: readonly string[]): Promise<number> {
  const names = words.filter((word) => !word.startsWith('--'));
  const unknown = names.filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`no suite ${unknown.join(', ')}; there are: ${SUITES.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const failed: string[] = [];
  const missing: string[] = [];
  for (const suite of SUITES.filter(({ name }) => names.length === 0 || names.includes(name))) {
    console.log(`\n== ${suite.name}: ${suite.shows}`);
    const lacking = lacks(suite);
    if (lacking.length > 0) {
      console.log(`cannot run here; it lacks: ${lacking.join(', ')}`);
      missing.push(suite.name);
    } else if (!(await runSuite(suite))) failed.push(suite.name);
  }
  const allowed = words.includes('--allow-missing');
  const listed = (list: readonly string[]): string => (list.length === 0 ? 'none' : list.join(', '));
  console.log(
    `\nsystem suites: failed: ${listed(failed)}; could not run: ${listed(missing)}${allowed ? ' (allowed)' : ''}`,
  );
  return failed.length > 0 || (missing.length > 0 && !allowed) ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
