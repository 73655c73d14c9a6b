// What one side lets the other do: receive maximum, packet size, topic aliases, problem information (5.0: 3.1.2.11, 3.2.2.3,
// 4.9), and DISCONNECT (3.14).
import { encode, frame, u8 } from '../lib/codec.mjs';
import { text } from '../lib/context.mjs';

const numbers = (count) => Array.from({ length: count }, (_, i) => `${i}`);
const longText = 'a reason '.repeat(100);

export default [
  {
    name: 'the server keeps to the receive maximum of the client and sends on as it is acknowledged',
    5: ['3.3.4-9', '4.9.0-1', '4.9.0-2'],
    run: async (t) => {
      for (const qos of [1, 2]) {
        const peer = await t.client({ auto: false, props: { receiveMaximum: 3 } }), helper = await t.client();
        const topic = t.topic(`q${qos}`);
        await peer.subscribe({ filter: topic, qos });
        for (const number of numbers(10)) await helper.publish(topic, number, { qos });
        const got = await peer.messages(3);
        await peer.ping();
        t.assert.deepEqual(peer.packets, [], 'three and no more'); // the peer itself counts too
        while (got.length < 10) {
          const message = got[got.length - 3];
          peer.acknowledge(message);
          if (qos === 2) {
            await peer.expect('pubrel', ({ id }) => id === message.id);
            peer.send({ type: 'pubcomp', id: message.id });
          }
          got.push(await peer.message());
        }
        t.assert.deepEqual(got.map(text), numbers(10));
      }
    },
  },
  {
    name: 'a client at its receive maximum is still served with everything else',
    5: ['3.3.4-10', '4.9.0-3'],
    run: async (t) => {
      const peer = await t.client({ auto: false, props: { receiveMaximum: 1 } }), helper = await t.client();
      await peer.subscribe([{ filter: t.topic('one'), qos: 1 }, { filter: t.topic('zero'), qos: 0 }]);
      for (const number of numbers(3)) await helper.publish(t.topic('one'), number, { qos: 1 });
      await peer.message();
      await peer.ping();
      await peer.subscribe(t.topic('more'));
      await peer.unsubscribe(t.topic('more'));
      t.assert.ok((await peer.publish(t.topic('elsewhere'), 'x', { qos: 1 })).reason < 0x80);
      t.assert.ok((await peer.publish(t.topic('elsewhere'), 'x', { qos: 2 })).reason < 0x80);
      await peer.ping();
      t.assert.deepEqual(peer.packets, []);
    },
  },
  {
    name: 'the receive maximum holds after a reconnect too',
    5: ['3.3.4-9', '4.9.0-1'],
    run: async (t) => {
      const clientId = t.clientId(), helper = await t.client();
      const first = await t.client({ stored: true, clientId });
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await first.disconnectCleanly();
      for (const number of numbers(6)) await helper.publish(t.topic(), number, { qos: 1 });
      const second = await t.client({ stored: true, clientId, auto: false, props: { receiveMaximum: 2 } });
      await second.messages(2);
      await second.ping();
      t.assert.deepEqual(second.packets, []);
    },
  },
  {
    name: 'a client may have as many messages on the way as the server announced',
    5: ['4.9.0-3', '4.3.3-8'],
    run: async (t) => {
      const peer = await t.client();
      const quota = Math.min(peer.connack.props.receiveMaximum ?? 65535, 200);
      const ids = Array.from({ length: quota }, (_, i) => i + 1);
      for (const id of ids) peer.send({ type: 'publish', topic: t.topic(), payload: 'x', qos: 2, id });
      for (const id of ids) await peer.expect('pubrec', (packet) => packet.id === id);
      for (const id of ids) peer.send({ type: 'pubrel', id });
      for (const id of ids) await peer.expect('pubcomp', (packet) => packet.id === id);
    },
  },
  {
    name: 'a client that passes the receive maximum of the server is cut off',
    5: ['4.13.1-1'],
    run: async (t) => {
      const peer = await t.client();
      const quota = peer.connack.props.receiveMaximum ?? 65535;
      if (quota === 65535) return; // there are no more identifiers than that
      for (let id = 1; id <= quota + 1; id++) peer.send({ type: 'publish', topic: t.topic(), payload: 'x', qos: 2, id });
      await peer.closed({ reasons: [0x93] });
    },
  },
  {
    name: 'no packet is larger than the client takes; a message that is counts as delivered',
    5: ['3.1.2-24', '3.1.2-25'],
    run: async (t) => {
      const clientId = t.clientId(), props = { maximumPacketSize: 200, receiveMaximum: 2 };
      const peer = await t.client({ stored: true, clientId, props }), helper = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 2 });
      for (const qos of [0, 1, 2, 1, 2]) {
        await helper.publish(t.topic(), 'x'.repeat(400), { qos });
        await helper.publish(t.topic(), 'small', { qos });
        t.assert.equal(text(await peer.message()), 'small');
      }
      peer.drop();
      await helper.publish(t.topic(), 'y'.repeat(400), { qos: 1 });
      const again = await t.client({ stored: true, clientId, props });
      t.assert.deepEqual(await t.before(again, helper, t.topic(), { qos: 1 }), []);
    },
  },
  {
    name: 'reason strings and user properties give way to the packet size',
    5: ['3.2.2-19', '3.2.2-20', '3.4.2-2', '3.4.2-3', '3.5.2-2', '3.5.2-3', '3.6.2-2', '3.6.2-3', '3.7.2-2', '3.7.2-3',
      '3.9.2-1', '3.9.2-2', '3.11.2-1', '3.11.2-2', '3.14.2-3', '3.14.2-4', '3.15.2-2', '3.15.2-3'],
    run: async (t) => {
      // Every kind of packet with a limit that leaves no room for words; the peer measures each packet.
      const props = { maximumPacketSize: 24 };
      const peer = await t.client({ props, clientId: t.clientId() });
      await peer.subscribe('f', {});
      await peer.unsubscribe(['f', 'g']);
      peer.send({ type: 'subscribe', id: 90, filters: [{ filter: '$share/g/x', qos: 0 }] });
      await peer.expect('suback');
      await peer.publish('s/a', 'x', { qos: 1 });
      await peer.publish('s/a', 'x', { qos: 2 });
      peer.send({ type: 'pubrel', id: 999 });
      await peer.expect('pubcomp');
      peer.send({ type: 'pubrec', id: 998 });
      await peer.ping();
      peer.bytes(frame(0x82, [0, 91, 0]));
      await t.refused(peer);
      const refused = t.open();
      refused.send(t.connectPacket({ props: { ...props, authMethod: 'no such method' } }));
      await refused.closed();
    },
  },
  {
    name: 'without problem information only CONNACK, DISCONNECT and PUBLISH may explain',
    5: ['3.1.2-29'],
    run: async (t) => {
      const peer = await t.client({ props: { requestProblemInfo: 0 } });
      await peer.subscribe(t.topic());
      await peer.unsubscribe([t.topic(), t.topic('never')]);
      await peer.publish(t.topic('x'), 'x', { qos: 1 });
      await peer.publish(t.topic('x'), 'x', { qos: 2 });
      peer.send({ type: 'pubrel', id: 999 });
      await peer.expect('pubcomp');
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      await peer.publish(t.topic(), 'x', { qos: 1, props: { user: [['a', 'b']] } });
      t.assert.deepEqual((await peer.message()).props.user, [['a', 'b']], 'the publisher\'s own are part of the message');
    },
  },
  {
    name: 'response information comes only to who asked',
    5: ['3.1.2-28'],
    run: async (t) => {
      for (const requestResponseInfo of [0, undefined]) await t.client({ props: { requestResponseInfo } });
      await (await t.client({ props: { requestResponseInfo: 1 } })).ping();
    },
  },
  {
    name: 'the server sends topic aliases within the maximum of the client, and none without one',
    5: ['3.1.2-26', '3.1.2-27', '3.3.2-11', '3.3.2-8', '3.3.2-7'],
    run: async (t) => {
      for (const topicAliasMaximum of [undefined, 0, 1, 2]) {
        const clientId = t.clientId(`a${topicAliasMaximum}`), helper = await t.client();
        for (let connection = 0; connection < 2; connection++) {
          // The peer resolves aliases itself; one without a topic on this connection is a failure.
          const peer = await t.client({ clientId, props: { topicAliasMaximum } });
          await peer.subscribe({ filter: t.topic('+'), qos: 1 });
          const sent = numbers(12).map((i) => t.topic(`${i % 4}`));
          for (const topic of sent) await helper.publish(topic, topic, { qos: 1 });
          const got = await peer.messages(12);
          t.assert.deepEqual(got.map((packet) => packet.topic), sent);
          t.assert.deepEqual(got.map(text), sent);
          peer.drop();
        }
      }
    },
  },
  {
    name: 'the server takes every topic alias up to its maximum, and a new topic for an old one',
    5: ['3.3.2-12'],
    run: async (t) => {
      const peer = await t.client(), watcher = await t.client();
      const most = Math.min(peer.connack.props.topicAliasMaximum ?? 0, 20);
      await watcher.subscribe({ filter: t.topic('#'), qos: 1 });
      for (let topicAlias = 1; topicAlias <= most; topicAlias++) {
        await peer.publish(t.topic(`a${topicAlias}`), 'set', { qos: 1, props: { topicAlias } });
        await peer.publish('', 'used', { qos: 1, props: { topicAlias } });
        for (const payload of ['set', 'used']) {
          const got = await watcher.message();
          t.assert.deepEqual([got.topic, text(got), got.props.topicAlias], [t.topic(`a${topicAlias}`), payload, undefined]);
        }
      }
      if (most === 0) return;
      await peer.publish(t.topic('new'), 'set', { qos: 1, props: { topicAlias: 1 } });
      await peer.publish('', 'used', { qos: 1, props: { topicAlias: 1 } });
      t.assert.deepEqual((await watcher.messages(2)).map(({ topic }) => topic), [t.topic('new'), t.topic('new')]);
    },
  },
  {
    name: 'a topic alias ends with its connection',
    5: ['3.3.2-7'],
    run: async (t) => {
      const clientId = t.clientId();
      const first = await t.client({ stored: true, clientId });
      if (!first.connack.props.topicAliasMaximum) return;
      await first.publish(t.topic(), 'x', { qos: 1, props: { topicAlias: 1 } });
      await first.disconnectCleanly();
      const second = await t.client({ stored: true, clientId });
      second.send({ type: 'publish', topic: '', payload: 'x', qos: 1, id: 1, props: { topicAlias: 1 } });
      await second.closed({ reasons: [0x81, 0x82, 0x94] });
    },
  },
  {
    name: 'a packet larger than the server takes ends the connection',
    4: ['4.8.0-2'], 5: ['4.13.1-1'],
    run: async (t) => {
      const probe = await t.client({ version: 5 });
      const size = probe.connack.props.maximumPacketSize;
      if (!size || size > 64 << 20) return;
      const peer = await t.client();
      peer.bytes(encode({ type: 'publish', topic: t.topic(), payload: Buffer.alloc(size) }, t.version));
      await peer.closed({ reasons: [0x95] });
    },
  },
  {
    name: 'the server keep alive, when there is one, counts instead of the client\'s',
    5: ['3.2.2-22'],
    run: async (t) => {
      const peer = await t.client({ keepAlive: 65535 });
      const { serverKeepAlive } = peer.connack.props;
      t.assert.ok(serverKeepAlive === undefined || serverKeepAlive > 0);
      await peer.ping();
    },
  },
  {
    name: 'after DISCONNECT of the client the server closes and sends nothing more',
    4: ['3.14.4-3'], 5: ['3.14.4-3'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      peer.send({ type: 'disconnect' });
      await peer.closed();
      t.assert.deepEqual(peer.packets, []);
    },
  },
  {
    name: 'DISCONNECT with a reason, words and properties is taken',
    5: ['3.14.4-3'],
    run: async (t) => {
      for (const reason of [0x00, 0x04, 0x80, 0x93, 0x99]) {
        const peer = await t.client();
        peer.send({ type: 'disconnect', reason, props: { reasonString: longText, user: [['a', 'b'], ['a', 'c']] } });
        await peer.closed();
        t.assert.deepEqual(peer.packets, []);
      }
    },
  },
  {
    name: 'DISCONNECT of the server has one of its reasons, no session expiry, and is the last packet',
    5: ['3.14.2-1', '3.14.2-2', '3.14.4-1', '3.14.4-2', '4.13.2-1'],
    run: async (t) => {
      const watcher = await t.client();
      await watcher.subscribe({ filter: t.topic(), qos: 1 });
      for (const bytes of [frame(0x82, [0, 1, 0]), encode(t.connectPacket(), 5), frame(0xf0, u8(0x19))]) {
        const peer = await t.client({ stored: true, clientId: t.clientId('bad') });
        peer.bytes(bytes, encode({ type: 'publish', topic: t.topic(), payload: 'after the end', qos: 1, id: 1 }, 5));
        await peer.closed(); // the decoder and the peer hold the DISCONNECT to the rules
        t.assert.ok(!peer.packets.some(({ type }) => type === 'puback'));
      }
    },
  },
];
