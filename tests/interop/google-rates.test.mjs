// The rates of IoT Core: as documented where nothing is said, and each of a tenant's own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deviceToken, eventually, Server } from '../lib/server.mjs';
import { connect, makeDevice, makeProject, project, registryPath } from '../lib/warehouse.mjs';

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
const crowd = (run) => Promise.all(Array.from({ length: 12 }, (_, n) => run(n)));
const statuses = (answers) => new Set(answers.map(({ status }) => status));

test('a device and a registry change once a second, by default', async () => {
  for (const run of [() => patch(`${registry}/devices/lamp`, 'metadata', { metadata: { a: 'b' } }),
    () => patch(registry, 'log_level', { logLevel: 'INFO' })]) {
    let answers = []; // of crowds until one is so quick that not a second passes between each two
    await eventually(async () => { answers = [...answers, ...await crowd(run)]; return statuses(answers).has(429); }, 15000, 'one is too many');
    assert.deepEqual(statuses(answers), new Set([200, 429]));
    assert.equal(answers.find(({ status }) => status === 429).body.error.status, 'RESOURCE_EXHAUSTED');
  }
  const { rates } = JSON.parse(await server.cli('tenant', 'limits', 'rates', '--json'));
  assert.deepEqual(rates, {
    states_per_second: 1, http_events_per_minute: 6000, device_updates_per_second: 1, registry_updates_per_second: 1,
    reads_per_minute: 30000, changes_per_minute: 3000, configs_per_minute: 6000, requests_per_minute: 60000,
    bytes_in_per_second: 524288, bytes_out_per_second: 524288, config_interval_ms: 1000,
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

test('a device and its back end are held to their bytes a second', async () => {
  const owner = await makeProject(server);
  const limit = (...rates) => server.cli('tenant', 'limits', project, ...rates.flatMap((rate) => ['--rate', rate]));
  const [device, poster] = [await makeDevice(server, owner, 'talker'), await makeDevice(server, owner, 'poster')];
  const path = (id, verb) => `/v1/${registryPath}/devices/${id}:${verb}`;
  const minute = { binaryData: Buffer.alloc(60000).toString('base64') };
  const post = async (id, verb, bearer) => (await server.call('POST', path(id, verb), { token: bearer, body: minute })).status;
  const throttled = async () => Number(/^gatehouse_devices_throttled_total (\d+)/m
    .exec((await server.call('GET', '/metrics', { token })).text)[1]);

  await limit('bytes_in_per_second=1000', 'bytes_out_per_second=1000');
  const client = await connect(server, device);
  try {
    await client.subscribeAsync(`/devices/${device.id}/commands/#`, { qos: 1 });
    assert.equal(await throttled(), 0);
    const begun = process.hrtime.bigint();
    await Promise.all([1, 2].map(() => client.publishAsync(`/devices/${device.id}/events`, Buffer.alloc(4000), { qos: 1 })));
    assert.ok(process.hrtime.bigint() - begun >= 3_000_000_000n, 'both are taken, the second when the rate allows');
    assert.equal(await throttled(), 1);

    assert.equal(await post(device.id, 'sendCommandToDevice', owner), 200);
    assert.equal(await post(device.id, 'sendCommandToDevice', owner), 429, 'its rate of a minute is gone');
    await limit('bytes_out_per_second=0');
    assert.equal(await post(device.id, 'sendCommandToDevice', owner), 200);
  } finally {
    await client.endAsync(true);
  }
  const bearer = deviceToken(poster.key, project);
  await limit('bytes_in_per_second=1000');
  assert.equal(await post(poster.id, 'publishEvent', bearer), 200, 'taken whole');
  assert.equal(await post(poster.id, 'publishEvent', bearer), 429);
  const { entries } = JSON.parse(await server.cli('device', 'log', `${project}/warehouse/${poster.id}`, '--json'));
  assert.ok(entries.some(({ reason, detail }) => reason === 'RATE' && detail === 'bytes from a device'));
});

test('a tenant has its own time between two configs', async () => {
  const change = async () => (await call('POST', `${registry}/devices/lamp:modifyCloudToDeviceConfig`, { binaryData: '' })).status;
  await server.cli('tenant', 'limits', 'rates', '--rate', 'config_interval_ms=86400000');
  assert.deepEqual([await change(), await change()], [200, 429]);
  await server.cli('tenant', 'limits', 'rates', '--rate', 'config_interval_ms=0');
  assert.deepEqual([await change(), await change()], [200, 200]);
  await server.cli('tenant', 'limits', 'rates', '--default');
});
