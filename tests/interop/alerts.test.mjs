// Alerts about devices that are away: a message on the alert topic, a line in the device's log, once for each outage, over
// MQTT and the HTTP bridge and over a restart of the server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { Server, deviceKey, deviceToken, eventually } from '../lib/server.mjs';

const project = 'alerts';
const registry = `projects/${project}/locations/europe-west1/registries/halls`;
const key = deviceKey('ES256');
let server, token;

before(async () => {
  server = await (await Server.create()).start();
  token = await server.token();
  await server.cli('tenant', 'create', 'site', '--google-project', project);
  const made = async (method, path, body) => {
    const { status, text } = await server.call(method, `/v1/${path}`, { token, body });
    assert.equal(status, 200, text);
  };
  for (const topic of ['alerts', 'telemetry']) await made('PUT', `projects/${project}/topics/${topic}`, {});
  await made('PUT', `projects/${project}/subscriptions/alerts`, { topic: `projects/${project}/topics/alerts` });
  await made('POST', registry.replace('/halls', ''), { id: 'halls', eventNotificationConfigs: [{ pubsubTopicName: `projects/${project}/topics/telemetry` }] });
  for (const id of ['lamp', 'web'])
    await made('POST', `${registry}/devices`, { id, credentials: [{ publicKey: { format: 'ES256_PEM', key: key.pem } }] });
});
after(() => server?.close());

const seen = [];
async function pull() {
  const path = `/v1/projects/${project}/subscriptions/alerts`;
  const { body } = await server.call('POST', `${path}:pull`, { token, body: { maxMessages: 100, returnImmediately: true } });
  const messages = body.receivedMessages ?? [];
  if (messages.length > 0) await server.call('POST', `${path}:acknowledge`, { token, body: { ackIds: messages.map(({ ackId }) => ackId) } });
  for (const { message } of messages)
    seen.push({ ...message.attributes, data: JSON.parse(Buffer.from(message.data, 'base64').toString()) });
  return seen;
}
const of = (id) => seen.filter(({ deviceId }) => deviceId === id).map(({ alertType }) => alertType);
const told = (id, count) => eventually(async () => { await pull(); return of(id).length >= count; }, 60000, `${count} alerts of ${id}`);
const connect = () => mqtt.connectAsync({
  protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: server.ca, reconnectPeriod: 0,
  clientId: `${registry}/devices/lamp`, username: 'unused', password: deviceToken(key, project),
});
const publishHttp = () => server.call('POST', `/v1/${registry}/devices/web:publishEvent`,
  { token: deviceToken(key, project), body: { binary_data: Buffer.from('x').toString('base64') } });
const away = async () => JSON.parse(await server.cli('alert', 'list', 'site', '--json')).away.map(({ device }) => device).sort();

test('one alert when a device is away for its time, and one when it is back', async () => {
  const shown = await server.cli('alert', 'set', 'site', '--topic', 'alerts', '--offline', 'halls=1s');
  assert.match(shown, /topic +alerts/);
  assert.deepEqual(JSON.parse(await server.cli('alert', 'show', 'site', '--json')).rules, [{ after_s: 1, registry: 'halls' }]);
  let client = await connect();
  await client.endAsync();
  await told('lamp', 1);
  assert.deepEqual(of('lamp'), ['offline']);
  assert.equal(seen[0].projectId, project);
  assert.equal(seen[0].deviceRegistryId, 'halls');
  assert.equal(seen[0].data.alert, 'offline');
  assert.equal(seen[0].data.after_s, 1);
  assert.deepEqual(await away(), ['lamp']);
  client = await connect();
  await told('lamp', 2);
  assert.deepEqual(of('lamp'), ['offline', 'online']);
  assert.deepEqual(await away(), []);
  await client.endAsync();
  await told('lamp', 3);
  const logged = async () => JSON.parse(await server.cli('device', 'log', 'site/halls/lamp', '--kind', 'alert', '--json')).entries;
  const log = await eventually(async () => { const all = await logged(); return all.length >= 3 && all; }, 5000, 'the log has them too');
  assert.deepEqual(log.map(({ reason }) => reason), ['OFFLINE', 'ONLINE', 'OFFLINE']);
  await server.said(/site\/halls\/lamp is offline/);
});

test('a device that speaks over HTTP is heard by that', async () => {
  assert.equal((await publishHttp()).status, 200);
  await told('web', 1);
  assert.equal((await publishHttp()).status, 200);
  await told('web', 3);
  assert.deepEqual(of('web').slice(0, 3), ['offline', 'online', 'offline']);
});

test('a restart tells nothing again', async () => {
  await server.stop();
  await server.start();
  token = await server.token();
  assert.deepEqual(await away(), ['lamp', 'web']);
  const client = await connect();
  await told('lamp', 4);
  assert.deepEqual(of('lamp'), ['offline', 'online', 'offline', 'online']);
  assert.equal(of('web').length, 3);
  await client.endAsync();
});

test('without rules nobody is told about', async () => {
  await server.cli('alert', 'set', 'site', '--none');
  assert.deepEqual(JSON.parse(await server.cli('alert', 'show', 'site', '--json')).rules, []);
  for (const wrong of [['--offline', 'x'], ['--offline', '=5m'], [], ['--offline', '5m', '--none']])
    assert.equal((await server.tryCli(['alert', 'set', 'site', ...wrong])).code, 2, wrong.join(' '));
  assert.equal((await server.tryCli(['alert', 'set', 'site', '--offline', '9000d'])).code, 1);
});
