// PUBLISH and its acknowledgements in both directions (section 3.3 to 3.7, 4.3, 4.5, 4.6).
import { patience } from '../../lib/sanitizer.mjs';
import { text } from '../lib/context.mjs';

const levels = [0, 1, 2];

export default [
  {
    name: 'each QoS is answered by its own packets with the identifier of the message',
    4: ['3.3.4-1', '4.3.2-2', '4.3.3-2', '2.3.1-6'],
    5: ['3.3.4-1', '4.3.2-4', '4.3.3-8', '4.3.3-11', '2.2.1-5', '3.4.2-1', '3.5.2-1', '3.7.2-1'],
    run: async (t) => {
      const peer = await t.client();
      await peer.publish(t.topic(), 'zero');
      t.assert.ok([0, 0x10].includes((await peer.publish(t.topic(), 'one', { qos: 1, id: 0x1234 })).reason));
      peer.send({ type: 'publish', topic: t.topic(), payload: 'two', qos: 2, id: 0xffff });
      t.assert.ok([0, 0x10].includes((await peer.expect('pubrec')).reason));
      peer.send({ type: 'pubrel', id: 0xffff });
      const done = await peer.expect('pubcomp');
      t.assert.deepEqual([done.id, done.reason], [0xffff, 0]);
      await peer.ping();
      t.assert.deepEqual(peer.packets, [], 'and QoS 0 by none');
    },
  },
  {
    name: 'a subscriber gets the lower of the two QoS',
    4: ['3.8.4-6', '4.3.1-1', '4.3.2-1', '4.3.3-1', '2.3.1-5', '3.3.1-2'],
    5: ['3.8.4-8', '4.3.1-1', '4.3.2-2', '4.3.3-2', '3.3.1-2', '2.2.1-2'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      for (const qos of levels) {
        t.assert.deepEqual((await peer.subscribe({ filter: t.topic(`s${qos}`), qos })).reasons, [qos]);
        for (const published of levels) {
          await helper.publish(t.topic(`s${qos}`), `${published}`, { qos: published });
          const got = await peer.message();
          t.assert.deepEqual([got.qos, text(got), got.dup, got.retain], [Math.min(qos, published), `${published}`, false, false]);
        }
      }
    },
  },
  {
    name: 'the server sends PUBREL for PUBREC and takes PUBCOMP',
    4: ['4.3.3-1', '2.3.1-6'], 5: ['4.3.3-4', '4.3.3-5', '3.6.2-1'],
    run: async (t) => {
      const peer = await t.client({ auto: false });
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      await peer.publish(t.topic(), 'two', { qos: 2 });
      const message = await peer.message();
      peer.acknowledge(message);
      const release = await peer.expect('pubrel');
      t.assert.deepEqual([release.id, release.reason], [message.id, 0]);
      peer.send({ type: 'pubcomp', id: message.id });
      await peer.ping();
      t.assert.deepEqual(peer.packets, []);
    },
  },
  {
    name: 'PUBRELs of the server come in the order of the PUBRECs',
    4: ['4.6.0-4', '4.6.0-6'], 5: [],
    run: async (t) => {
      const peer = await t.client({ auto: false });
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      for (let i = 0; i < 10; i++) await peer.publish(t.topic(), `${i}`, { qos: 2 });
      const messages = await peer.messages(10);
      peer.send(...messages.map(({ id }) => ({ type: 'pubrec', id })));
      const released = [];
      while (released.length < 10) released.push((await peer.expect('pubrel')).id);
      if (!t.v5) t.assert.deepEqual(released, messages.map(({ id }) => id));
    },
  },
  {
    name: 'a QoS 2 message that comes twice before PUBREL is answered twice and passed on once',
    4: ['4.3.3-2'], 5: ['4.3.3-10'],
    run: async (t) => {
      const watcher = await t.client(), peer = await t.client();
      await watcher.subscribe({ filter: t.topic(), qos: 2 });
      for (const dup of [false, true, true]) {
        peer.send({ type: 'publish', topic: t.topic(), payload: 'once', qos: 2, id: 7, dup });
        t.assert.equal((await peer.expect('pubrec')).id, 7);
      }
      peer.send({ type: 'pubrel', id: 7 });
      await peer.expect('pubcomp');
      t.assert.equal(text(await watcher.message()), 'once');
      t.assert.deepEqual(await t.before(watcher, peer, t.topic(), { qos: 2 }), []);
    },
  },
  {
    name: 'after PUBACK or PUBCOMP the same identifier is a new message, whatever DUP says',
    4: ['4.3.2-2', '4.3.3-2'], 5: ['4.3.2-5', '4.3.3-12'],
    run: async (t) => {
      const watcher = await t.client(), peer = await t.client();
      await watcher.subscribe({ filter: t.topic('#'), qos: 2 });
      for (const qos of [1, 2]) {
        for (const dup of [false, true]) {
          await peer.publish(t.topic(`q${qos}`), `${qos} ${dup}`, { qos, id: 3, dup });
          t.assert.equal(text(await watcher.message()), `${qos} ${dup}`);
        }
      }
    },
  },
  {
    name: 'DUP of the publisher is not passed on',
    4: ['3.3.1-3'], 5: ['3.3.1-3'],
    run: async (t) => {
      const watcher = await t.client(), peer = await t.client();
      await watcher.subscribe({ filter: t.topic(), qos: 2 });
      for (const qos of [1, 2]) {
        await peer.publish(t.topic(), 'x', { qos, dup: true });
        t.assert.equal((await watcher.message()).dup, false);
      }
    },
  },
  {
    name: 'PUBREL for an identifier that is not there is answered by PUBCOMP',
    4: ['4.3.3-2'], 5: ['4.3.3-11', '3.7.2-1'],
    run: async (t) => {
      const peer = await t.client();
      peer.send({ type: 'pubrel', id: 4711 });
      const done = await peer.expect('pubcomp');
      t.assert.equal(done.id, 4711);
      t.assert.ok([0, 0x92].includes(done.reason));
    },
  },
  {
    name: 'a message and its identifier are free again while others are in flight',
    4: ['2.3.1-4'], 5: ['2.2.1-4', '4.3.2-1', '4.3.3-1'],
    run: async (t) => {
      const peer = await t.client({ auto: false }), helper = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      for (let i = 0; i < 12; i++) await helper.publish(t.topic(), `${i}`, { qos: 1 + i % 2 });
      const got = await peer.messages(12);
      t.assert.equal(new Set(got.map(({ id }) => id)).size, 12, 'none is used twice');
    },
  },
  {
    name: 'messages of one publisher keep their order',
    4: ['4.6.0-5', '4.6.0-6', '4.5.0-1'], 5: ['4.6.0-5', '4.6.0-6', '4.5.0-1'],
    run: async (t) => {
      const watchers = await Promise.all(levels.map(() => t.client()));
      for (const [qos, watcher] of watchers.entries()) await watcher.subscribe({ filter: t.topic('+'), qos });
      const helpers = await Promise.all(levels.map(() => t.client()));
      const numbers = Array.from({ length: 40 }, (_, i) => `${i}`);
      await Promise.all(helpers.map(async (helper, qos) => {
        for (const number of numbers) await helper.publish(t.topic(`q${qos}`), number, { qos });
      }));
      for (const watcher of watchers) {
        const got = await watcher.messages(120);
        for (const qos of levels) {
          t.assert.deepEqual(got.filter((packet) => packet.topic === t.topic(`q${qos}`)).map(text), numbers);
        }
      }
    },
  },
  {
    name: 'payloads pass unchanged, from none to 200 KiB',
    4: ['7.1.1-1', '7.0.0-2'], 5: ['1.5.5-1'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      const limit = Math.min(peer.connack.props.maximumPacketSize ?? 200 * 1024, 200 * 1024) - 100;
      for (const size of [0, 1, 127, 128, 16383, 16384, limit]) {
        const payload = Buffer.alloc(size).map((_, i) => i * 31 & 0xff);
        await peer.publish(t.topic(), payload, { qos: 1 });
        t.assert.ok((await peer.message()).payload.equals(payload), `${size} bytes`);
      }
    },
  },
  {
    name: 'a message nobody subscribed to is acknowledged, at most with the hint 0x10',
    4: ['4.3.2-2', '4.3.3-2'], 5: ['4.3.2-4', '4.3.3-8', '3.4.2-1', '3.5.2-1'],
    run: async (t) => {
      const peer = await t.client();
      t.assert.ok([0, 0x10].includes((await peer.publish(t.topic('nobody'), 'x', { qos: 1 })).reason));
      peer.send({ type: 'publish', topic: t.topic('nobody'), payload: 'x', qos: 2, id: 50 });
      t.assert.ok([0, 0x10].includes((await peer.expect('pubrec')).reason));
    },
  },
  {
    name: 'a message that may not be published is answered or the connection ends',
    4: ['3.3.5-2'], 5: ['3.4.2-1', '3.3.4-1'],
    run: async (t) => {
      const peer = await t.client();
      peer.send({ type: 'publish', topic: '$SYS/broker/version', payload: 'mine', qos: 1, id: 1 });
      const answer = await Promise.race([peer.ended.then(() => 'closed'), peer.expect('puback').catch(() => 'closed')]);
      if (answer === 'closed') await t.refused(peer, [0x87, 0x90]);
      else if (t.v5) t.assert.ok([0x00, 0x10, 0x87, 0x90, 0x83, 0x80].includes(answer.reason));
    },
  },
  {
    name: 'a refusal by PUBREC frees the identifier and nothing more is sent for it',
    5: ['4.4.0-2', '4.3.3-9', '4.8.2-6'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const peer = await t.client({ stored: true, clientId, auto: false });
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      await helper.publish(t.topic(), 'unwanted', { qos: 2 });
      peer.acknowledge(await peer.message(), { reason: 0x83 });
      await helper.publish(t.topic(), 'unwanted', { qos: 1 });
      peer.acknowledge(await peer.message(), { reason: 0x97 });
      await peer.ping();
      t.assert.deepEqual(peer.packets, [], 'no PUBREL');
      peer.drop();
      const again = await t.client({ stored: true, clientId });
      t.assert.deepEqual(await t.before(again, helper, t.topic(), { qos: 2 }), [], 'treated as acknowledged');
    },
  },
  {
    name: 'acknowledgements in the long form with properties are taken',
    5: ['3.4.2-1', '4.3.3-4'],
    run: async (t) => {
      const peer = await t.client({ auto: false });
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      const more = { reason: 0, props: { reasonString: 'thank you', user: [['a', 'b'], ['a', 'b']] } };
      await peer.publish(t.topic(), 'one', { qos: 1 });
      peer.acknowledge(await peer.message(), more);
      peer.send({ type: 'publish', topic: t.topic(), payload: 'two', qos: 2, id: 40 });
      await peer.expect('pubrec');
      peer.send({ type: 'pubrel', id: 40, ...more });
      await peer.expect('pubcomp');
      const two = await peer.message();
      peer.acknowledge(two, more);
      await peer.expect('pubrel');
      peer.send({ type: 'pubcomp', id: two.id, ...more });
      await peer.ping();
    },
  },
  {
    name: 'a topic reaches the subscriber byte for byte, with U+FEFF and what looks alike',
    4: ['1.5.3-3', '4.7.3-4', '3.3.2-3'], 5: ['1.5.4-3', '4.7.3-4', '3.3.2-3'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      const names = ['\ufeffx', 'x', '\u00e9', 'e\u0301', 'A', 'a', ' a', 'a ', '\u{1f321}', '\ud7ff\ue000', 'ﬀ'].map((name) => t.topic(name));
      for (const name of names) t.assert.equal((await peer.subscribe({ filter: name, qos: 1 })).reasons[0], 1);
      for (const name of names) {
        await helper.publish(name, name, { qos: 1 });
        const got = await peer.message();
        t.assert.deepEqual([got.topic, text(got)], [name, name]);
      }
      t.assert.deepEqual(await t.before(peer, helper, names[0], { qos: 1 }), [], 'each came once');
    },
  },
  {
    name: 'the properties of a message are passed on unaltered and in order',
    5: ['3.3.2-4', '3.3.2-15', '3.3.2-16', '3.3.2-17', '3.3.2-18', '3.3.2-20', '3.3.2-3'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      const props = { payloadFormat: 1, contentType: 'text/plain; charset=utf-8', responseTopic: t.topic('answer'),
        correlationData: Buffer.from([0, 255, 1]), user: [['b', '1'], ['a', '2'], ['b', '1'], ['', ''], ['a', '3'], ['é', '\ufeff']] };
      for (const qos of levels) {
        await peer.subscribe({ filter: t.topic(), qos });
        await helper.publish(t.topic(), 'x', { qos, props });
        t.assert.deepEqual((await peer.message()).props, props);
      }
    },
  },
  {
    name: 'a message without properties gets none from the server',
    5: ['3.3.2-4', '2.2.2-1'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      await peer.publish(t.topic(), 'x', { qos: 1 });
      t.assert.deepEqual((await peer.message()).props, {});
      await peer.publish(t.topic(), 'x', { qos: 1, props: { payloadFormat: 0 } });
      t.assert.equal((await peer.message()).props.payloadFormat ?? 0, 0);
    },
  },
  {
    name: 'the properties of a message wait with it for a client that is away',
    5: ['3.3.2-17', '3.3.2-15', '3.3.2-16', '3.3.2-20'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await first.disconnectCleanly();
      const props = { payloadFormat: 1, contentType: 'c', responseTopic: 'r', correlationData: Buffer.from('d'), user: [['k', 'v'], ['k', 'w']] };
      await helper.publish(t.topic(), 'x', { qos: 1, props });
      t.assert.deepEqual((await (await t.client({ stored: true, clientId })).message()).props, props);
    },
  },
  {
    name: 'what remains of the message expiry is sent with the message',
    5: ['3.3.2-6'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      // Of 600 s, when so many have passed at least, and not more than since `began`; servers count whole seconds.
      let began = performance.now();
      const isRest = (rest, atLeast) => rest <= 600 - atLeast && rest >= 600 - Math.ceil((performance.now() - began) / 1000) - 1;
      await helper.publish(t.topic(), 'at once', { qos: 1, props: { messageExpiry: 600 } });
      t.assert.ok(isRest((await first.message()).props.messageExpiry, 0));
      await first.disconnectCleanly();
      began = performance.now();
      await helper.publish(t.topic(), 'later', { qos: 1, props: { messageExpiry: 600 } });
      await t.pass(2);
      const rest = (await (await t.client({ stored: true, clientId })).message()).props.messageExpiry;
      t.assert.ok(isRest(rest, 2), `${rest} s`);
    },
  },
  {
    name: 'a message whose expiry has passed is not sent',
    5: ['3.3.2-5'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 2 });
      await first.disconnectCleanly();
      await helper.publish(t.topic(), 'old', { qos: 1, props: { messageExpiry: 1 } });
      await helper.publish(t.topic(), 'old', { qos: 2, props: { messageExpiry: 1 } });
      await helper.publish(t.topic('kept'), 'r', { qos: 1, retain: true, props: { messageExpiry: 1 } });
      await t.pass(2.5);
      const second = await t.client({ stored: true, clientId });
      t.assert.deepEqual(await t.before(second, helper, t.topic(), { qos: 1 }), []);
      await second.subscribe({ filter: t.topic('kept'), qos: 1 });
      t.assert.deepEqual(await t.before(second, helper, t.topic('kept'), { qos: 1 }), [], 'a retained message expires too');
    },
  },
  {
    name: 'a QoS 2 exchange that has begun is finished though its message expired',
    5: ['4.3.3-7', '4.3.3-13'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId, auto: false }), expiry = 2 * patience; // it has to come before
      await first.subscribe({ filter: t.topic(), qos: 2 });
      await helper.publish(t.topic(), 'begun', { qos: 2, props: { messageExpiry: expiry } });
      const message = await first.message();
      helper.send({ type: 'publish', topic: t.topic('x'), payload: 'in', qos: 2, id: 60, props: { messageExpiry: expiry } });
      await helper.expect('pubrec');
      first.drop();
      await t.pass(expiry + 1);
      helper.send({ type: 'pubrel', id: 60 });
      t.assert.equal((await helper.expect('pubcomp')).reason, 0);
      const second = await t.client({ stored: true, clientId });
      t.assert.equal((await second.message()).id, message.id);
      t.assert.equal((await second.expect('pubrel')).id, message.id);
    },
  },
  {
    name: 'QoS 0 messages reach who is there',
    4: ['4.3.1-1', '3.3.1-2'], 5: ['4.3.1-1', '3.3.1-2'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      await helper.publish(t.topic(), 'zero');
      const got = await peer.message();
      t.assert.deepEqual([got.qos, got.dup, text(got)], [0, false, 'zero']);
    },
  },
];
