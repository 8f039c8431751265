import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createUiRoutes } from '../../src/control/ui.js';
import { valueAt } from '../support/json-value.js';
import { openControl } from '../support/open-control.js';
import { openDoor } from '../support/open-door.js';
import { call } from '../support/wire.js';

async function openUi(t: TestContext, built = true): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'mgpu-ui-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  if (built) {
    mkdirSync(join(folder, 'assets'));
    writeFileSync(join(folder, 'index.html'), '<!doctype html><title>page</title>');
    writeFileSync(join(folder, 'assets', 'index-abc.js'), 'export const x = 1;\n');
    writeFileSync(join(folder, 'secret.txt'), 'not of the page');
  }
  const { port } = await openDoor(t, createUiRoutes(folder));
  return port;
}

test('the page lets nothing in from elsewhere and runs nothing but its own files', async (t) => {
  const port = await openUi(t);
  const { headers, status, text } = await call(port, '/ui/');
  assert.equal(status, 200);
  assert.match(text, /<title>page/);
  const policy = headers['content-security-policy'] ?? '';
  assert.match(String(policy), /^default-src 'none'; script-src 'self'; style-src 'self'/);
  assert.doesNotMatch(String(policy), /unsafe|\*|https?:|data:/);
  for (const part of [
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
  ]) {
    assert.ok(String(policy).includes(part), part);
  }
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
});

test('a file named by its content is kept for ever, the page itself is asked for again', async (t) => {
  const port = await openUi(t);
  const asset = await call(port, '/ui/assets/index-abc.js');
  assert.equal(asset.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.match(String(asset.headers['cache-control']), /immutable/);
  const page = await call(port, '/ui/');
  assert.equal(page.headers['cache-control'], 'no-cache');
  const again = await call(port, '/ui/', { headers: { 'If-None-Match': String(page.headers.etag) } });
  assert.equal(again.status, 304);
  assert.equal(again.text, '');
});

test('a job has an address of its own, which the page answers', async (t) => {
  const port = await openUi(t);
  const { status, text } = await call(port, '/ui/jobs/j_aaaaaaaaaaaaaaaaaaaa');
  assert.equal(status, 200);
  assert.match(text, /<title>page/);
});

test('what the build did not make is not served', async (t) => {
  const port = await openUi(t);
  for (const path of ['/ui/secret.txt', '/ui/assets/none.js', '/ui/assets/..%2f..%2fpackage.json']) {
    const { status } = await call(port, path);
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
  }
});

test('who takes gzip gets it, who does not gets it plain, and a cache is told', async (t) => {
  const port = await openUi(t);
  const plain = await call(port, '/ui/assets/index-abc.js');
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(plain.headers.vary, 'Accept-Encoding');
  const response = await fetch(`http://127.0.0.1:${port}/ui/assets/index-abc.js`, {
    headers: { 'Accept-Encoding': 'gzip' },
  });
  assert.equal(response.headers.get('content-encoding'), 'gzip');
  assert.equal(await response.text(), plain.text);
  const head = await call(port, '/ui/assets/index-abc.js', { method: 'HEAD' });
  assert.equal(head.text, '');
  assert.equal(Number(head.headers['content-length']), Buffer.byteLength(plain.text));
});

test('/ui goes to /ui/, for the page asks for its files beside it', async (t) => {
  const port = await openUi(t);
  const { status, headers } = await call(port, '/ui');
  assert.equal(status, 308);
  assert.equal(headers.location, '/ui/');
});

test('a copy into which the page was not built says so', async (t) => {
  const port = await openUi(t, false);
  const { status, text } = await call(port, '/ui/');
  assert.equal(status, 404);
  assert.match(text, /npm run build/);
});

test('whoami tells what the caller may do', async (t) => {
  const { port } = await openControl(t);
  const here: unknown = JSON.parse((await call(port, '/v1/whoami')).text);
  assert.equal(valueAt(here, 'may_operate'), true);
  assert.equal(valueAt(here, 'look_only'), null);
  const there = await call(port, '/v1/whoami', { headers: { 'X-Forwarded-For': '10.1.2.3' } });
  const observer: unknown = JSON.parse(there.text);
  assert.equal(valueAt(observer, 'address'), '10.1.2.3');
  assert.equal(valueAt(observer, 'may_operate'), false);
  assert.deepEqual(valueAt(observer, 'operators'), ['127.0.0.0/8', '::1/128']);
  assert.match(String(valueAt(observer, 'look_only')), /access\.operators: \[\.\.\., "10\.1\.2\.3\/32"\]/);
});
