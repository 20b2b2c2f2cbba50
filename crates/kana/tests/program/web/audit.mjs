// The public audit suite for GraphQL over HTTP. Every MUST and every SHOULD has to pass; what is
// only a MAY is printed.

import { serverAudits } from 'graphql-http';

const { KANA_URL: url, KANA_DEV_KEY: key } = process.env;

const audits = serverAudits({
  url: `${url}/graphql`,
  fetchFn: (address, options = {}) =>
    fetch(address, { ...options, headers: { ...options.headers, authorization: key } }),
});
const results = await Promise.all(audits.map(({ fn }) => fn()));

let failed = 0;
for (const { id, name, status, reason, response } of results) {
  if (status === 'ok') continue;
  const isRequired = !name.startsWith('MAY');
  if (isRequired) failed += 1;
  const body = response?.bodyUsed ? '' : await response?.text();
  console.error(`${isRequired ? 'failed' : 'not done'}: ${id} ${name}: ${reason} ${body}`);
}
if (results.length < 50) throw new Error(`the suite has shrunk to ${results.length} audits`);
console.log(`${failed} of the required audits failed`);
process.exitCode = failed ? 1 : 0;
