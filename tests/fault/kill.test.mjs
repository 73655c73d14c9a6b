// Nothing acknowledged is lost: many devices publish QoS 1, a back end pulls and acknowledges, and gatehoused is killed
// with SIGKILL at random moments. The history must show, at the end:
//   1. every message that got its PUBACK was delivered to the subscription;
//   2. a message whose acknowledgement was answered is never delivered again;
//   3. what was delivered was published, and no more often than the devices sent it.
// GATEHOUSE_KILLS (default 50) and GATEHOUSE_SEED choose the run; a failure prints the seed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { eventually, Server } from '../lib/server.mjs';
import { connect, makeDevice, makeProject, project } from '../lib/warehouse.mjs';

const kills = Number(process.env.GATEHOUSE_KILLS ?? 50);
const seed = Number(process.env.GATEHOUSE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const devicesCount = 8;
let state = seed;
const random = () => { // xorshift: the same moments for the same seed
  state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
};
const pause = (ms) => new Promise((next) => { setTimeout(next, ms); });

let server, token;
const sent = new Map(); // payload -> how often it was sent
const acknowledged = new Set(); // payloads that got their PUBACK
const delivered = new Map(); // messageId -> { payload, times, done (its acknowledgement was answered) }
const wrong = [];
let stopping = false, drained = false; // no more is published; all that was acknowledged has come

before(async () => {
  server = await (await Server.create()).start();
  token = await makeProject(server, { ackDeadlineSeconds: 10 });
});
after(() => server?.close());

// One device: publishes numbers in turn, keeps what was not acknowledged, and sends it again after a reconnect.
async function device(identity) {
  let next = 0;
  const waiting = [];
  while (!stopping || waiting.length > 0) {
    let client;
    try {
      client = await connect(server, identity, { mqtt: { connectTimeout: 5000, queueQoSZero: false } });
    } catch {
      await pause(20);
      continue;
    }
    const closed = new Promise((done) => { client.once('close', done); });
    let open = true;
    closed.then(() => { open = false; });
    while (open && client.connected && (!stopping || waiting.length > 0)) {
      await new Promise((next) => { setImmediate(next); }); // the socket gets its turn
      while (waiting.length < 8 && !stopping) waiting.push(`${identity.id}:${next++}`);
      await Promise.race([closed, Promise.all(waiting.map(async (payload) => {
        sent.set(payload, (sent.get(payload) ?? 0) + 1);
        await new Promise((done) => {
          client.publish(`/devices/${identity.id}/events`, payload, { qos: 1 }, (error) => {
            if (!error) {
              acknowledged.add(payload);
              if (waiting.includes(payload)) waiting.splice(waiting.indexOf(payload), 1);
            }
            done();
          });
        });
      }))]);
    }
    client.end(true);
  }
}

async function backEnd() {
  let empty = 0;
  while (!drained || empty < 3) {
    try {
      const answer = await server.call('POST', `/v1/projects/${project}/subscriptions/test:pull`,
        { token, body: { maxMessages: 500, returnImmediately: true } });
      const messages = answer.body?.receivedMessages ?? [];
      empty = answer.status === 200 && messages.length === 0 ? empty + 1 : 0;
      for (const { message } of messages) {
        const payload = Buffer.from(message.data, 'base64').toString();
        const before = delivered.get(message.messageId);
        if (before?.done) wrong.push(`${message.messageId} (${payload}) came again after its acknowledgement`);
        delivered.set(message.messageId, { payload, times: (before?.times ?? 0) + 1, done: false });
      }
      if (messages.length > 0) {
        const acked = await server.call('POST', `/v1/projects/${project}/subscriptions/test:acknowledge`,
          { token, body: { ackIds: messages.map(({ ackId }) => ackId) } });
        if (acked.status === 200) for (const { message } of messages) delivered.get(message.messageId).done = true;
      } else await pause(drained ? 300 : 20);
    } catch {
      await pause(20);
    }
  }
}

test(`checklist 6: ${kills} kills, seed ${seed}`, { timeout: 20 * 60 * 1000 * patience }, async () => {
  const identities = [];
  for (let i = 0; i < devicesCount; i++) identities.push(await makeDevice(server, token, `pub-${i}`, i % 2 ? 'RS256' : 'ES256'));
  const publishing = identities.map(device), pulling = backEnd();
  for (let i = 0; i < kills; i++) {
    await pause(50 + random() * 500);
    await server.stop('SIGKILL');
    await server.start();
  }
  stopping = true;
  await Promise.all(publishing);
  const missing = () => {
    const there = new Set([...delivered.values()].map(({ payload }) => payload));
    return [...acknowledged].filter((payload) => !there.has(payload));
  };
  // The last messages are those leased before the last kill; they come back when their deadline has passed.
  await eventually(() => missing().length === 0, 30000, 'every acknowledged message').catch(() => {}); // named below
  drained = true;
  await pulling;
  assert.deepEqual(missing(), [], 'every acknowledged message is delivered');
  assert.deepEqual(wrong, [], 'none comes again after its acknowledgement');
  const copies = new Map();
  for (const { payload } of delivered.values()) copies.set(payload, (copies.get(payload) ?? 0) + 1);
  for (const [payload, count] of copies) {
    assert.ok(sent.has(payload), `${payload} was never sent`);
    assert.ok(count <= sent.get(payload), `${payload} is there ${count} times, sent ${sent.get(payload)} times`);
  }
  assert.ok(acknowledged.size > kills, `only ${acknowledged.size} messages were acknowledged`);
  console.log(`${acknowledged.size} acknowledged, ${delivered.size} delivered, ${kills} kills, 0 lost`);
});
