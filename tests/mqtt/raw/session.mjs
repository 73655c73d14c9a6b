// Sessions: kept, resumed, thrown away, and what is sent again (3.1.1: 3.1.2.4, 4.1, 4.4; 5.0: 3.1.2.4, 3.1.2.11, 4.1, 4.4).
import { patience } from '../../lib/sanitizer.mjs';
import { text } from '../lib/context.mjs';

export default [
  {
    name: 'a session that was not there is new',
    4: ['3.2.2-3', '3.1.2-4'], 5: ['3.2.2-3', '3.1.2-6'],
    run: async (t) => {
      const peer = await t.client({ stored: true, clientId: t.clientId() });
      t.assert.equal(peer.connack.sessionPresent, false);
    },
  },
  {
    name: 'a stored session is resumed with its subscriptions',
    4: ['3.1.2-4', '3.2.2-2', '4.1.0-1', '3.1.3-2'], 5: ['3.1.2-5', '3.2.2-3', '3.1.2-23', '3.1.4-4', '3.1.3-2'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await first.disconnectCleanly();
      const second = await t.client({ stored: true, clientId });
      t.assert.equal(second.connack.sessionPresent, true);
      await helper.publish(t.topic(), 'after', { qos: 1 });
      t.assert.equal(text(await second.message()), 'after');
    },
  },
  {
    name: 'a session survives a connection that breaks',
    4: ['3.1.2-4', '4.1.0-1'], 5: ['3.1.2-5', '3.1.2-23', '4.1.0-1'],
    run: async (t) => {
      const clientId = t.clientId();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe(t.topic());
      first.drop();
      t.assert.equal((await t.client({ stored: true, clientId })).connack.sessionPresent, true);
    },
  },
  {
    name: 'QoS 1 and 2 messages wait for a client that is away, in order and once',
    4: ['3.1.2-5', '4.5.0-1', '4.6.0-6'], 5: ['3.1.2-5', '4.5.0-1', '4.6.0-5'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe([{ filter: t.topic('one'), qos: 1 }, { filter: t.topic('two'), qos: 2 }]);
      await first.disconnectCleanly();
      for (let i = 0; i < 5; i++) {
        await helper.publish(t.topic('one'), `${i}`, { qos: 1 });
        await helper.publish(t.topic('two'), `${i}`, { qos: 2 });
      }
      const second = await t.client({ stored: true, clientId });
      const got = await second.messages(10);
      t.assert.deepEqual(await t.before(second, helper, t.topic('two'), { qos: 2 }), []);
      for (const topic of ['one', 'two']) {
        const mine = got.filter((packet) => packet.topic === t.topic(topic));
        t.assert.deepEqual(mine.map(text), ['0', '1', '2', '3', '4']);
        t.assert.ok(mine.every((packet) => packet.qos === (topic === 'one' ? 1 : 2) && !packet.dup));
      }
    },
  },
  {
    name: 'a clean start throws the old session away',
    4: ['3.1.2-6', '3.2.2-1', '3.1.4-3'], 5: ['3.1.2-4', '3.2.2-2', '3.1.4-4'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await first.disconnectCleanly();
      await helper.publish(t.topic(), 'kept for nobody', { qos: 1 });
      const second = await t.client({ clientId, clean: true });
      t.assert.equal(second.connack.sessionPresent, false);
      await helper.publish(t.topic(), 'x', { qos: 1 });
      await second.subscribe({ filter: t.topic(), qos: 1 });
      t.assert.deepEqual(await t.before(second, helper, t.topic(), { qos: 1 }), []);
    },
  },
  {
    name: 'a session that is not to be kept ends with its connection',
    4: ['3.1.2-6', '3.2.2-3'], 5: ['4.1.0-2', '3.1.2-6', '3.2.2-3'],
    run: async (t) => {
      const clientId = t.clientId();
      // MQTT 3.1.1: clean session; MQTT 5: a session expiry of 0.
      const first = await t.client({ clientId });
      await first.subscribe(t.topic());
      await first.disconnectCleanly();
      const second = await t.client({ clientId, clean: false });
      t.assert.equal(second.connack.sessionPresent, false);
    },
  },
  {
    name: 'a clean start in MQTT 5 with an expiry makes a session that lasts',
    5: ['3.1.2-4', '3.1.2-23'],
    run: async (t) => {
      const clientId = t.clientId();
      const first = await t.client({ stored: true, clean: true, clientId });
      await first.disconnectCleanly();
      t.assert.equal((await t.client({ stored: true, clientId })).connack.sessionPresent, true);
    },
  },
  {
    name: 'a session is gone when its expiry has passed',
    5: ['4.1.0-2'],
    run: async (t) => {
      const clientId = t.clientId();
      const first = await t.client({ clientId, clean: false, props: { sessionExpiry: 1 } });
      const expiry = first.connack.props.sessionExpiry ?? 1;
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await first.disconnectCleanly();
      await t.pass(expiry + 1.5);
      const second = await t.client({ clientId, clean: false, props: { sessionExpiry: 1 } });
      t.assert.equal(second.connack.sessionPresent, false);
    },
  },
  {
    name: 'the expiry runs from the end of the connection, not from CONNECT',
    5: ['4.1.0-1', '4.1.0-2', '3.1.2-23'],
    run: async (t) => {
      const clientId = t.clientId(), props = { sessionExpiry: 2 * patience }; // within which it is back
      const first = await t.client({ clientId, clean: false, props });
      await t.pass(props.sessionExpiry + 0.5);
      await first.disconnectCleanly();
      t.assert.equal((await t.client({ clientId, clean: false, props })).connack.sessionPresent, true);
    },
  },
  {
    name: 'DISCONNECT may change the expiry of a session that has one',
    5: ['4.1.0-2'],
    run: async (t) => {
      const clientId = t.clientId();
      const first = await t.client({ stored: true, clientId });
      await first.disconnectCleanly({ reason: 0, props: { sessionExpiry: 0 } });
      t.assert.equal((await t.client({ stored: true, clientId })).connack.sessionPresent, false);
    },
  },
  {
    name: 'DISCONNECT may not give an expiry to a session that had none',
    5: ['4.13.1-1'],
    run: async (t) => {
      const clientId = t.clientId();
      const first = await t.client({ clientId, props: { sessionExpiry: 0 } });
      first.send({ type: 'disconnect', reason: 0, props: { sessionExpiry: 100 } });
      await first.closed({ reasons: [0x81, 0x82] });
      t.assert.equal((await t.client({ clientId, clean: false })).connack.sessionPresent, false);
    },
  },
  {
    name: 'a session outlives being taken over',
    4: ['3.1.4-2', '3.1.2-4'], 5: ['3.1.4-3', '3.1.2-5'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      const second = await t.client({ stored: true, clientId });
      await first.closed({ reasons: [0x8e] });
      t.assert.equal(second.connack.sessionPresent, true);
      await helper.publish(t.topic(), 'to the second', { qos: 1 });
      t.assert.equal(text(await second.message()), 'to the second');
    },
  },
  {
    name: 'a session of MQTT 3.1.1 is resumed by MQTT 5 and back',
    4: ['3.1.2-4'], 5: ['3.1.2-5'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await first.disconnectCleanly();
      await helper.publish(t.topic(), 'across', { qos: 1 });
      const second = await t.client({ stored: true, clientId, version: t.v5 ? 4 : 5 });
      t.assert.equal(second.connack.sessionPresent, true);
      t.assert.equal(text(await second.message()), 'across');
    },
  },
  {
    name: 'a QoS 1 message without PUBACK is sent again with DUP and its identifier',
    4: ['4.4.0-1', '3.3.1-1', '4.3.2-1', '2.3.1-4'], 5: ['4.4.0-1', '3.3.1-1', '4.3.2-3', '4.3.2-1'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId, auto: false });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await helper.publish(t.topic(), 'again', { qos: 1 });
      const before = await first.message();
      t.assert.equal(before.dup, false);
      first.drop();
      const second = await t.client({ stored: true, clientId });
      const after = await second.message();
      t.assert.deepEqual([after.dup, after.id, text(after), after.qos], [true, before.id, 'again', 1]);
      await second.disconnectCleanly();
      const third = await t.client({ stored: true, clientId });
      t.assert.deepEqual(await t.before(third, helper, t.topic(), { qos: 1 }), [], 'acknowledged is done');
    },
  },
  {
    name: 'a QoS 2 message without PUBREC is sent again with DUP and its identifier',
    4: ['4.4.0-1', '3.3.1-1', '4.3.3-1'], 5: ['4.4.0-1', '3.3.1-1', '4.3.3-3'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId, auto: false });
      await first.subscribe({ filter: t.topic(), qos: 2 });
      await helper.publish(t.topic(), 'again', { qos: 2 });
      const before = await first.message();
      first.drop();
      const second = await t.client({ stored: true, clientId });
      const after = await second.message();
      t.assert.deepEqual([after.dup, after.id, text(after), after.qos], [true, before.id, 'again', 2]);
      await second.expect('pubrel', ({ id }) => id === before.id);
    },
  },
  {
    name: 'a QoS 2 message with PUBREC goes on with PUBREL after a reconnect, and PUBLISH is not sent again',
    4: ['4.4.0-1', '4.3.3-1'], 5: ['4.4.0-1', '4.3.3-5', '4.3.3-6'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId, auto: false });
      await first.subscribe({ filter: t.topic(), qos: 2 });
      await helper.publish(t.topic(), 'half', { qos: 2 });
      const message = await first.message();
      first.acknowledge(message);
      await first.expect('pubrel');
      first.drop();
      const second = await t.client({ stored: true, clientId });
      t.assert.equal((await second.expect('pubrel')).id, message.id);
      t.assert.deepEqual(await t.before(second, helper, t.topic(), { qos: 2 }), []);
    },
  },
  {
    name: 'messages in flight are sent again in the order in which they were sent',
    4: ['4.4.0-1', '4.6.0-1', '4.6.0-6'], 5: ['4.4.0-1', '4.6.0-5'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId, auto: false });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      for (let i = 0; i < 8; i++) await helper.publish(t.topic(), `${i}`, { qos: 1 });
      const before = await first.messages(8);
      for (const one of before.filter((_, i) => i % 3 === 1)) first.acknowledge(one); // 1, 4 and 7
      await first.ping();
      first.drop();
      const second = await t.client({ stored: true, clientId });
      const after = await second.messages(5);
      t.assert.deepEqual(after.map(text), ['0', '2', '3', '5', '6']);
      t.assert.ok(after.every((packet) => packet.dup));
    },
  },
  {
    name: 'the server remembers the QoS 2 messages it took across a reconnect',
    4: ['4.3.3-2', '4.1.0-1'], 5: ['4.3.3-10', '3.1.2-23'],
    run: async (t) => {
      const clientId = t.clientId(), watcher = await t.client();
      await watcher.subscribe({ filter: t.topic(), qos: 2 });
      const first = await t.client({ stored: true, clientId });
      first.send({ type: 'publish', topic: t.topic(), payload: 'once', qos: 2, id: 5 });
      await first.expect('pubrec');
      first.drop();
      const second = await t.client({ stored: true, clientId });
      second.send({ type: 'publish', topic: t.topic(), payload: 'once', qos: 2, id: 5, dup: true });
      t.assert.equal((await second.expect('pubrec')).id, 5);
      second.send({ type: 'pubrel', id: 5 });
      t.assert.equal((await second.expect('pubcomp')).id, 5);
      t.assert.equal(text(await watcher.message()), 'once');
      t.assert.deepEqual(await t.before(watcher, second, t.topic(), { qos: 2 }), []);
    },
  },
  {
    name: 'nothing is sent again on a connection that stands',
    5: ['4.4.0-1'],
    run: async (t) => {
      const peer = await t.client({ auto: false, clientId: t.clientId() });
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      await peer.publish(t.topic(), 'slow', { qos: 1 });
      await peer.message();
      await t.pass(3);
      await peer.ping();
      t.assert.deepEqual(peer.packets, []);
    },
  },
  {
    name: 'retained messages do not end with the session that published them',
    4: ['3.1.2-7'],
    run: async (t) => {
      const first = await t.client({ clientId: t.clientId() });
      await first.publish(t.topic(), 'stays', { qos: 1, retain: true });
      await first.disconnectCleanly();
      const second = await t.client();
      await second.subscribe(t.topic());
      t.assert.equal(text(await second.message()), 'stays');
    },
  },
];
