/** Who can reach the daemon, and with which option others could: said on every start. Owns no state. */
import type { Configuration } from '../config/configuration.js';
import { isLoopbackName } from '../server/hosts.js';

/** `urls`: where it listens, port 0 replaced by the real one. */
export function reachLines(configuration: Configuration, urls: readonly string[]): string[] {
  const { allow, operators } = configuration.access;
  const others = allow.filter((network) => !isThisMachine(network));
  const networks = others.length === 0 ? 'nobody yet, see' : others.join(', ');
  const open = configuration.bind.filter(({ host }) => !isLoopbackName(host));
  const port = Number(new URL(urls[0] ?? 'http://127.0.0.1:8770').port || 80);
  const who =
    open.length === 0
      ? [
          `Only programs on this machine can reach it; with --bind 0.0.0.0:${port} (or bind in the file) others could: ${networks} (access.allow).`,
        ]
      : [
          `Others on the network can reach it: addresses in ${networks}; further ones with access.allow in the file.`,
          'With --bind 127.0.0.1 and a port, only programs on this machine could.',
        ];
  const loopbackOnly = operators.every(isThisMachine);
  const changes = loopbackOnly ? 'from this machine only' : `from ${operators.join(', ')} only`;
  return [`Listening on ${urls.join(' and ')}.`, ...who, `Drain, resume and reload: ${changes} (access.operators).`];
}

const isThisMachine = (network: string): boolean => network.startsWith('127.') || network.startsWith('::1/');
