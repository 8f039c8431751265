/**
 * Tells the service manager how the daemon is (`sd_notify(3)`), through `systemd-notify` as a child process, since
 * Node has no datagram sockets of that family. Owns the child, one at a time and never for long, and the watchdog's
 * timer. Does nothing where nobody waits for it (no `NOTIFY_SOCKET`). Never ends or restarts anything itself.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import type { Log } from './ports.js';

export interface NotifyOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  /** Asked before each sign of life: without one the service manager restarts the daemon. */
  readonly healthy: () => boolean;
  /** How long one message may take; default 5 s. */
  readonly messageMayTakeMs?: number;
}

export interface Notifier {
  /** From now on the watchdog is fed, too. */
  ready(status: string): void;
  status(text: string): void;
  /** Until the end: the watchdog goes on while the last jobs finish. */
  stopping(status: string): void;
  /** Ends the watchdog; resolves when everything that was said is on its way, or its time is up. */
  close(): Promise<void>;
}

const COMMAND = 'systemd-notify';

export function createNotifier(options: NotifyOptions): Notifier {
  const socket = options.env.NOTIFY_SOCKET;
  return socket === undefined || socket === '' ? NOBODY_WAITS : new SystemdNotifier(options);
}

const NOBODY_WAITS: Notifier = {
  ready() {},
  status() {},
  stopping() {},
  close: () => Promise.resolve(),
};

class SystemdNotifier implements Notifier {
  readonly #options: NotifyOptions;
  /** What is to be said next, by name: a newer status takes the place of an older one. */
  readonly #pending = new Map<string, string>();
  #child: ChildProcess | null = null;
  #watchdog: NodeJS.Timeout | null = null;
  #lastFailure: string | null = null;
  #wasHealthy = true;
  #unavailable = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: NotifyOptions) {
    this.#options = options;
  }

  ready(status: string): void {
    this.#say({ READY: '1', STATUS: oneLine(status) });
    const periodMs = watchdogPeriodMs(this.#options.env);
    if (periodMs === null || this.#watchdog !== null) return;
    this.#watchdog = setInterval(() => this.#giveSignOfLife(), periodMs);
    this.#watchdog.unref();
  }

  status(text: string): void {
    this.#say({ STATUS: oneLine(text) });
  }

  stopping(status: string): void {
    this.#say({ STOPPING: '1', STATUS: oneLine(status) });
  }

  close(): Promise<void> {
    if (this.#watchdog !== null) clearInterval(this.#watchdog);
    this.#watchdog = null;
    if (this.#child === null) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #giveSignOfLife(): void {
    const healthy = this.#options.healthy();
    if (!healthy && this.#wasHealthy) {
      this.#options.log.error(
        {},
        'the scheduler makes no progress: the watchdog is not fed, so systemd will restart it',
      );
    }
    this.#wasHealthy = healthy;
    if (healthy) this.#say({ WATCHDOG: '1' });
  }

  #say(variables: Readonly<Record<string, string>>): void {
    if (this.#unavailable) return;
    for (const [name, value] of Object.entries(variables)) this.#pending.set(name, value);
    if (this.#child === null) this.#send();
  }

  /** Waits for the manager's receipt: a message from a process that is gone can no longer be told to be ours. */
  #send(): void {
    const { env, messageMayTakeMs: timeout = 5000 } = this.#options;
    const message = [...this.#pending].map(([name, value]) => `${name}=${value}`);
    this.#pending.clear();
    this.#child = execFile(COMMAND, message, { env, timeout, killSignal: 'SIGKILL' }, (error) => this.#sent(error));
  }

  #sent(error: Error | null): void {
    this.#child = null;
    if (error === null) this.#lastFailure = null;
    else this.#tellFailure(error);
    if (this.#pending.size > 0) {
      this.#send();
      return;
    }
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Once, not with every sign of life. */
  #tellFailure(error: Error): void {
    if ('code' in error && (error.code === 'ENOENT' || error.code === 'EACCES')) {
      this.#unavailable = true;
      this.#pending.clear();
      const remedy = 'install systemd-notify (package systemd), or use Type=simple and no WatchdogSec in the unit';
      this.#options.log.warn({}, `systemd waits for a message, but ${COMMAND} cannot be started; ${remedy}`);
      return;
    }
    const timedOut = 'killed' in error && error.killed === true;
    const failure = timedOut ? `${COMMAND} did not end in time` : error.message.trim();
    if (failure !== this.#lastFailure) this.#options.log.warn({ cause: failure }, 'systemd could not be told');
    this.#lastFailure = failure;
  }
}

/** Half of what systemd allows, as `sd_watchdog_enabled(3)` advises; null: nobody watches, or watches another process. */
function watchdogPeriodMs(env: NodeJS.ProcessEnv): number | null {
  const allowedMicroseconds = Number(env.WATCHDOG_USEC);
  if (!(allowedMicroseconds > 0)) return null;
  if (env.WATCHDOG_PID !== undefined && Number(env.WATCHDOG_PID) !== process.pid) return null;
  return Math.max(1, Math.floor(allowedMicroseconds / 2000));
}

/** A line break would begin another variable. */
const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
