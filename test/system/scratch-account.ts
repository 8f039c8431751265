/**
 * A second account of this machine with a systemd user manager of its own and an sshd on loopback that lets only it in:
 * a host to deploy to. Owns the account and takes it away again, also after a signal; what an earlier run left behind
 * because it was killed is taken away first. Root only.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.js';
import { eventually, mustRun, type Outcome, ROOT, runProgram } from './programs.js';

const MANAGER = join(ROOT, 'test/system/user-manager.sh');
const PREFIX = 'mgpu-test-';

export interface ScratchAccount {
  readonly name: string;
  readonly home: string;
  /** USER@HOST, and the options with which ssh gets there. */
  readonly host: string;
  readonly sshOptions: string;
  /** In the account, able to reach its user manager. */
  run(command: string, ...args: string[]): Promise<Outcome>;
  /** A property of a unit, as `systemctl --user show` gives it. */
  property(unit: string, name: string): Promise<string>;
  /** A file below the home folder, owned by the account. */
  write(path: string, text: string): void;
  remove(): void;
}

const nameIsFree = (name: string): boolean => !new RegExp(`^${name}:`, 'm').test(readFileSync('/etc/passwd', 'utf8'));

function removeAccount(name: string): void {
  if (nameIsFree(name)) return;
  execFileSync('bash', [MANAGER, 'kill', name], { stdio: 'ignore' });
  execFileSync('userdel', ['--remove', '--force', name], { stdio: 'ignore' });
}

/** Accounts are named after the process that made them. */
function removeLeftovers(): void {
  for (const [, name, pid] of readFileSync('/etc/passwd', 'utf8').matchAll(new RegExp(`^(${PREFIX}(\\d+)):`, 'gm'))) {
    if (name !== undefined && !isAlive(Number(pid))) removeAccount(name);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export async function openScratchAccount(): Promise<ScratchAccount> {
  removeLeftovers();
  const name = `${PREFIX}${process.pid}`;
  const work = mkdtempSync(join(tmpdir(), `${name}-`));
  let sshd: ChildProcess | undefined;
  const remove = (): void => {
    for (const signal of SIGNALS) process.removeListener(signal, removeAndGo);
    sshd?.kill('SIGKILL');
    removeAccount(name);
    rmSync(work, { recursive: true, force: true });
  };
  const removeAndGo = (): void => {
    remove();
    process.exit(130);
  };
  for (const signal of SIGNALS) process.on(signal, removeAndGo);
  try {
    await mustRun('useradd', ['--create-home', '--shell', '/bin/bash', '--password', '*', name]);
    await mustRun('bash', [MANAGER, 'start', name]);
    const port = await freePort();
    await writeSshFiles(name, work, port);
    sshd = spawn(
      'bash',
      [MANAGER, 'enter', name, '/usr/sbin/sshd', '-D', '-f', join(work, 'sshd_config'), '-E', join(work, 'sshd.log')],
      {
        stdio: 'ignore',
      },
    );
    await eventually(`sshd listens on port ${port}`, 60_000, () => connects(port));
    const options = `-p ${port} -i ${work}/id -o UserKnownHostsFile=${work}/known -o IdentitiesOnly=yes -o BatchMode=yes -F none`;
    return describeAccount(name, options, remove);
  } catch (error) {
    remove();
    throw error;
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function describeAccount(name: string, sshOptions: string, remove: () => void): ScratchAccount {
  const [uid, gid] = ['-u', '-g'].map((option) => Number(execFileSync('id', [option, name], { encoding: 'utf8' })));
  const home = join('/home', name);
  const run = (command: string, ...args: string[]): Promise<Outcome> =>
    runProgram('bash', [MANAGER, 'run', name, command, ...args]);
  return {
    name,
    home,
    host: `${name}@127.0.0.1`,
    sshOptions,
    run,
    property: async (unit, property) =>
      (await run('systemctl', '--user', 'show', unit, `--property=${property}`, '--value')).stdout.trim(),
    write: (path, text) => {
      if (uid === undefined || gid === undefined) throw new Error(`no account ${name}`);
      const parts = path.split('/');
      for (let depth = 1; depth < parts.length; depth += 1) {
        const folder = join(home, ...parts.slice(0, depth));
        if (mkdirSync(folder, { recursive: true }) !== undefined) chownSync(folder, uid, gid);
      }
      writeFileSync(join(home, path), text);
      chownSync(join(home, path), uid, gid);
    },
    remove,
  };
}

async function writeSshFiles(name: string, work: string, port: number): Promise<void> {
  const ssh = join('/home', name, '.ssh');
  for (const key of ['host', 'id'])
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(work, key)]);
  await mustRun('install', ['-d', '-m', '700', '-o', name, '-g', name, ssh]);
  await mustRun('install', ['-m', '600', '-o', name, '-g', name, join(work, 'id.pub'), join(ssh, 'authorized_keys')]);
  writeFileSync(join(work, 'known'), `[127.0.0.1]:${port} ${readFileSync(join(work, 'host.pub'), 'utf8')}`);
  // Without PAM there is no XDG_RUNTIME_DIR, as on some hosts: the deployment must find the manager all the same.
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(work, 'host')}`,
    `PidFile ${join(work, 'sshd.pid')}`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin no',
    'UsePAM no',
    'LogLevel ERROR',
    `AllowUsers ${name}`,
  ];
  writeFileSync(join(work, 'sshd_config'), `${lines.join('\n')}\n`);
  mkdirSync('/run/sshd', { recursive: true });
}

/** true, or undefined while nobody listens. */
const connects = (port: number): Promise<true | undefined> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(undefined));
  });
