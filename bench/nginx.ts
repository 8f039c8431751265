/** nginx as the yardstick: a service that answers at once, and a reverse proxy with upstream keep-alive. */
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Children, Running } from './children.js';

const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** null: not on this machine. */
export const NGINX: string | null = FOLDERS.map((folder) => join(folder, 'nginx')).find(existsSync) ?? null;

/** 194 bytes, as long as a short answer of a real service. */
export const SMALL_ANSWER = JSON.stringify({ text: 'the card is shared, one job at a time; '.repeat(5).slice(0, 183) });

const KEPT_OPEN = 'keepalive_requests 1000000000; keepalive_timeout 60s;';

/** One process: the worker is what answers, and its CPU time is what is compared. */
function start(children: Children, name: string, program: string, http: string): Promise<Running> {
  const folder = children.folder;
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${name}-${kind};`)
    .join(' ');
  const file = join(folder, `${name}.conf`);
  const write = (port: number): string[] => {
    writeFileSync(
      file,
      `daemon off; master_process off; pid ${folder}/${name}.pid; error_log stderr crit;
events { worker_connections 1024; }
http { access_log off; ${scratch} client_max_body_size 0; ${KEPT_OPEN} ${http.replaceAll('PORT', String(port))} }
`,
    );
    return ['-p', folder, '-e', 'stderr', '-c', file];
  };
  return children.start(program, write);
}

export function startNginxService(children: Children, program: string): Promise<Running> {
  const answer = `default_type application/json; return 200 '${SMALL_ANSWER}';`;
  return start(children, 'service', program, `server { listen 127.0.0.1:PORT; location / { ${answer} } }`);
}

/** `/v1/llm` goes to `small`, everything else to `streams`, piece by piece. */
export function startNginxProxy(children: Children, program: string, small: string, streams: string): Promise<Running> {
  const pool = (name: string, url: string) =>
    `upstream ${name} { server ${new URL(url).host}; keepalive 64; keepalive_requests 1000000000; }`;
  const pass = (name: string) => `proxy_pass http://${name}; proxy_http_version 1.1; proxy_set_header Connection "";`;
  const server = `server { listen 127.0.0.1:PORT;
    location /v1/llm { ${pass('small')} }
    location / { ${pass('streams')} proxy_buffering off; proxy_request_buffering off; }
  }`;
  return start(children, 'proxy', program, `${pool('small', small)} ${pool('streams', streams)} ${server}`);
}
