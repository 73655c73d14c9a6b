// SUBSCRIBE, UNSUBSCRIBE and what they promise (sections 3.8 to 3.11; 5.0: 3.3.4).
import { text } from '../lib/context.mjs';

export default [
  {
    name: 'SUBSCRIBE is answered by SUBACK with its identifier and a code for each filter in order',
    4: ['3.8.4-1', '3.8.4-2', '3.8.4-4', '3.8.4-5', '3.9.3-1', '3.9.3-2', '2.3.1-7'],
    5: ['3.8.4-1', '3.8.4-2', '3.8.4-5', '3.8.4-6', '3.8.4-7', '3.9.3-1', '3.9.3-2', '2.2.1-6'],
    run: async (t) => {
      const peer = await t.client();
      const wanted = [2, 0, 1, 1, 2, 0];
      peer.send({ type: 'subscribe', id: 0xabcd, filters: wanted.map((qos, i) => ({ filter: t.topic(`${i}`), qos })) });
      const answer = await peer.expect('suback');
      t.assert.equal(answer.id, 0xabcd);
      t.assert.equal(answer.reasons.length, wanted.length);
      const { maximumQos } = peer.connack.props;
      if (maximumQos === undefined) t.assert.deepEqual(answer.reasons, wanted);
      for (const [i, qos] of wanted.entries()) {
        await peer.publish(t.topic(`${i}`), `${i}`, { qos: 2 });
        t.assert.equal((await peer.message()).qos, qos);
      }
    },
  },
  {
    name: 'a list of a thousand filters is answered as a whole, and what comes behind it waits',
    4: ['3.8.4-5', '3.10.4-6'], 5: ['3.8.4-5', '3.8.4-6', '3.10.4-6'],
    run: async (t) => {
      const peer = await t.client();
      const filters = Array.from({ length: 1000 }, (_, i) => ({ filter: t.topic(`${i}`), qos: i % 2 }));
      peer.send({ type: 'subscribe', id: 7, filters }, { type: 'publish', topic: t.topic('999'), payload: 'last', qos: 0 });
      const answer = await peer.expect('suback');
      t.assert.equal(answer.id, 7);
      t.assert.deepEqual(answer.reasons, filters.map(({ qos }) => qos));
      t.assert.equal(text(await peer.message()), 'last');
      for (const i of [0, 63, 64, 500]) {
        await peer.publish(t.topic(`${i}`), `${i}`, { qos: 1 });
        t.assert.equal(text(await peer.message()), `${i}`);
      }
      await peer.unsubscribe(filters.map(({ filter }) => filter));
      await peer.publish(t.topic('500'), 'nobody', { qos: 1 });
      // One that goes away while its list is worked off harms nobody.
      const hasty = await t.client();
      hasty.send({ type: 'subscribe', id: 1, filters });
      hasty.drop();
      await peer.ping();
    },
  },
  {
    name: 'one SUBSCRIBE with a good and a bad filter says so for each, or the connection ends',
    4: ['3.8.4-4', '3.8.4-5'], 5: ['3.8.4-5', '3.8.4-7'],
    run: async (t) => {
      const peer = await t.client();
      peer.send({ type: 'subscribe', id: 1, filters: [{ filter: t.topic('good'), qos: 1 }, { filter: 'bad#', qos: 1 }] });
      const answer = await Promise.race([peer.ended.then(() => 'closed'), peer.expect('suback').catch(() => 'closed')]);
      if (answer !== 'closed') t.assert.ok(answer.reasons[0] === 1 && answer.reasons[1] >= 0x80);
    },
  },
  {
    name: 'the same filter again replaces the subscription and its QoS',
    4: ['3.8.4-3'], 5: ['3.8.4-3'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      await peer.subscribe({ filter: t.topic(), qos: 0 });
      await peer.publish(t.topic(), 'x', { qos: 2 });
      t.assert.equal((await peer.message()).qos, 0);
      t.assert.deepEqual(await t.before(peer, peer, t.topic(), { qos: 0 }), [], 'one copy');
    },
  },
  {
    name: 'replacing a subscription loses no message',
    4: ['3.8.4-3'], 5: ['3.8.4-4'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      const numbers = Array.from({ length: 60 }, (_, i) => `${i}`);
      const published = (async () => { for (const number of numbers) await helper.publish(t.topic(), number, { qos: 1 }); })();
      for (let i = 0; i < 10; i++) await peer.subscribe({ filter: t.topic(), qos: 1 });
      await published;
      t.assert.deepEqual((await peer.messages(60)).map(text), numbers);
    },
  },
  {
    name: 'subscribing again sends the retained messages again',
    4: ['3.8.4-3'], 5: ['3.8.4-4', '3.3.1-9'],
    run: async (t) => {
      const peer = await t.client();
      await peer.publish(t.topic(), 'kept', { qos: 1, retain: true });
      for (let i = 0; i < 3; i++) {
        await peer.subscribe({ filter: t.topic(), qos: 1 });
        const got = await peer.message();
        t.assert.deepEqual([text(got), got.retain], ['kept', true]);
      }
    },
  },
  {
    name: 'a message that matches several subscriptions comes with the highest of their QoS',
    4: ['3.3.5-1'], 5: ['3.3.4-2'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe([{ filter: t.topic('a/#'), qos: 0 }, { filter: t.topic('a/+'), qos: 2 }, { filter: t.topic('a/b'), qos: 1 }]);
      await peer.publish(t.topic('a/b'), 'x', { qos: 2 });
      const got = [await peer.message()];
      got.push(...await t.before(peer, peer, t.topic('a/b'), { qos: 2 }));
      // A server may send one copy, or one for each subscription with its own QoS.
      t.assert.equal(Math.max(...got.map(({ qos }) => qos)), 2);
      t.assert.ok(got.length <= 3);
    },
  },
  {
    name: 'UNSUBSCRIBE is answered by UNSUBACK, though nothing was subscribed',
    4: ['3.10.4-4', '3.10.4-5', '3.10.4-6', '2.3.1-7'],
    5: ['3.10.4-4', '3.10.4-5', '3.10.4-6', '3.11.3-1', '3.11.3-2', '2.2.1-6'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe([t.topic('a'), t.topic('c')]);
      const answer = await peer.unsubscribe([t.topic('a'), t.topic('b'), t.topic('c'), t.topic('a')]);
      if (t.v5) t.assert.deepEqual(answer.reasons, [0, 0x11, 0, 0x11]);
      await peer.unsubscribe(t.topic('never'));
    },
  },
  {
    name: 'UNSUBSCRIBE takes exactly the filter that it names',
    4: ['3.10.4-1', '3.10.4-2'], 5: ['3.10.4-1', '3.10.4-2'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe([{ filter: t.topic('a/+'), qos: 1 }, { filter: t.topic('a/b'), qos: 1 }]);
      await peer.unsubscribe([t.topic('a/#'), t.topic('+/b'), t.topic('A/b'), t.topic('a/b/')]);
      await peer.unsubscribe(t.topic('a/+'));
      await peer.publish(t.topic('a/c'), 'no more', { qos: 1 });
      await peer.publish(t.topic('a/b'), 'still', { qos: 1 });
      t.assert.equal(text(await peer.message()), 'still');
      await peer.unsubscribe(t.topic('a/b'));
      await peer.publish(t.topic('a/b'), 'nothing', { qos: 1 });
      await peer.subscribe({ filter: t.topic('end'), qos: 1 });
      t.assert.deepEqual(await t.before(peer, peer, t.topic('end'), { qos: 1 }), []);
    },
  },
  {
    name: 'what was being delivered when UNSUBSCRIBE came is delivered to the end',
    4: ['3.10.4-3'], 5: ['3.10.4-3'],
    run: async (t) => {
      const clientId = t.clientId();
      const peer = await t.client({ stored: true, clientId, auto: false });
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      await peer.publish(t.topic(), 'one', { qos: 1 });
      await peer.publish(t.topic(), 'two', { qos: 2 });
      const [one, two] = await peer.messages(2);
      await peer.unsubscribe(t.topic());
      peer.acknowledge(two);
      t.assert.equal((await peer.expect('pubrel')).id, two.id);
      peer.drop();
      const again = await t.client({ stored: true, clientId });
      t.assert.equal((await again.expect('pubrel')).id, two.id);
      t.assert.equal((await again.message()).id, one.id);
    },
  },
  {
    name: 'no local keeps a client from its own messages',
    5: ['3.8.3-3'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 1, noLocal: true });
      await peer.publish(t.topic(), 'my own', { qos: 1 });
      await helper.publish(t.topic(), 'another\'s', { qos: 1 });
      t.assert.equal(text(await peer.message()), 'another\'s');
    },
  },
  {
    name: 'a subscription identifier comes with each message of its subscription',
    5: ['3.3.4-3', '3.3.4-4', '1.5.5-1'],
    run: async (t) => {
      const peer = await t.client();
      for (const subscriptionId of [1, 127, 128, 268435455]) {
        await peer.subscribe({ filter: t.topic(), qos: 1 }, { subscriptionId });
        await peer.publish(t.topic(), 'x', { qos: 1 });
        t.assert.deepEqual((await peer.message()).props.subscriptionId, [subscriptionId]);
      }
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      await peer.publish(t.topic(), 'x', { qos: 1 });
      t.assert.equal((await peer.message()).props.subscriptionId, undefined, 'replaced by one without');
    },
  },
  {
    name: 'overlapping subscriptions send all their identifiers',
    5: ['3.3.4-3', '3.3.4-4', '3.3.4-5'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic('a/+'), qos: 1 }, { subscriptionId: 11 });
      await peer.subscribe({ filter: t.topic('a/#'), qos: 1 }, { subscriptionId: 22 });
      await peer.subscribe({ filter: t.topic('a/b'), qos: 1 });
      await peer.publish(t.topic('a/b'), 'x', { qos: 1 });
      const got = [await peer.message()];
      got.push(...await t.before(peer, peer, t.topic('a/b'), { qos: 1 }));
      // One copy with both, or one copy for each subscription with its own.
      const ids = got.map(({ props }) => props.subscriptionId ?? []);
      t.assert.deepEqual(ids.flat().sort(), [11, 22]);
      if (got.length > 1) t.assert.ok(ids.every((list) => list.length <= 1) && got.length <= 3);
    },
  },
  {
    name: 'a subscription identifier waits with its message for a client that is away',
    5: ['3.3.4-3'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 }, { subscriptionId: 5 });
      await first.disconnectCleanly();
      await helper.publish(t.topic(), 'x', { qos: 1 });
      t.assert.deepEqual((await (await t.client({ stored: true, clientId })).message()).props.subscriptionId, [5]);
    },
  },
  {
    name: 'SUBSCRIBE and UNSUBSCRIBE with user properties are taken',
    5: ['3.8.4-1', '3.10.4-4'],
    run: async (t) => {
      const peer = await t.client();
      t.assert.deepEqual((await peer.subscribe({ filter: t.topic(), qos: 1 }, { user: [['a', 'b'], ['a', 'c']] })).reasons, [1]);
      t.assert.deepEqual((await peer.unsubscribe(t.topic(), { user: [['a', 'b']] })).reasons, [0]);
    },
  },
];
