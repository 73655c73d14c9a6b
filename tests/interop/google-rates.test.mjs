// The rates of IoT Core: as documented where nothing is said, and each of a tenant's own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from '../lib/server.mjs';

const parent = 'projects/rates/locations/europe-west1/registries';
const registry = `${parent}/halls`;
let server, token;
before(async () => {
  server = await (await Server.create()).start();
  token = await server.token();
  await server.cli('tenant', 'create', 'rates');
  assert.equal((await call('POST', parent, { id: 'halls' })).status, 200);
  assert.equal((await call('POST', `${registry}/devices`, { id: 'lamp' })).status, 200);
});
after(() => server?.close());

const call = (method, path, body) => server.call(method, `/v1/${path}`, { token, body });
const patch = (path, mask, body) => call('PATCH', `${path}?updateMask=${mask}`, body);
// So many at the same time that a second cannot pass between each two of them.
const crowd = (run) => Promise.all(Array.from({ length: 12 }, (_, n) => run(n)));
const statuses = (answers) => new Set(answers.map(({ status }) => status));

test('a device and a registry change once a second, by default', async () => {
  for (const run of [() => patch(`${registry}/devices/lamp`, 'metadata', { metadata: { a: 'b' } }),
    () => patch(registry, 'log_level', { logLevel: 'INFO' })]) {
    const answers = await crowd(run);
    assert.deepEqual(statuses(answers), new Set([200, 429]));
    assert.equal(answers.find(({ status }) => status === 429).body.error.status, 'RESOURCE_EXHAUSTED');
  }
  const { rates } = JSON.parse(await server.cli('tenant', 'limits', 'rates', '--json'));
  assert.deepEqual(rates, {
    states_per_second: 1, http_events_per_minute: 6000, device_updates_per_second: 1, registry_updates_per_second: 1,
    reads_per_minute: 30000, changes_per_minute: 3000, configs_per_minute: 6000, requests_per_minute: 60000,
  });
});

test('a tenant has its own, or none', async () => {
  await server.cli('tenant', 'limits', 'rates', '--no-compat', '--rate', 'changes_per_minute=2');
  assert.deepEqual(statuses(await crowd(() => patch(`${registry}/devices/lamp`, 'blocked', { blocked: false }))), new Set([200]));
  const made = await crowd((n) => call('POST', `${registry}/devices`, { id: `lamp-${n}` }));
  assert.deepEqual(statuses(made), new Set([200, 429]));
  await server.cli('tenant', 'limits', 'rates', '--default');
  assert.equal(JSON.parse(await server.cli('tenant', 'limits', 'rates', '--json')).rates.changes_per_minute, 3000);
  assert.equal((await server.tryCli(['tenant', 'limits', 'rates', '--rate', 'nothing=2'])).code, 1);
  assert.equal((await server.tryCli(['tenant', 'limits', 'rates', '--rate', 'changes_per_minute=x'])).code, 2);
});
