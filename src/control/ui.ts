/**
 * The page at `/ui/`: static files, read once and kept in memory, under a policy that lets nothing in from elsewhere
 * and runs nothing that is not one of these files. Owns those files' bytes; knows nothing of what they show.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { BrokerError } from '../errors.js';
import type { Exchange, Route } from '../server/exchange.js';

interface PageFile {
  readonly type: string;
  readonly plain: Buffer;
  readonly zipped: Buffer;
  readonly tag: string;
  /** Its name changes with its content, so a browser may keep it for ever. */
  readonly isNamedByContent: boolean;
}

/** What the build makes, and nothing else, is served. */
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const HEADERS = {
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
  Vary: 'Accept-Encoding',
};

const BUILT = fileURLToPath(new URL('../../ui/', import.meta.url));

/** `folder`: where the built page lies; a test has its own. */
export function createUiRoutes(folder: string = BUILT): Route[] {
  const files = readFiles(folder);

  function index(exchange: Exchange): void {
    send(exchange, files.get('index.html') ?? notBuilt());
  }

  function asset(exchange: Exchange): void {
    const name = exchange.params['*'] ?? '';
    const file = files.get(name);
    if (file === undefined) throw new BrokerError('not_found', `the page has no file ${name}`);
    send(exchange, file);
  }

  function toPage({ res }: Exchange): void {
    res.writeHead(308, { Location: '/ui/', 'Content-Length': 0 }).end();
  }

  return [
    { method: 'GET', path: '/ui', needs: 'ask', handler: toPage },
    { method: 'GET', path: '/ui/', needs: 'ask', handler: index },
    // The page itself shows the job that its address names.
    { method: 'GET', path: '/ui/jobs/*', needs: 'ask', handler: index },
    { method: 'GET', path: '/ui/*', needs: 'ask', handler: asset },
  ];
}

function notBuilt(): never {
  throw new BrokerError('not_found', 'the page was not built into this copy; run npm run build, then start again');
}

/** A copy without the page still serves everything else. */
function readFiles(folder: string): Map<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const path of listFiles(folder)) {
    const type = TYPES[extname(path)];
    if (type === undefined) continue;
    const name = path.split(sep).join('/');
    const plain = readFileSync(join(folder, path));
    const tag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
    files.set(name, { type, plain, zipped: gzipSync(plain), tag, isNamedByContent: name.startsWith('assets/') });
  }
  return files;
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function send({ req, res }: Exchange, file: PageFile): void {
  const headers = {
    ...HEADERS,
    ETag: file.tag,
    'Cache-Control': file.isNamedByContent ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
  if (req.headers['if-none-match'] === file.tag) {
    res.writeHead(304, headers).end();
    return;
  }
  const zip = /\bgzip\b/.test(String(req.headers['accept-encoding'] ?? ''));
  const body = zip ? file.zipped : file.plain;
  res.writeHead(200, {
    ...headers,
    'Content-Type': file.type,
    'Content-Length': body.length,
    ...(zip ? { 'Content-Encoding': 'gzip' } : {}),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}
