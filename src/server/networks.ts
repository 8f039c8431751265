/**
 * Addresses and networks, as sockets, `X-Forwarded-For` and the configuration write them. Keeps a bounded number of
 * answers, which cannot change.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';

/**
 * The bare address in a text: without brackets, port and zone, an IPv4 one out of its IPv6-mapped form. null: there is
 * none.
 */
export function plainAddress(text: string): string | null {
  // As sockets say it.
  if (isIPv4(text)) return text;
  const trimmed = text.trim();
  const inner = /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed;
  const bare = inner.replace(/%.*$/, '').toLowerCase();
  const mapped = /^::ffff:([\d.]+)$/.exec(bare)?.[1];
  const address = mapped ?? bare;
  return isIP(address) === 0 ? null : address;
}

/** `10.1.2.3` → `10.1.2.3/32`: an address as a line of the configuration. */
export function asNetwork(address: string): string {
  return `${address}/${isIPv4(address) ? 32 : 128}`;
}

/** Answers that are kept, per list: the same few callers come again and again, and looking one up makes an object. */
const KNOWN_ADDRESSES = 1000;

export interface Networks {
  has(address: string): boolean;
}

/** CIDR networks or single addresses, checked already by the configuration. Throws for what is neither. */
export function createNetworks(networks: readonly string[]): Networks {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  const known = new Map<string, boolean>();
  return {
    has(address) {
      let isIn = known.get(address);
      if (isIn === undefined) {
        isIn = isIP(address) !== 0 && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
        if (known.size >= KNOWN_ADDRESSES) known.clear();
        known.set(address, isIn);
      }
      return isIn;
    },
  };
}

const LOOPBACK = createNetworks(['127.0.0.0/8', '::1']);

export const isLoopback = (address: string): boolean => LOOPBACK.has(address);
