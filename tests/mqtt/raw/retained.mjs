// Retained messages (section 3.3.1.3, 3.8.3.1).
import { text } from '../lib/context.mjs';

const retain = (peer, topic, payload, more) => peer.publish(topic, payload, { qos: 1, retain: true, ...more });

export default [
  {
    name: 'the last retained message of each topic is sent to a new subscription, marked as such',
    4: ['3.3.1-5', '3.3.1-6', '3.3.1-8'], 5: ['3.3.1-5', '3.3.1-9'],
    run: async (t) => {
      const helper = await t.client();
      for (const payload of ['old', 'older', 'now']) await retain(helper, t.topic('a'), payload);
      await retain(helper, t.topic('b'), 'b', { qos: 2 });
      await retain(helper, t.topic('c/d'), 'd', { qos: 1 });
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic('#'), qos: 2 });
      const got = await peer.messages(3);
      t.assert.deepEqual(got.map(text).sort(), ['b', 'd', 'now']);
      t.assert.ok(got.every((packet) => packet.retain && !packet.dup));
      t.assert.deepEqual(await t.before(peer, helper, t.topic('a'), { qos: 1 }), []);
    },
  },
  {
    name: 'a retained message of QoS 0 replaces the one before, or leaves none',
    4: ['3.3.1-7'], 5: ['3.3.1-5'],
    run: async (t) => {
      const helper = await t.client();
      await retain(helper, t.topic(), 'first');
      await retain(helper, t.topic(), 'second', { qos: 0 });
      await helper.ping();
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      const got = await t.before(peer, helper, t.topic(), { qos: 1 });
      t.assert.ok(got.every((packet) => text(packet) === 'second'));
      if (t.v5) t.assert.equal(got.length, 1);
    },
  },
  {
    name: 'an established subscription gets retained messages without the mark',
    4: ['3.3.1-9'], 5: ['3.3.1-12'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      for (const qos of [0, 1, 2]) {
        await retain(helper, t.topic(), `${qos}`, { qos });
        const got = await peer.message();
        t.assert.deepEqual([text(got), got.retain], [`${qos}`, false]);
      }
    },
  },
  {
    name: 'an empty retained message is passed on and clears what was retained',
    4: ['3.3.1-10', '3.3.1-11'], 5: ['3.3.1-6', '3.3.1-7'],
    run: async (t) => {
      const watcher = await t.client(), helper = await t.client();
      await watcher.subscribe({ filter: t.topic(), qos: 1 });
      await retain(helper, t.topic(), 'there');
      t.assert.equal(text(await watcher.message()), 'there');
      await retain(helper, t.topic(), '');
      t.assert.equal((await watcher.message()).payload.length, 0);
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      t.assert.deepEqual(await t.before(peer, helper, t.topic(), { qos: 1 }), []);
    },
  },
  {
    name: 'a message without the flag leaves what is retained alone',
    4: ['3.3.1-12'], 5: ['3.3.1-8'],
    run: async (t) => {
      const helper = await t.client();
      await retain(helper, t.topic('a'), 'kept');
      await helper.publish(t.topic('a'), 'passing', { qos: 1 });
      await helper.publish(t.topic('a'), '', { qos: 1 });
      await helper.publish(t.topic('b'), 'passing', { qos: 1 });
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic('+'), qos: 1 });
      t.assert.equal(text(await peer.message()), 'kept');
      t.assert.deepEqual(await t.before(peer, helper, t.topic('b'), { qos: 1 }), []);
    },
  },
  {
    name: 'a retained message comes with at most the QoS of the subscription',
    4: ['3.8.4-6'], 5: ['3.8.4-8'],
    run: async (t) => {
      const helper = await t.client();
      await retain(helper, t.topic(), 'x', { qos: 2 });
      for (const qos of [0, 1, 2]) {
        const peer = await t.client();
        await peer.subscribe({ filter: t.topic(), qos });
        t.assert.equal((await peer.message()).qos, qos);
      }
    },
  },
  {
    name: 'retain handling 0 sends the retained messages at each SUBSCRIBE, 1 only at the first, 2 never',
    5: ['3.3.1-9', '3.3.1-10', '3.3.1-11'],
    run: async (t) => {
      const helper = await t.client();
      await retain(helper, t.topic(), 'kept');
      for (const [retainHandling, expected] of [[0, [1, 1]], [1, [1, 0]], [2, [0, 0]]]) {
        const peer = await t.client();
        for (const count of expected) {
          await peer.subscribe({ filter: t.topic(), qos: 1, retainHandling });
          const got = await t.before(peer, helper, t.topic(), { qos: 1 });
          t.assert.deepEqual(got.map(text), Array(count).fill('kept'), `handling ${retainHandling}`);
        }
        await peer.unsubscribe(t.topic());
        await peer.subscribe({ filter: t.topic(), qos: 1, retainHandling });
        const again = await t.before(peer, helper, t.topic(), { qos: 1 });
        t.assert.equal(again.length, retainHandling === 2 ? 0 : 1, `handling ${retainHandling} after UNSUBSCRIBE`);
      }
    },
  },
  {
    name: 'retain as published passes the flag on as it came',
    5: ['3.3.1-12', '3.3.1-13'],
    run: async (t) => {
      const peers = [await t.client(), await t.client()], helper = await t.client();
      for (const [i, peer] of peers.entries()) await peer.subscribe({ filter: t.topic(), qos: 1, retainAsPublished: i === 1 });
      for (const flag of [true, false]) {
        await helper.publish(t.topic(), 'x', { qos: 1, retain: flag });
        t.assert.equal((await peers[0].message()).retain, false);
        t.assert.equal((await peers[1].message()).retain, flag);
      }
    },
  },
  {
    name: 'a retained message keeps its properties',
    5: ['3.3.2-17', '3.3.2-18', '3.3.2-15', '3.3.2-16', '3.3.2-20', '3.3.2-4', '3.3.2-6'],
    run: async (t) => {
      const helper = await t.client(), peer = await t.client();
      const props = { payloadFormat: 1, contentType: 'c', responseTopic: 'r', correlationData: Buffer.from('d'), user: [['z', '1'], ['a', '2'], ['z', '3']] };
      await retain(helper, t.topic(), 'x', { props: { ...props, messageExpiry: 6000 } });
      await peer.subscribe({ filter: t.topic(), qos: 1 }, { subscriptionId: 9 });
      const { messageExpiry, subscriptionId, ...rest } = (await peer.message()).props;
      t.assert.deepEqual(rest, props);
      t.assert.ok(messageExpiry <= 6000 && messageExpiry > 5000);
      t.assert.deepEqual(subscriptionId, [9]);
    },
  },
  {
    name: 'retained messages and wildcards in front leave $ topics alone',
    4: ['4.7.2-1'], 5: ['4.7.2-1'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      await retain(helper, t.topic(), 'mine');
      await peer.subscribe({ filter: '#', qos: 0 });
      await peer.message((packet) => packet.topic === t.topic());
      await helper.publish(t.topic('mark'), 'mark');
      await peer.message((packet) => packet.topic === t.topic('mark'));
      t.assert.ok(!peer.packets.some((packet) => packet.type === 'publish' && packet.topic.startsWith('$')));
    },
  },
];
