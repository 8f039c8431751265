import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { BrokerError, CATALOGUE, type ErrorCode, isErrorCode } from '../../src/errors.js';
import type { Route } from '../../src/server/exchange.js';
import { openDoor } from '../support/open-door.js';
import { call } from '../support/wire.js';

const codes = Object.keys(CATALOGUE).filter(isErrorCode);

test('the page of errors lists every code with its status, type and whether waiting helps', async () => {
  // From dist/test/unit to the root of the project.
  const page = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d+) \| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$/gm)];
  const documented = rows.map(([, code, status, type, retry]) => `${code} ${status} ${type} ${retry}`);
  const known = codes.map((code) => {
    const { status, type, retryAfterS } = CATALOGUE[code];
    return `${code} ${status} ${type} ${retryAfterS === null ? 'never' : `${retryAfterS} s`}`;
  });
  assert.deepEqual(documented, known);
});

test('what waiting cannot mend says so: every 4xx but 429', () => {
  for (const code of codes) {
    const { status, retryAfterS } = CATALOGUE[code];
    if (status < 500) assert.equal(retryAfterS !== null, status === 429, code);
  }
});

test('every code arrives in the one shape, with the headers that belong to it', async (t) => {
  const thrower: Route = {
    method: 'GET',
    path: '/throw/:code',
    needs: 'ask',
    handler({ params }) {
      const code = params.code ?? '';
      assert.ok(isErrorCode(code));
      throw new BrokerError(code, `this is ${code}`, { consumer: 'mvoice', job: 'j_1', param: 'model' });
    },
  };
  const { port } = await openDoor(t, [thrower]);
  for (const code of codes) {
    const { status, type, retryAfterS } = CATALOGUE[code];
    const answer = await call(port, `/throw/${code}`);
    assert.equal(answer.status, status, code);
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
    assert.equal(answer.headers['content-length'], String(Buffer.byteLength(answer.text)));
    assert.equal(answer.headers['x-mgpu-error'], code);
    assert.equal(answer.headers['retry-after'], retryAfterS === null ? undefined : String(retryAfterS), code);
    assert.equal(answer.headers['x-should-retry'], retryAfterS === null ? 'false' : undefined, code);
    const expected = { message: `this is ${code}`, type, code, param: 'model', consumer: 'mvoice', job: 'j_1' };
    assert.deepEqual(JSON.parse(answer.text), { error: { ...expected, retry_after_s: retryAfterS } });
  }
});

test('Retry-After stays within 1 to 60 seconds, whatever the moment knows', () => {
  const after = (code: ErrorCode, retryAfterS: number | null) =>
    new BrokerError(code, 'x', { retryAfterS }).responseHeaders()['Retry-After'];
  assert.equal(after('queue_full', 0.2), '1');
  assert.equal(after('queue_full', 4000), '60');
  assert.equal(after('consumer_down', null), undefined);
});
