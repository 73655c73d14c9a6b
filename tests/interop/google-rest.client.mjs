// Every method of the device manager and the part of Pub/Sub that is served, called with Google's libraries in REST mode.
// Started by google-rest.test.mjs, which says in the environment where the server is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import iot from '@google-cloud/iot';
import pubsub from '@google-cloud/pubsub';
import mqtt from 'mqtt';
import { deviceKey, deviceToken } from '../lib/server.mjs';

const grpc = createRequire(import.meta.url)('@grpc/grpc-js');
const { OAuth2Client } = createRequire(import.meta.url)('google-auth-library');
const { GATEHOUSE_PROJECT: project, GATEHOUSE_PROTOCOL: protocol, GATEHOUSE_PORT: port, GATEHOUSE_MQTT_PORT: mqttPort,
  GATEHOUSE_TOKEN: administrator, GATEHOUSE_PROVISIONER: provisioner, GATEHOUSE_MEMBER: member,
  GATEHOUSE_FACE: face, NODE_EXTRA_CA_CERTS: caFile } = process.env;

function options(token) {
  const common = { fallback: face === 'REST', projectId: project, apiEndpoint: '127.0.0.1', port: Number(port), protocol };
  if (protocol === 'http') return { ...common, apiKey: token };
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: token });
  return { ...common, authClient };
}
const manager = (token) => new iot.v1.DeviceManagerClient(options(token));
const devices = manager(administrator);
const publisher = new pubsub.v1.PublisherClient(options(administrator));
const subscriber = new pubsub.v1.SubscriberClient(options(administrator));

const parent = `projects/${project}/locations/europe-west1`;
const registry = `${parent}/registries/halls`;
const device = (id) => `${registry}/devices/${id}`;
const topic = (id) => `projects/${project}/topics/${id}`;
const subscription = (id) => `projects/${project}/subscriptions/${id}`;
const key = deviceKey('ES256');
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// The library gives a GaxiosError: `code` is the HTTP status, `message` the body. Over gRPC it gives the status itself.
async function refused(call, status, name) {
  await assert.rejects(call, (error) => {
    if (face === 'gRPC') {
      assert.equal(grpc.status[error.code], name, error.message);
      return true;
    }
    assert.equal(error.code, status, error.message);
    assert.equal(JSON.parse(error.message).error.status, name);
    assert.equal(JSON.parse(error.message).error.code, status);
    return true;
  });
}

test('topics', async () => {
  const [made] = await publisher.createTopic({ name: topic('telemetry'), labels: { a: 'b' } });
  assert.equal(made.name, topic('telemetry'));
  assert.deepEqual(made.labels, { a: 'b' });
  await publisher.createTopic({ name: topic('state') });
  assert.equal((await publisher.getTopic({ topic: topic('telemetry') }))[0].name, topic('telemetry'));
  const [list] = await publisher.listTopics({ project: `projects/${project}`, pageSize: 1 });
  assert.deepEqual(list.map(({ name }) => name).sort(), [topic('state'), topic('telemetry')], 'pages are followed');
  await refused(() => publisher.createTopic({ name: topic('state') }), 409, 'ALREADY_EXISTS');
  await refused(() => publisher.getTopic({ topic: topic('nothing') }), 404, 'NOT_FOUND');
});

test('subscriptions and messages', async () => {
  const [made] = await subscriber.createSubscription({
    name: subscription('climate'), topic: topic('telemetry'), ackDeadlineSeconds: 30,
  });
  assert.equal(made.ackDeadlineSeconds, 30);
  assert.equal(made.topic, topic('telemetry'));
  const [updated] = await subscriber.updateSubscription({
    subscription: { name: subscription('climate'), ackDeadlineSeconds: 60 }, updateMask: { paths: ['ack_deadline_seconds'] },
  });
  assert.equal(updated.ackDeadlineSeconds, 60);
  assert.equal((await subscriber.getSubscription({ subscription: subscription('climate') }))[0].ackDeadlineSeconds, 60);
  assert.equal((await subscriber.listSubscriptions({ project: `projects/${project}` }))[0].length, 1);
  assert.deepEqual((await publisher.listTopicSubscriptions({ topic: topic('telemetry') }))[0], [subscription('climate')]);
  await subscriber.modifyPushConfig({ subscription: subscription('climate'), pushConfig: {} });

  const [published] = await publisher.publish({ topic: topic('telemetry'), messages: [
    { data: Buffer.from([0, 255, 254]), attributes: { k: 'v' } }, { data: Buffer.from('two') },
  ] });
  assert.equal(published.messageIds.length, 2);
  const [first] = await subscriber.pull({ subscription: subscription('climate'), maxMessages: 10 });
  assert.deepEqual(first.receivedMessages.map(({ message }) => message.messageId), published.messageIds);
  assert.deepEqual(Buffer.from(first.receivedMessages[0].message.data), Buffer.from([0, 255, 254]));
  assert.deepEqual(first.receivedMessages[0].message.attributes, { k: 'v' });
  const [one, two] = first.receivedMessages.map(({ ackId }) => ackId);
  await subscriber.acknowledge({ subscription: subscription('climate'), ackIds: [one] });
  await subscriber.modifyAckDeadline({ subscription: subscription('climate'), ackIds: [two], ackDeadlineSeconds: 0 });
  const [again] = await subscriber.pull({ subscription: subscription('climate'), maxMessages: 10 });
  assert.deepEqual(again.receivedMessages.map(({ message }) => message.messageId), [published.messageIds[1]]);
  await subscriber.acknowledge({ subscription: subscription('climate'), ackIds: again.receivedMessages.map(({ ackId }) => ackId) });
  const [none] = await subscriber.pull({ subscription: subscription('climate'), maxMessages: 10, returnImmediately: true });
  assert.equal(none.receivedMessages.length, 0);
  await refused(() => subscriber.acknowledge({ subscription: subscription('climate'), ackIds: ['x'] }), 400, 'INVALID_ARGUMENT');

  const pulling = subscriber.pull({ subscription: subscription('climate'), maxMessages: 1 });
  await publisher.publish({ topic: topic('telemetry'), messages: [{ data: Buffer.from('late') }] });
  const [late] = await pulling;
  assert.equal(Buffer.from(late.receivedMessages[0].message.data).toString(), 'late', 'a pull waits for a message');
  await subscriber.acknowledge({ subscription: subscription('climate'), ackIds: [late.receivedMessages[0].ackId] });
});

test('what Pub/Sub has and this server has not is refused', async () => {
  const base = { name: subscription('more'), topic: topic('telemetry') };
  await refused(() => subscriber.createSubscription({ ...base, enableExactlyOnceDelivery: true }), 501, 'UNIMPLEMENTED');
  await refused(() => publisher.createTopic({ name: topic('schematic'), schemaSettings: { schema: 'projects/x/schemas/s' } }), 501, 'UNIMPLEMENTED');
  await refused(() => subscriber.createSubscription({ ...base, pushConfig: { pushEndpoint: 'https://example.com/' } }), 400, 'FAILED_PRECONDITION');
});

test('registries', async () => {
  const [made] = await devices.createDeviceRegistry({ parent, deviceRegistry: {
    id: 'halls', eventNotificationConfigs: [{ pubsubTopicName: topic('telemetry') }],
    stateNotificationConfig: { pubsubTopicName: topic('state') },
    mqttConfig: { mqttEnabledState: 'MQTT_ENABLED' }, logLevel: 'DEBUG',
  } });
  assert.equal(made.name, registry);
  assert.equal(made.mqttConfig.mqttEnabledState, 'MQTT_ENABLED');
  assert.equal(made.logLevel, 'DEBUG');
  const [changed] = await devices.updateDeviceRegistry({
    deviceRegistry: { name: registry, logLevel: 'INFO', httpConfig: { httpEnabledState: 'HTTP_DISABLED' } },
    updateMask: { paths: ['log_level', 'http_config'] },
  });
  assert.equal(changed.logLevel, 'INFO');
  assert.equal(changed.httpConfig.httpEnabledState, 'HTTP_DISABLED');
  assert.equal(changed.eventNotificationConfigs[0].pubsubTopicName, topic('telemetry'));
  assert.equal((await devices.getDeviceRegistry({ name: registry }))[0].id, 'halls');
  await devices.createDeviceRegistry({ parent, deviceRegistry: { id: 'spare' } });
  const [list] = await devices.listDeviceRegistries({ parent, pageSize: 1 });
  assert.deepEqual(list.map(({ id }) => id).sort(), ['halls', 'spare']);
  await devices.deleteDeviceRegistry({ name: `${parent}/registries/spare` });
  await refused(() => devices.getDeviceRegistry({ name: `${parent}/registries/spare` }), 404, 'NOT_FOUND');
});

test('devices', async () => {
  const [made] = await devices.createDevice({ parent: registry, device: {
    id: 'd+1%x', metadata: { hall: 'hall-1' }, blocked: true, config: { binaryData: Buffer.from('hi') },
    credentials: [{ publicKey: { format: 'ES256_PEM', key: key.pem }, expirationTime: { seconds: 2000000000 } }],
  } });
  assert.match(String(made.numId), /^[1-9][0-9]*$/);
  assert.equal(made.name, device(made.numId), 'the name ends in the number');
  assert.equal(made.credentials[0].publicKey.format, 'ES256_PEM');
  assert.equal(String(made.credentials[0].expirationTime.seconds), '2000000000');
  assert.equal(String(made.config.version), '1');
  assert.equal(Buffer.from(made.config.binaryData).toString(), 'hi');

  assert.equal((await devices.getDevice({ name: device('d+1%x') }))[0].id, 'd+1%x');
  const byNumber = await devices.getDevice({ name: device(made.numId), fieldMask: { paths: ['blocked', 'config'] } });
  assert.equal(byNumber[0].blocked, true);
  assert.deepEqual(byNumber[0].metadata, {}, 'the field mask leaves it out');

  const [unblocked] = await devices.updateDevice({
    device: { name: device(made.numId), blocked: false, metadata: { k: 'v' } }, updateMask: { paths: ['blocked', 'metadata'] },
  });
  assert.equal(unblocked.blocked, false);
  assert.deepEqual(unblocked.metadata, { k: 'v' });
  assert.equal(unblocked.credentials.length, 1);

  for (let i = 0; i < 5; i++) await devices.createDevice({ parent: registry, device: { id: `many-${i}` } });
  const [all] = await devices.listDevices({ parent: registry, pageSize: 2, fieldMask: { paths: ['metadata'] } });
  assert.equal(all.length, 6);
  assert.deepEqual(all.find(({ id }) => id === 'd+1%x').metadata, { k: 'v' });
  const [some] = await devices.listDevices({ parent: registry, deviceIds: ['many-1', 'many-2'], deviceNumIds: [made.numId] });
  assert.deepEqual(some.map(({ id }) => id).sort(), ['d+1%x', 'many-1', 'many-2']);
  await devices.deleteDevice({ name: device(made.numId) });
  await refused(() => devices.getDevice({ name: device(made.numId) }), 404, 'NOT_FOUND');
  await refused(() => devices.createDevice({ parent: registry, device: { id: 'many-1' } }), 409, 'ALREADY_EXISTS');
  await refused(() => devices.updateDevice({ device: { name: device('many-1') }, updateMask: { paths: ['config'] } }), 400, 'INVALID_ARGUMENT');
  await refused(() => devices.deleteDeviceRegistry({ name: registry }), 400, 'FAILED_PRECONDITION');
});

test('configs, states and commands of a device that is connected', async () => {
  await devices.createDevice({ parent: registry, device: {
    id: 'live', credentials: [{ publicKey: { format: 'ES256_PEM', key: key.pem } }],
  } });
  await refused(() => devices.sendCommandToDevice({ name: device('live'), binaryData: Buffer.from('x') }), 400, 'FAILED_PRECONDITION');
  const client = await mqtt.connectAsync({
    protocol: 'mqtts', host: '127.0.0.1', port: Number(mqttPort), ca: readFileSync(caFile), reconnectPeriod: 0,
    clientId: device('live'), username: 'unused', password: deviceToken(key, project),
  });
  const arrived = [];
  client.on('message', (name, payload) => arrived.push([name, payload.toString()]));
  await refused(() => devices.sendCommandToDevice({ name: device('live'), binaryData: Buffer.from('x') }), 400, 'FAILED_PRECONDITION');
  await client.subscribeAsync('/devices/live/commands/#', { qos: 1 });
  await devices.sendCommandToDevice({ name: device('live'), binaryData: Buffer.from('go'), subfolder: 'a/b' });
  assert.deepEqual(arrived, [['/devices/live/commands/a/b', 'go']], 'answered after the PUBACK');

  const [second] = await devices.modifyCloudToDeviceConfig({ name: device('live'), binaryData: Buffer.from([251, 255, 254]) });
  assert.equal(String(second.version), '2');
  await refused(() => devices.modifyCloudToDeviceConfig({ name: device('live'), versionToUpdate: 7, binaryData: Buffer.from('x') }), 409, 'ABORTED');
  await pause(1100); // a device takes one version a second
  await devices.modifyCloudToDeviceConfig({ name: device('live'), versionToUpdate: 2, binaryData: Buffer.from('three') });
  const [{ deviceConfigs }] = await devices.listDeviceConfigVersions({ name: device('live') });
  assert.deepEqual(deviceConfigs.map(({ version }) => String(version)), ['3', '2', '1']);
  assert.deepEqual(Buffer.from(deviceConfigs[1].binaryData), Buffer.from([251, 255, 254]));

  await client.publishAsync('/devices/live/state', 'warm', { qos: 1 });
  const [{ deviceStates }] = await devices.listDeviceStates({ name: device('live'), numStates: 5 });
  assert.equal(Buffer.from(deviceStates[0].binaryData).toString(), 'warm');
  await client.endAsync();
});

test('gateways: type, binding, lists', async () => {
  await devices.createDevice({ parent: registry, device: {
    id: 'gate', gatewayConfig: { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' },
  } });
  await devices.bindDeviceToGateway({ parent: registry, gatewayId: 'gate', deviceId: 'many-1' });
  const [bound] = await devices.listDevices({ parent: registry, gatewayListOptions: { associationsGatewayId: 'gate' } });
  assert.deepEqual(bound.map(({ id }) => id), ['many-1']);
  const [gateways] = await devices.listDevices({ parent: registry, gatewayListOptions: { gatewayType: 'GATEWAY' }, fieldMask: { paths: ['gateway_config'] } });
  assert.deepEqual(gateways.map(({ id, gatewayConfig }) => [id, gatewayConfig.gatewayAuthMethod]), [['gate', 'ASSOCIATION_ONLY']]);
  await refused(() => devices.deleteDevice({ name: device('gate') }), 400, 'FAILED_PRECONDITION');
  await devices.unbindDeviceFromGateway({ parent: registry, gatewayId: 'gate', deviceId: 'many-1' });
  await devices.deleteDevice({ name: device('gate') });
});

test('policies: a member has what bindings give it', async () => {
  const asMember = manager(member);
  await refused(() => asMember.getDevice({ name: device('live') }), 403, 'PERMISSION_DENIED');
  const [before] = await devices.getIamPolicy({ resource: registry });
  assert.deepEqual(before.bindings, []);
  const [policy] = await devices.setIamPolicy({ resource: registry, policy: {
    bindings: [{ role: 'roles/cloudiot.viewer', members: ['user:rest@example.com'] }],
  } });
  assert.ok(policy.etag.length > 0);
  assert.equal((await asMember.getDevice({ name: device('live') }))[0].id, 'live');
  await refused(() => asMember.deleteDevice({ name: device('live') }), 403, 'PERMISSION_DENIED');
  const [{ permissions }] = await asMember.testIamPermissions({ resource: registry,
    permissions: ['cloudiot.devices.get', 'cloudiot.devices.delete'] });
  assert.deepEqual(permissions, ['cloudiot.devices.get']);
  await devices.setIamPolicy({ resource: registry, policy: { etag: policy.etag, bindings: [] } });
  await refused(() => devices.setIamPolicy({ resource: registry, policy: { etag: policy.etag, bindings: [] } }), 409, 'ABORTED');
  await refused(() => asMember.getDevice({ name: device('live') }), 403, 'PERMISSION_DENIED');
});

test('a provisioner manages devices and never the registry', async () => {
  const client = manager(provisioner);
  await client.createDevice({ parent: registry, device: { id: 'made-by-it' } });
  await client.updateDevice({ device: { name: device('made-by-it'), blocked: true }, updateMask: { paths: ['blocked'] } });
  await client.modifyCloudToDeviceConfig({ name: device('made-by-it'), binaryData: Buffer.from('c') });
  await refused(() => client.sendCommandToDevice({ name: device('made-by-it'), binaryData: Buffer.from('c') }), 400, 'FAILED_PRECONDITION');
  await client.deleteDevice({ name: device('made-by-it') });
  await refused(() => client.updateDeviceRegistry({ deviceRegistry: { name: registry, logLevel: 'INFO' }, updateMask: { paths: ['log_level'] } }), 403, 'PERMISSION_DENIED');
  await refused(() => client.deleteDeviceRegistry({ name: registry }), 403, 'PERMISSION_DENIED');
  await refused(() => client.createDeviceRegistry({ parent, deviceRegistry: { id: 'mine' } }), 403, 'PERMISSION_DENIED');
  await refused(() => client.getIamPolicy({ resource: registry }), 403, 'PERMISSION_DENIED');
  await refused(() => client.setIamPolicy({ resource: registry, policy: {} }), 403, 'PERMISSION_DENIED');
  await refused(() => client.getDevice({ name: 'projects/elsewhere/locations/l/registries/r-r/devices/d-d' }), 403, 'PERMISSION_DENIED');
});

test('a wrong token', async () => {
  await refused(() => manager('ght_wrong').getDeviceRegistry({ name: registry }), 401, 'UNAUTHENTICATED');
});

test('the end of it all', async () => {
  await subscriber.deleteSubscription({ subscription: subscription('climate') });
  await publisher.deleteTopic({ topic: topic('state') });
  await refused(() => publisher.deleteTopic({ topic: topic('state') }), 404, 'NOT_FOUND');
  const [all] = await devices.listDevices({ parent: registry });
  for (const each of all) await devices.deleteDevice({ name: device(each.id) });
  await devices.deleteDeviceRegistry({ name: registry });
});
