/**
 * Every open connection and what it is doing. Owns the set of sockets, so that closing the door ends each one at the
 * right moment: idle and upgraded ones at once, the others when their answer has gone out.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface Connections {
  opened(socket: Socket): void;
  /** An answer begins on its socket. */
  began(res: ServerResponse): void;
  upgraded(socket: Duplex): void;
  /** An answer has begun and is not out: nothing else may be written on this socket. */
  isMidAnswer(socket: Duplex): boolean;
  /** From now on a connection ends with the answer that it carries. */
  startClosing(): void;
  cutAll(): void;
}

/** `answering`: with a response that may still be waiting or flushing. */
type State = { readonly doing: 'idle' | 'upgraded' } | { readonly doing: 'answering'; readonly res: ServerResponse };

export function createConnections(): Connections {
  const states = new Map<Duplex, State>();
  let closing = false;

  return {
    opened(socket) {
      // A connection comes here again after an upgrade was declined.
      if (!states.has(socket)) socket.once('close', () => states.delete(socket));
      states.set(socket, { doing: 'idle' });
    },

    began(res) {
      const { socket } = res;
      if (socket === null) return;
      states.set(socket, { doing: 'answering', res });
      if (closing) res.shouldKeepAlive = false;
      res.on('close', () => {
        const now = states.get(socket);
        if (now?.doing !== 'answering' || now.res !== res) return;
        states.set(socket, { doing: 'idle' });
        if (closing) socket.destroySoon();
      });
    },

    upgraded(socket) {
      states.set(socket, { doing: 'upgraded' });
    },

    isMidAnswer(socket) {
      const state = states.get(socket);
      return state?.doing === 'answering' && state.res.headersSent && !state.res.writableFinished;
    },

    startClosing() {
      closing = true;
      for (const [socket, state] of states) if (state.doing !== 'answering') socket.destroy();
    },

    cutAll() {
      for (const socket of states.keys()) socket.destroy();
    },
  };
}
