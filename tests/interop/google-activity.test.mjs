// The activity log of Google Cloud IoT Core's devices on a topic: which entries come at which log level, and what they say.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { deviceToken, eventually, Server, unhurried } from '../lib/server.mjs';
import { connect, makeDevice, makeProject, project, registryPath } from '../lib/warehouse.mjs';

let server, token;
before(async () => {
  server = await (await Server.create({ options: unhurried })).start();
  token = await makeProject(server);
  for (const [method, path, body] of [
    ['PUT', `/v1/projects/${project}/topics/activity`, {}],
    ['PUT', `/v1/projects/${project}/subscriptions/activity`, { topic: `projects/${project}/topics/activity` }],
    ['PATCH', `/api/v1/tenants/${project}/registries/warehouse`, { activity_topic: 'activity' }],
  ]) {
    const answer = await server.call(method, path, { token, body });
    assert.equal(answer.status, 200, answer.text);
  }
});
after(() => server?.close());

const level = async (path, logLevel) => {
  const answer = await server.call('PATCH', `/v1/${registryPath}${path}?updateMask=log_level`, { token, body: { logLevel } });
  assert.equal(answer.status, 200, answer.text);
};
// What came for the device until an entry with `last` as its event type, and is then acknowledged.
async function activity(id, last) {
  const entries = [];
  while (!entries.some((entry) => entry.jsonPayload.eventType === last)) {
    const { body, text, status } = await server.call('POST', `/v1/projects/${project}/subscriptions/activity:pull`, { token, body: { maxMessages: 100 } });
    assert.equal(status, 200, text);
    const messages = body.receivedMessages ?? [];
    assert.ok(messages.length > 0, `no ${last} of ${id} came: ${JSON.stringify(entries)}`);
    await server.call('POST', `/v1/projects/${project}/subscriptions/activity:acknowledge`, { token, body: { ackIds: messages.map(({ ackId }) => ackId) } });
    for (const { message } of messages) {
      if (message.attributes.deviceId !== id) continue;
      entries.push(JSON.parse(Buffer.from(message.data, 'base64').toString()));
    }
  }
  return entries;
}
// A short life of a device: connected, subscribed, one event, one ping, gone.
async function live(device) {
  const client = await connect(server, device);
  await client.subscribeAsync(`/devices/${device.id}/config`, { qos: 1 });
  await client.publishAsync(`/devices/${device.id}/events`, 'x', { qos: 1 });
  await client.endAsync();
  // Not before the server knows: the device's next connection is not to take this one over.
  const log = `/api/v1/tenants/${project}/registries/warehouse/devices/${device.id}/log?kind=disconnect`;
  await eventually(async () => (await server.call('GET', log, { token })).body.entries.length > 0, 5000, `${device.id} is gone`);
}
const types = (entries) => entries.map(({ jsonPayload }) => jsonPayload.eventType);

describe('checklist 17: the level of the device, or else of its registry, decides what is told', () => {
  for (const [registry, own, expected] of [
    ['INFO', 'LOG_LEVEL_UNSPECIFIED', ['CONNECT', 'DISCONNECT']],
    ['NONE', 'INFO', ['CONNECT', 'DISCONNECT']],
    ['DEBUG', 'LOG_LEVEL_UNSPECIFIED', ['CONNECT', 'DISCONNECT', 'PUBLISH', 'SUBSCRIBE']],
    ['ERROR', 'DEBUG', ['CONNECT', 'DISCONNECT', 'PUBLISH', 'SUBSCRIBE']],
  ]) {
    test(`registry ${registry}, device ${own}`, async () => {
      const device = await makeDevice(server, token, `level-${registry}-${own}`.toLowerCase());
      await level('', registry);
      await level(`/devices/${device.id}`, own);
      await live(device);
      const came = new Set(types(await activity(device.id, 'DISCONNECT')));
      for (const type of expected) assert.ok(came.has(type), `${type} is missing in ${[...came]}`);
      if (!expected.includes('PUBLISH')) assert.deepEqual([...came].sort(), expected);
    });
  }

  test('NONE tells nothing, ERROR failures alone', async () => {
    await level('', 'ERROR');
    const silent = await makeDevice(server, token, 'silent');
    await level('/devices/silent', 'NONE');
    await live(silent);
    const device = await makeDevice(server, token, 'failing');
    await live(device);
    const first = await connect(server, device);
    const second = await connect(server, device);
    first.end(true);
    const entries = await activity('failing', 'DISCONNECT');
    assert.deepEqual(types(entries), ['DISCONNECT']);
    const { jsonPayload, severity, labels, resource, logName } = entries[0];
    assert.equal(severity, 'ERROR');
    assert.equal(logName, `projects/${project}/logs/cloudiot.googleapis.com%2Fdevice_activity`);
    assert.deepEqual(labels, { device_id: 'failing' });
    assert.deepEqual(resource, { type: 'cloudiot_device', labels: {
      project_id: project, location: 'europe-west1', device_registry_id: 'warehouse', device_num_id: device.numId } });
    assert.equal(jsonPayload.protocol, 'MQTT');
    assert.equal(jsonPayload.serviceName, 'cloudiot.googleapis.com');
    assert.deepEqual([jsonPayload.status.code, jsonPayload.status.description], [6, 'ALREADY_EXISTS']);
    assert.equal(jsonPayload.disconnectType, 'SERVER');
    assert.equal(jsonPayload.reason, 'TAKEN_OVER');
    second.end(true);
  });

  test('a level that changes holds for the connection that is there', async () => {
    await level('', 'NONE');
    const device = await makeDevice(server, token, 'changing');
    const client = await connect(server, device);
    await level('/devices/changing', 'DEBUG');
    await eventually(async () => { // the connection reads its new level in the background
      await client.publishAsync('/devices/changing/events', 'x', { qos: 1 });
      const { body } = await server.call('POST', `/v1/projects/${project}/subscriptions/activity:pull`,
        { token, body: { maxMessages: 100, returnImmediately: true } });
      return body.receivedMessages?.some(({ message }) => message.attributes.deviceId === 'changing');
    }, 10000, 'an entry at the new level');
    await client.endAsync();
  });
});

test('a gateway and its devices: attached, published through it, detached', async () => {
  await level('', 'DEBUG');
  const gateway = await makeDevice(server, token, 'act-gw', 'ES256', { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' });
  await makeDevice(server, token, 'act-dev');
  await server.call('POST', `/v1/${registryPath}:bindDeviceToGateway`, { token, body: { gatewayId: 'act-gw', deviceId: 'act-dev' } });
  const client = await connect(server, gateway);
  await client.publishAsync('/devices/act-dev/attach', '{}', { qos: 1 });
  await client.publishAsync('/devices/act-dev/events', 'x', { qos: 1 });
  await client.publishAsync('/devices/act-dev/detach', '{}', { qos: 1 });
  const entries = await activity('act-dev', 'DETACH_FROM_GATEWAY');
  assert.deepEqual(types(entries), ['ATTACH_TO_GATEWAY', 'PUBLISH', 'DETACH_FROM_GATEWAY']);
  for (const { jsonPayload } of entries) assert.deepEqual(jsonPayload.gateway, { id: 'act-gw' });
  assert.equal(entries[1].jsonPayload.publishFromDeviceTopicType, 'EVENTS');
  await client.endAsync();
});

test('the HTTP bridge, and who is refused is in the log of the server alone', async () => {
  await level('', 'DEBUG');
  const device = await makeDevice(server, token, 'act-http');
  const post = (jwt) => server.call('POST', `/v1/${registryPath}/devices/act-http:publishEvent`, { token: jwt, body: { binary_data: 'aGk=' } });
  assert.equal((await post(deviceToken(device.key, 'other'))).status, 401);
  assert.equal((await post(deviceToken(device.key, project))).status, 200);
  const entries = await activity('act-http', 'PUBLISH');
  assert.equal(entries.length, 1);
  assert.equal(entries[0].jsonPayload.protocol, 'HTTP');
  assert.equal(entries[0].jsonPayload.publishFromDeviceTopicType, 'EVENTS');
  await server.said(/refused demo\/warehouse\/act-http .*AUDIENCE/);
});
