import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../../src/server/exchange.js';
import { createRouter } from '../../src/server/router.js';

const route = (method: Route['method'], path: string): Route => ({ method, path, needs: 'ask', handler() {} });

const router = createRouter([
  route('GET', '/v1/jobs/:id'),
  route('DELETE', '/v1/jobs/:id'),
  route('POST', '/v1/tts'),
  route('*', '/consumers/:name/*'),
  route(['GET', 'HEAD'], '/audio/*'),
]);

const paramsOf = (method: string, path: string) => {
  const found = router.find(method, path);
  assert.equal(found.kind, 'found', `${method} ${path}`);
  return found.kind === 'found' ? { ...found.params } : {};
};

test('parameters with odd characters come out decoded', () => {
  assert.equal(paramsOf('GET', '/v1/jobs/j_%C3%A4%20b').id, 'j_ä b');
  assert.equal(paramsOf('GET', '/v1/jobs/a%2Fb').id, 'a/b');
  assert.equal(paramsOf('GET', '/v1/jobs/a%25b').id, 'a%b');
  assert.equal(paramsOf('GET', '/v1/jobs/a:b+c@d').id, 'a:b+c@d');
  assert.equal(paramsOf('GET', `/v1/jobs/${'x'.repeat(5000)}`).id, 'x'.repeat(5000));
});

test('everything below a consumer reaches its route, for every method', () => {
  for (const path of [
    '/consumers/mvoice/',
    '/consumers/mvoice/a/b/',
    '/consumers/mvoice//double',
    '/consumers/m.v_o-1/x',
  ]) {
    for (const method of ['GET', 'POST', 'PROPFIND', 'QUERY', 'OPTIONS']) {
      assert.equal(paramsOf(method, path).name, path.split('/')[2]);
    }
  }
});

test('a prefix is not a match', () => {
  for (const path of ['/v1/ttsx', '/v1', '/', '//v1/tts', '/v1/tts/x', '/audio', '/V1/tts']) {
    assert.equal(router.find('POST', path).kind, 'none', path);
  }
});

test('a percent-encoded letter of a fixed path is that letter', () => {
  assert.equal(router.find('POST', '/v1/%74ts').kind, 'found');
});

test('one trailing slash is forgiven where no other route has it', () => {
  assert.equal(router.find('POST', '/v1/tts/').kind, 'found');
  assert.equal(router.find('POST', '/v1/tts//').kind, 'none');
});

test('another method on a known path names the allowed ones', () => {
  assert.deepEqual(router.find('PUT', '/v1/jobs/j_1'), { kind: 'other_method', allow: ['DELETE', 'GET', 'HEAD'] });
  assert.deepEqual(router.find('GET', '/v1/tts'), { kind: 'other_method', allow: ['POST'] });
  assert.deepEqual(router.find('constructor', '/v1/tts'), { kind: 'other_method', allow: ['POST'] });
});

test('HEAD is served by GET', () => {
  assert.equal(paramsOf('HEAD', '/v1/jobs/j_1').id, 'j_1');
});

test('two routes for the same method and path are refused at start', () => {
  assert.throws(() => createRouter([route('GET', '/a'), route(['POST', 'GET'], '/a')]), /two routes for GET \/a/);
});
