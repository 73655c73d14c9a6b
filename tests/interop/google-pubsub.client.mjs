// Subscriptions as programs of Google's library make and use them. Started by google-pubsub.test.mjs, which says in the
// environment where the server is.
import { patience } from '../lib/sanitizer.mjs';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { PubSub, v1 } from '@google-cloud/pubsub';

const { OAuth2Client } = createRequire(import.meta.url)('google-auth-library');
const { GATEHOUSE_PROJECT: projectId, GATEHOUSE_HOST: host, GATEHOUSE_PORT: port, GATEHOUSE_TOKEN: token } = process.env;
const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: token });
const options = { projectId, emulatorMode: false, apiEndpoint: `${host}:${port}`, authClient };
const pubsub = new PubSub(options);
after(() => pubsub.close());

// Streams messages to `take` until it says true; the subscription is closed then.
async function stream(subscription, take) {
  await new Promise((done, fail) => {
    subscription.on('error', fail);
    subscription.on('message', (message) => { if (take(message)) done(); });
  });
  await subscription.close();
}
const texts = (count, seen = []) => [seen, (message) => { message.ack(); seen.push(message.data.toString()); return seen.length === count; }];

test('ordering: each key in its order, also after a nack', async () => {
  const [topic] = await pubsub.createTopic('ordered');
  const [made] = await topic.createSubscription('ordered', { enableMessageOrdering: true });
  const publisher = pubsub.topic('ordered', { messageOrdering: true });
  const sent = [];
  for (let i = 0; i < 60; i++) sent.push(publisher.publishMessage({ data: Buffer.from(String(i)), orderingKey: `key ${i % 3}` }));
  await Promise.all(sent);
  const came = [[], [], []]; // by key
  const whole = (list, first) => JSON.stringify(list) === JSON.stringify(Array.from({ length: Math.ceil((60 - first) / 3) }, (_, i) => first + 3 * i));
  const again = () => came[0].slice(came[0].lastIndexOf(15)); // what followed the message that was nacked
  await stream(pubsub.subscription('ordered'), (message) => {
    const number = Number(message.data), list = came[number % 3], isFirst = number === 15 && !list.includes(15);
    list.push(number);
    if (isFirst) message.nack();
    else message.ack();
    return whole(came[1], 1) && whole(came[2], 2) && came[0].filter((one) => one === 15).length === 2 && whole(again(), 15);
  });
  assert.ok(whole(came[0].slice(0, 5).concat(again()), 0), 'the begin of the key in its order, and its rest after the nack');
  assert.equal((await made.getMetadata())[0].enableMessageOrdering, true);
});

test('a filter: only what fits comes', async () => {
  const [topic] = await pubsub.createTopic('filtered');
  const [subscription] = await topic.createSubscription('filtered', { filter: 'attributes.kind = "hot" AND NOT attributes:secret' });
  for (const [text, attributes] of [['a', { kind: 'hot' }], ['b', { kind: 'cold' }], ['c', { kind: 'hot', secret: 'x' }], ['d', { kind: 'hot' }]])
    await topic.publishMessage({ data: Buffer.from(text), attributes });
  const [seen, take] = texts(2);
  await stream(subscription, take);
  assert.deepEqual(seen.sort(), ['a', 'd']);
  await assert.rejects(topic.createSubscription('wrong', { filter: 'nonsense' }), (error) => error.code === 3);
});

test('dead letters: after five attempts it goes to the other topic', async () => {
  const [graves] = await pubsub.createTopic('graves');
  const [mourner] = await graves.createSubscription('mourner');
  const [topic] = await pubsub.createTopic('deadly');
  const [subscription] = await topic.createSubscription('deadly', { deadLetterPolicy: { deadLetterTopic: graves.name, maxDeliveryAttempts: 5 } });
  await topic.publishMessage({ data: Buffer.from('sick'), attributes: { k: 'v' } });
  const attempts = [];
  await stream(subscription, (message) => { attempts.push(message.deliveryAttempt); message.nack(); return attempts.length === 5; });
  assert.deepEqual(attempts, [1, 2, 3, 4, 5]);
  let letter;
  await stream(mourner, (message) => { letter = message; message.ack(); return true; });
  assert.equal(letter.data.toString(), 'sick');
  assert.equal(letter.attributes.k, 'v');
  assert.equal(letter.attributes.CloudPubSubDeadLetterSourceSubscription, 'deadly');
});

test('seek and snapshots', async () => {
  const [topic] = await pubsub.createTopic('history');
  const [subscription] = await topic.createSubscription('history', { retainAckedMessages: true });
  const publish = (text) => topic.publishMessage({ data: Buffer.from(text) });
  await publish('a');
  await publish('b');
  const [snapshot] = await subscription.createSnapshot('before');
  assert.match(snapshot.name, /projects\/bus\/snapshots\/before$/);
  let [seen, take] = texts(2);
  await stream(subscription, take);
  assert.deepEqual(seen.sort(), ['a', 'b']);
  await snapshot.seek();
  [seen, take] = texts(2);
  await stream(pubsub.subscription('history'), take);
  assert.deepEqual(seen.sort(), ['a', 'b'], 'what the snapshot held');
  await subscription.seek(new Date(Date.now() - 3600000));
  [seen, take] = texts(2);
  await stream(pubsub.subscription('history'), take);
  assert.deepEqual(seen.sort(), ['a', 'b'], 'what was retained');
  await subscription.seek(new Date(Date.now() + 1000));
  await publish('c');
  [seen, take] = texts(1);
  await stream(pubsub.subscription('history'), take);
  assert.deepEqual(seen, ['c'], 'nothing that came before');
  const [list] = await pubsub.getSnapshots();
  assert.deepEqual(list.map(({ name }) => name), ['projects/bus/snapshots/before']);
  await snapshot.delete();
});

// The Node library acknowledges by calls of their own; the window of the stream opens with either.
for (const way of ['on the stream', 'by a call']) test(`flow control: no more than is asked for is outstanding, acknowledged ${way}`, { timeout: 30000 * patience }, async () => {
  const name = `flow-${way.replaceAll(' ', '-')}`;
  const [topic] = await pubsub.createTopic(name);
  await topic.createSubscription(name);
  for (let i = 0; i < 30; i++) await topic.publishMessage({ data: Buffer.from(String(i)) });
  const client = new v1.SubscriberClient({ ...options, port: Number(port), apiEndpoint: host });
  const calls = client.streamingPull(), held = [], subscription = `projects/bus/subscriptions/${name}`;
  const answer = (ackIds) => (way === 'by a call' ? client.acknowledge({ subscription, ackIds }) : calls.write({ ackIds }));
  let most = 0;
  await new Promise((done, fail) => {
    const seen = new Set();
    calls.on('error', fail);
    calls.on('data', ({ receivedMessages }) => {
      for (const { ackId, message } of receivedMessages) { held.push(ackId); seen.add(message.messageId); }
      most = Math.max(most, held.length);
      if (seen.size === 30) return done();
      if (held.length > 0) setImmediate(() => { answer([held.shift()]); });
    });
    calls.write({ subscription, streamAckDeadlineSeconds: 60, maxOutstandingMessages: 4, maxOutstandingBytes: 1 << 20, clientId: 'me' });
  });
  assert.ok(most <= 4, `${most} were outstanding`);
  calls.end();
  await new Promise((done) => { calls.on('end', done); calls.on('close', done); calls.resume(); });
  await client.close();
});

test('definitions: update, detach, policies', async () => {
  const [topic] = await pubsub.createTopic('defined');
  await topic.setMetadata({ labels: { a: 'b' }, messageRetentionDuration: { seconds: 600 } });
  assert.deepEqual((await topic.getMetadata())[0].labels, { a: 'b' });
  const [subscription] = await topic.createSubscription('defined', { retryPolicy: { minimumBackoff: { seconds: 20 }, maximumBackoff: { seconds: 30 } } });
  await subscription.setMetadata({ ackDeadlineSeconds: 77, expirationPolicy: {} });
  const [{ ackDeadlineSeconds, retryPolicy, expirationPolicy }] = await subscription.getMetadata();
  assert.equal(ackDeadlineSeconds, 77);
  assert.equal(Number(retryPolicy.minimumBackoff.seconds), 20);
  assert.equal(expirationPolicy.ttl, null);
  for (const thing of [topic, subscription]) {
    const [policy] = await thing.iam.getPolicy();
    const [set] = await thing.iam.setPolicy({ etag: policy.etag, bindings: [{ role: 'roles/pubsub.viewer', members: ['user:a@b.c'] }] });
    assert.equal(set.bindings[0].role, 'roles/pubsub.viewer');
    await assert.rejects(thing.iam.setPolicy({ etag: policy.etag, bindings: [] }), (error) => error.code === 10);
    const [may] = await thing.iam.testPermissions(['pubsub.topics.publish']);
    assert.deepEqual(may, { 'pubsub.topics.publish': true });
  }
  assert.deepEqual((await topic.getSubscriptions())[0].map(({ name }) => name), ['projects/bus/subscriptions/defined']);
  await pubsub.detachSubscription('defined');
  assert.equal((await subscription.detached())[0], true);
  assert.deepEqual((await topic.getSubscriptions())[0], []);
});
