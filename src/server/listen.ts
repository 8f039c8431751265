/** Opens one server on its address, and says in words why it could not. Keeps nothing. */
import type { Server } from 'node:http';
import type { BindAddress } from '../config/configuration.js';

/** `127.0.0.1:8770`, `[::1]:8770` */
export function formatAddress({ host, port }: BindAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The reasons a person can mend, by the code of the system. */
const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'another program listens there (`ss -ltnp` shows which; perhaps mgpu runs already); stop it, or choose another port with `bind`',
  EACCES: 'this account may not listen there (ports below 1024 need root); choose a port from 1024 on with `bind`',
  EADDRNOTAVAIL: 'this machine has no such address; name one of its own, or 0.0.0.0 for all, in `bind`',
  ENOTFOUND: 'the host name is not known here; name an IP address in `bind`',
};

/** Resolves with the address in use (port 0 replaced by the real one). */
export async function listenOn(server: Server, address: BindAddress, ipv6Only: boolean): Promise<BindAddress> {
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException) => reject(explain(address, cause));
    server.once('error', fail);
    server.listen({ host: address.host, port: address.port, ipv6Only }, () => {
      server.off('error', fail);
      resolve();
    });
  });
  const used = server.address();
  return used === null || typeof used === 'string' ? address : { host: address.host, port: used.port };
}

function explain(address: BindAddress, cause: NodeJS.ErrnoException): Error {
  const remedy = REMEDIES[cause.code ?? ''] ?? 'another address can be chosen with `bind`';
  return new Error(`cannot listen on ${formatAddress(address)} (${cause.code ?? cause.message}): ${remedy}`, { cause });
}
