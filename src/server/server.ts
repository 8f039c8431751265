/**
 * The door: HTTP servers on every bind address, one dispatch behind them all. Owns the listening sockets and their
 * end; knows no route by name.
 */
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { BindAddress } from '../config/configuration.js';
import { BrokerError } from '../errors.js';
import type { ConfigurationPort, Log } from '../runtime/ports.js';
import { createAccess } from './access.js';
import { type Connections, createConnections } from './connections.js';
import { createDispatch, type Dispatch } from './dispatch.js';
import type { Route } from './exchange.js';
import { listenOn } from './listen.js';
import { answerClientError, declineUpgrade, isWebsocket, takeUpgrade } from './raw-connections.js';
import { plainErrorBody, sendError } from './respond.js';
import { createRouter } from './router.js';

export interface ServerOptions {
  readonly configuration: ConfigurationPort;
  readonly log: Log;
  readonly routes: readonly Route[];
  /** Time for a request's headers, from its first byte on; default 60 s. */
  readonly headersTimeoutMs?: number;
  /** Open connections per bind address; further ones are closed at once. Default 16,384. */
  readonly maxConnections?: number;
}

export interface DoorServer {
  /** The addresses in use, in the order of `bind`. Rejects with words a person can act on; then nothing listens. */
  listen(): Promise<readonly BindAddress[]>;
  /** No new connections; requests under way have `graceMs` to end, upgraded connections are cut at once. */
  close(graceMs: number): Promise<void>;
}

/**
 * Front proxies keep idle connections for about 60 s (nginx, HAProxy, cloud balancers). Whoever closes second meets no
 * request that was just sent, so ours stay open longer.
 */
const KEEP_ALIVE_MS = 75_000;
/** A client whose machine vanished sends no goodbye; it may wait here for hours. */
const TCP_PROBE_AFTER_MS = 15_000;

export function createServer(options: ServerOptions): DoorServer {
  const { configuration, log } = options;
  const dispatch = createDispatch(createRouter(options.routes), createAccess(configuration), log);
  const connections = createConnections();
  const servers: Server[] = [];

  async function close(graceMs: number): Promise<void> {
    // Node's own `close` for HTTP cuts answers that are still flushing to a slow reader; the bare one waits for them.
    const open = servers.splice(0).filter((server) => server.listening);
    const closed = open.map(
      (server) => new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve())),
    );
    connections.startClosing();
    const cut = setTimeout(() => connections.cutAll(), graceMs);
    await Promise.all(closed);
    clearTimeout(cut);
  }

  return {
    async listen() {
      const { bind } = configuration.current();
      const used: BindAddress[] = [];
      try {
        for (const address of bind) {
          const server = openServer(options, dispatch, connections);
          servers.push(server);
          used.push(await listenOn(server, address, needsIpv6Only(address, bind)));
        }
      } catch (error) {
        await close(0);
        throw error;
      }
      return used;
    },
    close,
  };
}

/** `::` takes the IPv4 port as well, unless told not to; beside `0.0.0.0` it must not. */
function needsIpv6Only(address: BindAddress, bind: readonly BindAddress[]): boolean {
  return address.host === '::' && bind.some((other) => !other.host.includes(':') && other.port === address.port);
}

function openServer(options: ServerOptions, dispatch: Dispatch, connections: Connections): Server {
  const { log } = options;
  const headersTimeout = options.headersTimeoutMs ?? 60_000;
  const server = createHttpServer({
    // Uploads and waits take as long as they take; other limits end them.
    requestTimeout: 0,
    headersTimeout,
    connectionsCheckingInterval: Math.min(30_000, headersTimeout),
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAlive: true,
    keepAliveInitialDelay: TCP_PROBE_AFTER_MS,
    // We refuse a missing Host ourselves, with words.
    requireHostHeader: false,
  });
  server.maxConnections = options.maxConnections ?? 16_384;
  const take = (req: IncomingMessage, res: ServerResponse, expectsContinue: boolean) => {
    connections.began(res);
    res.on('error', (error) => log.debug({ err: error }, 'an answer could not be sent'));
    void dispatch.request(req, res, expectsContinue);
  };
  server.on('connection', connections.opened);
  server.on('drop', (data) => log.warn({ remote: data?.remoteAddress }, 'too many connections, closed one'));
  server.on('request', (req, res) => take(req, res, false));
  server.on('checkContinue', (req, res) => take(req, res, true));
  server.on('checkExpectation', refuseExpectation);
  server.on('clientError', (error, socket) => answerClientError(error, socket, connections, log));
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (isWebsocket(req)) takeUpgrade(socket, connections, log, () => dispatch.upgrade(req, socket, head));
    else declineUpgrade(server, req, socket, head);
  });
  server.on('connect', (_req, socket) => takeUpgrade(socket, connections, log, refuseTunnel));
  return server;
}

/** Somebody has us as the proxy of the whole machine (`https_proxy`). */
function refuseTunnel(): never {
  const text = 'this is no forward proxy; ask it by its own address, and take it out of https_proxy';
  throw new BrokerError('method_not_allowed', text);
}

function refuseExpectation(req: IncomingMessage, res: ServerResponse): void {
  const text = `Expect: ${req.headers.expect ?? ''} is not understood here; only 100-continue is`;
  const exchange = { req, res, expectsContinue: true, errorBody: plainErrorBody };
  sendError(exchange, new BrokerError('bad_request', text), 417);
}
