/** What is committed in docs/reference/ is what the schema says today. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PAGE_FILE, referencePage, referenceSchema, SCHEMA_FILE } from '../../src/config/reference.js';

const REMEDY = 'make it anew: node dist/src/config/reference.js docs/reference';
const committed = (name: string) => readFile(new URL(`../../../docs/reference/${name}`, import.meta.url), 'utf8');

test('the reference page is up to date', async () => {
  assert.equal(await committed(PAGE_FILE), referencePage(), REMEDY);
});

test('the JSON Schema for editors is up to date', async () => {
  assert.equal(await committed(SCHEMA_FILE), referenceSchema(), REMEDY);
});
