// What a client learns by introspection is what the committed schemas say, which clients generate
// code from.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import {
  buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema,
} from 'graphql';

const { KANA_URL: url, KANA_DEV_KEY: key, KANA_DEV_PUBLIC_KEY: publicKey } = process.env;
const reference = new URL('../../../../../docs/reference/', import.meta.url);
const inOrder = (schema) => printSchema(lexicographicSortSchema(schema));

for (const [path, file, headers] of [
  ['/graphql', 'admin.graphql', { Authorization: key }],
  ['/client/graphql', 'client.graphql', { Authorization: publicKey, 'X-User-ID': '124' }],
]) {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ query: getIntrospectionQuery() }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  const committed = buildSchema(await readFile(new URL(file, reference), 'utf8'));
  assert.equal(inOrder(buildClientSchema(data)), inOrder(committed), file);
}
console.log('introspection says what is committed');
