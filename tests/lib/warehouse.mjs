// A project as a Google IoT Core user would have it: topics, a subscription, a registry, and devices that connect by
// MQTT.js with Google's conventions.
import mqtt from 'mqtt';
import { deviceKey, deviceToken } from './server.mjs';

export const project = 'demo';
export const registryPath = `projects/${project}/locations/europe-west1/registries/warehouse`;

// Makes the project on `server`; returns a token of an administrator.
export async function makeProject(server, { subscription = 'test', ackDeadlineSeconds = 600 } = {}) {
  await server.cli('tenant', 'create', project);
  const token = await server.token();
  const put = async (method, path, body) => {
    const answer = await server.call(method, `/v1/${path}`, { token, body });
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  };
  await put('PUT', `projects/${project}/topics/telemetry`, {});
  await put('PUT', `projects/${project}/topics/state`, {});
  await put('PUT', `projects/${project}/subscriptions/${subscription}`,
    { topic: `projects/${project}/topics/telemetry`, ackDeadlineSeconds });
  await put('POST', `projects/${project}/locations/europe-west1/registries`, {
    id: 'warehouse',
    eventNotificationConfigs: [{ pubsubTopicName: `projects/${project}/topics/telemetry` }],
    stateNotificationConfig: { pubsubTopicName: `projects/${project}/topics/state` },
  });
  return token;
}

export async function makeDevice(server, token, id, alg = 'ES256', gatewayConfig = undefined) {
  const key = deviceKey(alg);
  const answer = await server.call('POST', `/v1/${registryPath}/devices`, {
    token, body: { id, gatewayConfig, credentials: [{ publicKey: { format: alg === 'ES256' ? 'ES256_PEM' : 'RSA_PEM', key: key.pem } }] },
  });
  if (answer.status !== 200) throw new Error(`device ${id}: ${answer.status} ${answer.text}`);
  return { id, key, ...answer.body };
}

export function connectOptions(server, device, options = {}) {
  return {
    host: '127.0.0.1', port: server.port, protocol: 'mqtts', ca: server.ca, rejectUnauthorized: true,
    clientId: `${registryPath}/devices/${device.id}`,
    username: 'unused', password: deviceToken(device.key, project, options.claims, options.header),
    clean: true, keepalive: 60, reconnectPeriod: 0, connectTimeout: 20000, ...options.mqtt,
  };
}

// An MQTT.js client that is connected; rejects with the error otherwise.
export function connect(server, device, options = {}) {
  return new Promise((done, fail) => {
    const client = mqtt.connect(connectOptions(server, device, options));
    client.once('connect', () => { client.removeListener('error', fail); client.on('error', () => {}); done(client); });
    client.once('error', (error) => { client.end(true); fail(error); });
    client.once('close', () => fail(new Error('closed before CONNACK')));
  });
}

// Resolves when the connection is over, however it ended: a reset is an end like any other.
export const closed = (client) => new Promise((done) => { client.once('close', done); });

// Pulls and acknowledges until `count` messages are there.
export async function pull(server, token, count, subscription = 'test') {
  const got = [];
  while (got.length < count) {
    const answer = await server.call('POST', `/v1/projects/${project}/subscriptions/${subscription}:pull`,
      { token, body: { maxMessages: 1000 } });
    if (answer.status !== 200) throw new Error(`pull: ${answer.status} ${answer.text}`);
    const messages = answer.body.receivedMessages ?? [];
    if (messages.length === 0) throw new Error(`only ${got.length} of ${count} messages came`);
    got.push(...messages.map(({ message }) => message));
    await server.call('POST', `/v1/projects/${project}/subscriptions/${subscription}:acknowledge`,
      { token, body: { ackIds: messages.map(({ ackId }) => ackId) } });
  }
  return got;
}
