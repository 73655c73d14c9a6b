// The back end of bench/endure: Google's libraries, unmodified but for the endpoint. A process of its own, since its trust
// anchor is read when it starts; it is told what to do by messages of its parent and answers each.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../tests/package.json', import.meta.url));
const { PubSub } = require('@google-cloud/pubsub');
const iot = require('@google-cloud/iot');
const { OAuth2Client } = require('google-auth-library');

const { GATEHOUSE_PROJECT: projectId, GATEHOUSE_HOST: host, GATEHOUSE_PORT: port, GATEHOUSE_TOKEN: token } = process.env;
const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: token });
const manager = (fallback) => new iot.v1.DeviceManagerClient({ fallback, projectId, apiEndpoint: host, port: Number(port), authClient });
const faces = { REST: manager(true), gRPC: manager(false) };
const parent = `projects/${projectId}/locations/europe-west1`;
const registry = `${parent}/registries/fleet`;

// Runs over the list, so many at a time; resolves with the seconds that it took.
async function eachOf(list, atOnce, run) {
  const from = process.hrtime.bigint(), rest = list.values();
  await Promise.all(Array.from({ length: atOnce }, async () => { for (const item of rest) await run(item); }));
  return Number(process.hrtime.bigint() - from) / 1e9;
}

const seen = []; // of each row: how often each number came
let received = 0, repeated = 0, strange = 0, latencies = null, errors = [];

function take(message) {
  const now = process.hrtime.bigint();
  const [row, number, moment] = message.data.toString().split(':');
  const counts = seen[Number(row)] ??= [];
  if (message.attributes.deviceId === undefined || moment === undefined) strange++;
  counts[Number(number)] = (counts[Number(number)] ?? 0) + 1;
  if (counts[Number(number)] > 1) repeated++;
  received++;
  latencies?.push(Number(now - BigInt(moment)) / 1000);
  message.ack();
}

let pubsub, subscription;
const tasks = {
  async prepare() {
    pubsub = new PubSub({ projectId, apiEndpoint: `${host}:${port}`, authClient, emulatorMode: false });
    const [topic] = await pubsub.createTopic('telemetry');
    await topic.createSubscription('back-end', { ackDeadlineSeconds: 60 });
    await faces.gRPC.createDeviceRegistry({ parent, deviceRegistry: { id: 'fleet', eventNotificationConfigs: [{ pubsubTopicName: topic.name }] } });
  },
  async register({ face, devices, atOnce }) {
    const seconds = await eachOf(devices, atOnce, ({ id, pem, gateway }) => faces[face].createDevice({ parent: registry, device: {
      id, credentials: [{ publicKey: { format: 'ES256_PEM', key: pem } }],
      gatewayConfig: gateway ? { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' } : { gatewayType: 'NON_GATEWAY' },
    } }));
    return { seconds };
  },
  async bind({ pairs, atOnce }) {
    return { seconds: await eachOf(pairs, atOnce, ([gatewayId, deviceId]) => faces.gRPC.bindDeviceToGateway({ parent: registry, gatewayId, deviceId })) };
  },
  async listen() {
    subscription = pubsub.subscription('back-end', { flowControl: { maxMessages: 5000 } });
    subscription.on('message', take);
    subscription.on('error', (error) => { errors.push(error.message); });
  },
  async latencies({ on }) {
    const list = latencies?.sort((a, b) => a - b);
    latencies = on ? [] : null;
    return list && { count: list.length, p50_us: list[list.length >> 1], p99_us: list[Math.floor(list.length * 0.99)] };
  },
  async command({ devices }) {
    const refused = [];
    await eachOf(devices, 16, (id) => faces.gRPC.sendCommandToDevice({ name: `${registry}/devices/${id}`, binaryData: Buffer.from('move') })
      .catch((error) => { refused.push(`${id}: ${error.message}`); }));
    return { answered: devices.length - refused.length, refused };
  },
  async count() { return { received, repeated, strange, errors }; },
  // Which of the acknowledged messages have not come: [row, number], the first hundred.
  async missing({ acknowledged }) {
    const list = [];
    for (const [row, count] of acknowledged.entries())
      for (let number = 0; number < count && list.length < 100; number++) if (seen[row]?.[number] === undefined) list.push([row, number]);
    return { list };
  },
  async close() {
    await subscription?.close();
    await pubsub?.close();
  },
};

process.on('message', async ({ id, task, ...more }) => {
  try {
    process.send({ id, answer: await tasks[task](more) ?? {} });
    if (task === 'close') process.disconnect();
  } catch (error) {
    process.send({ id, problem: error.message });
  }
});
