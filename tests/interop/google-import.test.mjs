// `gatehouse import google`: exports of IoT Core in the shapes of its REST API, compared, planned, carried, and carried again.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { Server, deviceKey, deviceToken, unhurried } from '../lib/server.mjs';

const project = 'old-project';
const parent = `projects/${project}/locations/europe-west1/registries`;
const registry = `${parent}/halls`;
const key = deviceKey('ES256');
const base64 = (text) => Buffer.from(text).toString('base64');
let server, token, folder;

// As devices.list gives it with every field in its mask.
const device = (n, more = {}) => ({
  id: `lamp-${n}`, numId: String(3_000_000_000_000_000n + BigInt(n)), name: `${registry}/devices/${3_000_000_000_000_000n + BigInt(n)}`,
  credentials: [], lastHeartbeatTime: '2023-07-01T10:00:00Z', blocked: n % 5 === 0, metadata: { floor: String(n) },
  config: { version: '7', cloudUpdateTime: '2023-07-01T10:00:00Z', binaryData: base64(`config ${n}`) },
  state: { updateTime: '2023-07-01T11:00:00Z', binaryData: base64(`state ${n}`) },
  logLevel: 'LOG_LEVEL_UNSPECIFIED', gatewayConfig: { gatewayType: 'NON_GATEWAY' }, ...more,
});
const signer = { credentials: [{ publicKey: { format: 'ES256_PEM', key: key.pem }, expirationTime: '1970-01-01T00:00:00Z' }] };

const importing = (...more) => server.tryCli(['import', 'google', folder, ...more]);
const get = async (path) => (await server.call('GET', `/v1/${path}`, { token })).body;

before(async () => {
  server = await (await Server.create({ options: unhurried })).start();
  token = await server.token();
  folder = join(server.folder, 'export');
  mkdirSync(join(folder, 'devices'), { recursive: true });
  writeFileSync(join(folder, '1-registries.json'), JSON.stringify({ deviceRegistries: [{
    id: 'halls', name: registry, eventNotificationConfigs: [
      { subfolderMatches: 'alarm', pubsubTopicName: `projects/${project}/topics/alarms` },
      { pubsubTopicName: `projects/${project}/topics/telemetry` }],
    stateNotificationConfig: { pubsubTopicName: `projects/${project}/topics/state` },
    mqttConfig: { mqttEnabledState: 'MQTT_ENABLED' }, httpConfig: { httpEnabledState: 'HTTP_DISABLED' }, logLevel: 'INFO',
  }] }));
  const many = Array.from({ length: 450 }, (_, n) => device(n, n === 1 ? signer : {}));
  for (let page = 0; page * 100 < many.length; page++)
    writeFileSync(join(folder, 'devices', `page-${page}.json`), JSON.stringify({ devices: many.slice(page * 100, page * 100 + 100), nextPageToken: 'x' }, null, 2));
  writeFileSync(join(folder, 'devices', 'gateways.jsonl'), [1, 2].map((n) => JSON.stringify(
    device(900 + n, { id: `gate-${n}`, gatewayConfig: { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' } }))).join('\n'));
  writeFileSync(join(folder, 'z-bound.json'), JSON.stringify({ gatewayId: 'gate-1', devices: [device(3), device(4)] })
    + JSON.stringify({ parent: registry, gatewayId: 'gate-2', deviceId: 'lamp-4' }));
  writeFileSync(join(folder, 'z-history.json'), JSON.stringify({ deviceConfigs: [{ version: '6' }, { version: '5' }] }));
  writeFileSync(join(folder, 'z-other.json'), '{"colour":"red"}');
});
after(() => server?.close());

test('without a tenant for the project nothing is done, and it is said', async () => {
  const { code, stderr } = await importing('--apply');
  assert.equal(code, 1, stderr);
});

test('a plan is shown first and changes nothing', async () => {
  await server.cli('tenant', 'create', 'site', '--google-project', project);
  const { code, stdout, stderr } = await importing();
  assert.equal(code, 0, stderr);
  assert.match(stdout, /topics +create 3, change 0, keep 0/);
  assert.match(stdout, /registries +create 1, change 0, keep 0/);
  assert.match(stdout, /devices +create 452, change 0, keep 0/);
  assert.match(stdout, /bindings +create 3, change 0, keep 0/);
  assert.match(stdout, /… and 442 more/);
  assert.match(stdout, /not carried: 2 older configs and states/);
  assert.match(stdout, /not carried: 1 documents/);
  assert.match(stdout, /nothing was changed; --apply does it/);
  assert.match(stderr, /z-other\.json: document 1 is no registry/);
  assert.equal((await get(registry)).error.code, 404);
});

test('what was exported is there afterwards, and its devices sign in as they did', async () => {
  const { code, stdout, stderr } = await importing('--apply', '--list');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /459 done, 0 refused/);
  const made = await get(registry);
  assert.equal(made.httpConfig.httpEnabledState, 'HTTP_DISABLED');
  assert.equal(made.logLevel, 'INFO');
  assert.deepEqual(made.eventNotificationConfigs.map(({ pubsubTopicName }) => pubsubTopicName.split('/').pop()), ['alarms', 'telemetry']);
  const lamp = await get(`${registry}/devices/lamp-10`);
  assert.equal(lamp.numId, '3000000000000010', 'its number too');
  assert.equal(lamp.blocked, true);
  assert.deepEqual(lamp.metadata, { floor: '10' });
  assert.equal(lamp.config.version, '7');
  assert.equal(lamp.config.binaryData, base64('config 10'));
  assert.equal(lamp.state.binaryData, base64('state 10'));
  assert.equal(Date.parse(lamp.state.updateTime), Date.parse('2023-07-01T11:00:00Z'));
  const bound = await get(`${registry}/devices?gatewayListOptions.associationsDeviceId=lamp-4`);
  assert.deepEqual(bound.devices.map(({ id }) => id).sort(), ['gate-1', 'gate-2']);
  const client = await mqtt.connectAsync({
    protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: server.ca, reconnectPeriod: 0,
    clientId: `${registry}/devices/3000000000000001`, username: 'unused', password: deviceToken(key, project),
  });
  const config = new Promise((done) => client.once('message', (topic, payload) => done(payload.toString())));
  await client.subscribeAsync('/devices/lamp-1/config', { qos: 1 });
  assert.equal(await config, 'config 1', 'by the number, with the config that it had');
  await client.endAsync();
});

test('a second run has nothing to do', async () => {
  const { code, stdout } = await importing('--apply');
  assert.equal(code, 0);
  assert.match(stdout, /topics +create 0, change 0, keep 3/);
  assert.match(stdout, /registries +create 0, change 0, keep 1/);
  assert.match(stdout, /devices +create 0, change 0, keep 452/);
  assert.match(stdout, /bindings +create 0, change 0, keep 3/);
  assert.match(stdout, /nothing to do/);
});

test('a run that was interrupted goes on where it was, and differences are put right', async () => {
  const at = async (method, path, body) => assert.equal((await server.call(method, `/v1/${path}`, { token, body })).status, 200, path);
  await at('DELETE', `${registry}/devices/lamp-20`);
  await at('PATCH', `${registry}/devices/lamp-21?updateMask=metadata,blocked`, { metadata: { floor: 'x' }, blocked: true });
  await at('PATCH', `${registry}?updateMask=log_level`, { logLevel: 'DEBUG' });
  const newer = join(server.folder, 'newer');
  writeFileSync(newer, 'newer');
  await server.cli('device', 'config', 'site/halls/lamp-22', '--file', newer);
  await at('POST', `${registry}:unbindDeviceFromGateway`, { gatewayId: 'gate-1', deviceId: 'lamp-3' });
  const plan = await importing();
  assert.match(plan.stdout, /registries +create 0, change 1, keep 0/);
  assert.match(plan.stdout, /~ lamp-21: blocked,metadata/);
  assert.match(plan.stdout, /devices +create 1, change 1, keep 450/);
  assert.match(plan.stdout, /bindings +create 1, change 0, keep 2/);
  assert.match(plan.stdout, /not carried: 1 configs of devices that are here already/);
  const { code, stderr } = await importing('--apply');
  // The number of a device that was deleted is never given again, not even to itself.
  assert.equal(code, 1);
  assert.match(stderr, /device lamp-20: GH2003 another device has or had the number 3000000000000020/);
  assert.deepEqual((await get(`${registry}/devices/lamp-21`)).metadata, { floor: '21' });
  assert.equal((await get(`${registry}/devices/lamp-22`)).config.binaryData, base64('newer'), 'what was changed here stays');
  assert.equal((await get(registry)).logLevel, 'INFO');
});

test('one device that is refused does not keep the others out', async () => {
  const file = join(server.folder, 'some.json');
  writeFileSync(file, JSON.stringify({ devices: [
    device(1001), { ...device(1002), id: 'x' }, { ...device(1003), credentials: [{ publicKey: { format: 'ES256_PEM', key: 'no key' } }] },
    device(1004, { numId: '18446744073709551615' })] }));
  const { code, stdout, stderr } = await server.tryCli(['import', 'google', file, '--apply']);
  assert.equal(code, 1);
  assert.match(stderr, /device x: GH2001/);
  assert.match(stderr, /device lamp-1003: GH2001/);
  assert.match(stdout, /2 done, 2 refused/);
  assert.match(stdout, /not carried: 1 numeric ids over 63 bits/);
  assert.equal((await get(`${registry}/devices/lamp-1001`)).numId, '3000000000001001');
  assert.ok((await get(`${registry}/devices/lamp-1004`)).numId.length > 0);
});

test('under another project, and by a remote server\'s token', async () => {
  await server.cli('tenant', 'create', 'other', '--google-project', 'new-project');
  const file = join(server.folder, 'moved.json');
  writeFileSync(file, JSON.stringify({ parent: registry, devices: [{ id: 'lone', numId: '77' }] }));
  const tokenFile = join(server.folder, 'token');
  writeFileSync(tokenFile, await server.token('administrator', '--tenant', 'other'));
  const { code, stderr } = await server.tryCli(['import', 'google', file, '--apply', '--project', 'new-project',
    '--server', `https://127.0.0.1:${server.port}`, '--ca', server.caFile, '--token-file', tokenFile]);
  assert.equal(code, 0, stderr);
  assert.equal((await get(`${registry.replace(project, 'new-project')}/devices/lone`)).numId, '77');
});

test('a file that is no JSON is named', async () => {
  const file = join(server.folder, 'broken.json');
  writeFileSync(file, '{"devices":[\n{"id":}]}');
  const { code, stderr } = await server.tryCli(['import', 'google', file]);
  assert.equal(code, 1);
  assert.match(stderr, /broken\.json: document 1, line 2/);
  assert.equal((await server.tryCli(['import', 'google'])).code, 2);
});
