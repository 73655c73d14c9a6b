// subscription.on('message') as programs write it: StreamingPull, receipts and acknowledgements. Started by
// google-stream.test.mjs, which says in the environment where the server is.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { PubSub } from '@google-cloud/pubsub';

const { OAuth2Client } = createRequire(import.meta.url)('google-auth-library');
const { GATEHOUSE_PROJECT: projectId, GATEHOUSE_PORT: port, GATEHOUSE_TOKEN: token } = process.env;

test('messages come by themselves, and each once when it is acknowledged', async () => {
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: token });
  const pubsub = new PubSub({ projectId, emulatorMode: false, apiEndpoint: `127.0.0.1:${port}`, authClient });
  const [topic] = await pubsub.createTopic('stream');
  const [subscription] = await topic.createSubscription('stream');
  const count = 500, seen = new Map();
  let failure;
  const all = new Promise((done, fail) => {
    subscription.on('error', (error) => { failure = error; fail(error); });
    subscription.on('message', (message) => {
      seen.set(message.id, (seen.get(message.id) ?? 0) + 1);
      assert.equal(message.attributes.k, 'v');
      message.ack();
      if (seen.size === count) done();
    });
  });
  const sent = [];
  for (let i = 0; i < count; i++) sent.push(topic.publishMessage({ data: Buffer.from(`n${i}`), attributes: { k: 'v' } }));
  const ids = await Promise.all(sent);
  await all;
  assert.equal(failure, undefined);
  assert.deepEqual([...seen.keys()].sort(), ids.sort());
  await subscription.close();
  const left = new Set();
  const again = pubsub.subscription('stream');
  again.on('message', (message) => { left.add(message.id); message.nack(); });
  await new Promise((done) => { setTimeout(done, 300); });
  await again.close();
  assert.equal(left.size, 0, 'what was acknowledged does not come again');
  await pubsub.close();
});
