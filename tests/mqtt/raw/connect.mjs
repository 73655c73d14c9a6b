// CONNECT, CONNACK, keep alive, taking over (3.1.1 and 5.0: sections 3.1, 3.2, 3.12).
import { patience } from '../../lib/sanitizer.mjs';
import { encode, frame, string, u16, u8 } from '../lib/codec.mjs';
import { text } from '../lib/context.mjs';

// A CONNECT that every server has to refuse, in the way of its version.
const refusable = (t) => t.connectPacket(t.v5
  ? { props: { authMethod: 'no such method', authData: 'x' } }
  : { clientId: '', clean: false });

export default [
  {
    name: 'a valid CONNECT is accepted by CONNACK 0 before anything else',
    4: ['3.1.4-4', '3.2.0-1', '3.2.2-1', '3.1.2-6', '4.1.0-2'],
    5: ['3.1.4-5', '3.2.0-1', '3.2.2-1', '3.2.2-2', '3.2.2-8', '3.1.4-1', '2.2.2-1', '2.1.3-1'],
    run: async (t) => {
      const peer = await t.client();
      t.assert.equal(peer.connack.sessionPresent, false);
      await peer.ping();
    },
  },
  {
    name: 'what follows CONNECT at once is processed after CONNACK',
    4: ['3.2.0-1'], 5: ['3.2.0-1', '3.2.0-2'],
    run: async (t) => {
      const peer = t.open();
      peer.send(t.connectPacket(), { type: 'subscribe', id: 9, filters: [{ filter: t.topic() }] },
        { type: 'publish', topic: t.topic(), payload: 'early', qos: 1, id: 10 }, { type: 'pingreq' });
      await peer.expect('pingresp');
      t.assert.equal((await peer.expect('suback')).id, 9);
      t.assert.equal((await peer.expect('puback')).id, 10);
      t.assert.equal(text(await peer.message()), 'early');
    },
  },
  ...[
    ['PUBLISH', (t) => ({ type: 'publish', topic: t.topic(), payload: 'x' })],
    ['SUBSCRIBE', (t) => ({ type: 'subscribe', id: 1, filters: [{ filter: t.topic() }] })],
    ['PINGREQ', () => ({ type: 'pingreq' })],
    ['DISCONNECT', () => ({ type: 'disconnect' })],
    ['PUBREL', () => ({ type: 'pubrel', id: 1 })],
  ].map(([what, packet]) => ({
    name: `a connection that begins with ${what} is closed without a word`,
    4: ['3.1.0-1'], 5: ['3.1.0-1', '3.14.0-1'],
    run: async (t) => {
      const peer = t.open();
      peer.send(packet(t));
      await peer.closed();
      t.assert.deepEqual(peer.packets, []);
    },
  })),
  {
    name: 'a second CONNECT ends the connection',
    4: ['3.1.0-2'], 5: ['3.1.0-2', '4.13.2-1', '3.2.0-2'],
    run: async (t) => {
      const peer = await t.client();
      peer.bytes(encode(t.connectPacket(), t.version));
      await t.refused(peer, [0x82]);
    },
  },
  {
    name: 'a wrong protocol name is not served',
    4: ['3.1.2-1'], 5: ['3.1.2-1'],
    run: async (t) => {
      for (const name of ['MQTTX', 'mqtt', 'MQT', '']) {
        const peer = t.open();
        peer.send(t.connectPacket({ name }));
        await peer.closed();
        if (peer.connack) t.assert.ok([0x01, 0x81, 0x82, 0x84].includes(peer.connack.reason));
      }
    },
  },
  {
    name: 'an unknown protocol level is refused with the code for it',
    4: ['3.1.2-2'], 5: ['3.1.2-2'],
    run: async (t) => {
      for (const level of [0, 6, 0x7f]) {
        const peer = t.open();
        peer.send(t.connectPacket({ level }));
        await peer.closed();
        // 3.1.1 demands code 0x01, 5.0 permits 0x84; nobody can know in which language such a client listens.
        t.assert.ok(peer.connack, 'CONNACK says why');
        t.assert.ok([0x01, 0x84].includes(peer.connack.reason));
      }
    },
  },
  {
    name: 'client identifiers of 1 to 23 letters and digits are served',
    4: ['3.1.3-5', '3.1.3-3', '3.1.3-4'], 5: ['3.1.3-5', '3.1.3-3', '3.1.3-4'],
    run: async (t) => {
      const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
      const ids = ['q', letters.slice(0, 23), letters.slice(23, 46), letters.slice(39)];
      for (const clientId of ids) {
        const peer = await t.client({ clientId });
        await peer.disconnectCleanly();
      }
    },
  },
  {
    name: 'clients without an identifier are given one each',
    4: ['3.1.3-6', '3.1.3-7'], 5: ['3.1.3-6', '3.1.3-7', '3.2.2-16'],
    run: async (t) => {
      const one = await t.client({ clientId: '' }), two = await t.client({ clientId: '' });
      await one.ping();
      await two.ping();
      if (!t.v5) return;
      const names = [one, two].map((peer) => peer.connack.props.assignedClientId);
      t.assert.ok(names[0] && names[1]);
      t.assert.notEqual(names[0], names[1]);
    },
  },
  {
    name: 'clients without an identifier that come at once are given one each',
    4: ['3.1.3-6'], 5: ['3.1.3-6'],
    run: async (t) => {
      for (let round = 0; round < 10; round++) {
        const all = await Promise.all(Array.from({ length: 16 }, () => t.client({ clientId: '' })));
        await Promise.all(all.map((one) => one.ping()));
        for (const one of all) one.drop();
      }
    },
  },
  {
    name: 'the assigned client identifier is a session\'s name like any other',
    5: ['3.1.3-7', '3.1.3-2'],
    run: async (t) => {
      const first = await t.client({ clientId: '', props: { sessionExpiry: 300 } });
      const clientId = first.connack.props.assignedClientId;
      await first.subscribe({ filter: t.topic(), qos: 1 });
      await first.disconnectCleanly();
      const second = await t.client({ clientId, clean: false, props: { sessionExpiry: 300 } });
      t.assert.equal(second.connack.sessionPresent, true);
      await second.publish(t.topic(), 'still subscribed', { qos: 1 });
      t.assert.equal(text(await second.message()), 'still subscribed');
    },
  },
  {
    name: 'no client identifier and a session to keep is refused with 0x02',
    4: ['3.1.3-8', '3.1.3-9', '3.2.2-4', '3.2.2-5', '3.2.2-6'],
    run: async (t) => {
      const peer = await t.attempt({ clientId: '', clean: false });
      t.assert.equal(peer.connack.reason, 2);
      t.assert.equal(peer.connack.sessionPresent, false);
      await peer.closed();
    },
  },
  {
    name: 'a client identifier of 65,535 bytes is served or refused, and then closed',
    4: [], 5: ['3.1.3-8'],
    run: async (t) => {
      const peer = t.open();
      peer.send(t.connectPacket({ clientId: 'x'.repeat(65535) }));
      await Promise.race([peer.ended, peer.expect('connack').catch(() => {})]);
      if (peer.connack?.reason === 0) return;
      await peer.closed();
      if (t.v5 && peer.connack) t.assert.ok([0x80, 0x85, 0x87, 0x95].includes(peer.connack.reason));
    },
  },
  {
    name: 'a refusal comes with session present 0 and a code of the table, and closes',
    4: ['3.2.2-4', '3.2.2-5'], 5: ['3.2.2-6', '3.2.2-7', '3.2.2-8', '3.1.4-2', '4.13.2-1'],
    run: async (t) => {
      const peer = t.open();
      peer.send(refusable(t));
      await peer.closed();
      t.assert.ok(!peer.connack || peer.connack.reason !== 0);
    },
  },
  {
    name: 'wrong credentials are refused with their code, and closed',
    4: ['3.2.2-5', '3.2.2-4'], 5: ['3.1.4-2', '3.2.2-7'],
    run: async (t) => {
      const codes = t.v5 ? [0x86, 0x87] : [4, 5];
      for (const [wrong, allowed] of [
        [{ password: 'not this' }, codes], [{ username: 'nobody/at/all' }, codes],
        // Without credentials a server may find that nobody of this name may come at all.
        [{ username: undefined, password: undefined }, [...codes, t.v5 ? 0x85 : 2]]]) {
        const peer = t.open();
        peer.send(t.connectPacket(wrong));
        await peer.closed();
        if (peer.connack) t.assert.ok(allowed.includes(peer.connack.reason), `0x${peer.connack.reason.toString(16)}`);
      }
    },
  },
  {
    name: 'what a refused client sent after CONNECT is not processed',
    4: ['3.1.4-5'], 5: ['3.1.4-6'],
    run: async (t) => {
      const watcher = await t.client(), helper = await t.client();
      await watcher.subscribe({ filter: t.topic(), qos: 1 });
      const peer = t.open();
      peer.send(refusable(t), { type: 'publish', topic: t.topic(), payload: 'forbidden', qos: 1, id: 1 });
      await peer.closed();
      t.assert.deepEqual(await t.before(watcher, helper, t.topic(), { qos: 1 }), []);
      t.assert.ok(!peer.packets.some((packet) => packet.type === 'puback'));
    },
  },
  {
    name: 'every optional field of CONNECT in its order is taken',
    4: ['3.1.3-1', '3.1.2-19', '3.1.2-21', '3.1.2-9'],
    5: ['3.1.3-1', '3.1.2-9', '3.1.2-17', '3.1.2-19', '3.1.2-12'],
    run: async (t) => {
      const credentials = t.server.identity().username ? {} : { username: 'anyone', password: 'anything' };
      const props = { sessionExpiry: 10, receiveMaximum: 10, maximumPacketSize: 100000, topicAliasMaximum: 5,
        requestResponseInfo: 1, requestProblemInfo: 1, user: [['a', 'b'], ['a', 'c']] };
      for (const qos of [0, 1, 2]) {
        const peer = await t.client({ ...credentials, props, will: { topic: t.topic(), payload: 'gone', qos, retain: false,
          props: { willDelay: 5, payloadFormat: 1, messageExpiry: 60, contentType: 'text/plain', responseTopic: t.topic('r'),
            correlationData: Buffer.from([0, 1]), user: [['x', 'y']] } } });
        await peer.disconnectCleanly();
      }
    },
  },
  {
    name: 'a user name without a password is taken or refused for what it is',
    4: [], 5: ['3.1.2-18'],
    run: async (t) => {
      const peer = t.open();
      peer.send(t.connectPacket({ username: t.server.identity().username ?? 'anyone', password: undefined }));
      const connack = await peer.expect('connack');
      t.assert.ok((t.v5 ? [0, 0x86, 0x87] : [0, 4, 5]).includes(connack.reason));
    },
  },
  {
    name: 'a client that connects again takes the place of the old connection',
    4: ['3.1.4-2', '3.1.3-2'], 5: ['3.1.4-3', '3.1.3-2'],
    run: async (t) => {
      const clientId = t.clientId('twin');
      const old = await t.client({ clientId });
      const fresh = await t.client({ clientId });
      await old.closed({ reasons: [0x8e], demanded: t.v5 });
      await fresh.ping();
    },
  },
  {
    name: 'a version change of the same client takes over too',
    4: ['3.1.4-2'], 5: ['3.1.4-3'],
    run: async (t) => {
      const clientId = t.clientId('twin');
      const old = await t.client({ clientId });
      const fresh = await t.client({ clientId, version: t.v5 ? 4 : 5 });
      await old.closed({ reasons: [0x8e] });
      await fresh.ping();
    },
  },
  {
    name: 'a client that falls silent for one and a half keep alives is cut off as if the network had failed',
    4: ['3.1.2-24'], 5: ['3.1.2-22', '3.2.2-22'],
    run: async (t) => {
      const watcher = await t.client();
      await watcher.subscribe(t.topic());
      const began = Date.now();
      const silent = await t.client({ keepAlive: 1, will: { topic: t.topic(), payload: 'silent' } });
      const seconds = silent.connack.props.serverKeepAlive ?? 1;
      await silent.closed({ reasons: [0x8d], within: 1500 * seconds + 8000 * patience });
      t.assert.ok(Date.now() - began >= 1000 * seconds, 'not before a keep alive has passed');
      t.assert.equal(text(await watcher.message()), 'silent');
    },
  },
  {
    name: 'a client that keeps sending is not cut off',
    4: ['3.1.2-24'], 5: ['3.1.2-22'],
    run: async (t) => {
      const peer = await t.client({ keepAlive: patience });
      for (let i = 0; i < 6; i++) {
        await t.pass(0.5 * patience);
        // Any packet counts, not only PINGREQ.
        if (i % 2) await peer.ping();
        else await peer.publish(t.topic(), 'alive', { qos: 1 });
      }
    },
  },
  {
    name: 'PINGREQ is answered by PINGRESP',
    4: ['3.12.4-1'], 5: ['3.12.4-1'],
    run: async (t) => {
      const peer = await t.client();
      for (let i = 0; i < 3; i++) await peer.ping();
    },
  },
  {
    name: 'a server that announces no limit takes QoS 2, retained messages and every kind of subscription',
    5: ['3.2.2-9', '3.2.2-10', '3.2.2-12', '3.2.2-13'],
    run: async (t) => {
      const peer = await t.client();
      const { maximumQos = 2, retainAvailable = 1, wildcardAvailable = 1, subscriptionIdsAvailable = 1, sharedAvailable = 1 }
        = peer.connack.props;
      const granted = await peer.subscribe([0, 1, 2].map((qos) => ({ filter: t.topic(`q${qos}`), qos })));
      t.assert.ok(granted.reasons.every((reason, qos) => reason <= qos), 'SUBSCRIBE of any QoS is taken');
      if (maximumQos === 2) t.assert.equal((await peer.publish(t.topic('q2'), 'x', { qos: 2 })).reason, 0);
      if (wildcardAvailable) t.assert.ok((await peer.subscribe(t.topic('+/#'))).reasons[0] <= 2);
      if (subscriptionIdsAvailable) t.assert.ok((await peer.subscribe(t.topic('i'), { subscriptionId: 268435455 })).reasons[0] <= 2);
      if (sharedAvailable) t.assert.ok((await peer.subscribe(`$share/g/${t.topic('s')}`)).reasons[0] <= 2);
      for (const [will, fine] of [
        [{ topic: t.topic('w'), payload: 'w', qos: 2 }, maximumQos === 2],
        [{ topic: t.topic('w'), payload: 'w', retain: true }, retainAvailable === 1]]) {
        const other = t.open();
        other.send(t.connectPacket({ will }));
        if (fine) t.assert.equal((await other.expect('connack')).reason, 0);
        else await other.closed();
      }
    },
  },
  {
    name: 'will flags and fields that contradict each other are refused',
    4: ['3.1.2-11', '3.1.2-13', '3.1.2-14', '3.1.2-15', '3.1.4-1'],
    5: ['3.1.2-11', '3.1.2-12', '3.1.2-13', '3.1.4-1'],
    run: async (t) => {
      const credentials = t.connectPacket();
      const auth = credentials.username === undefined ? 0 : 0xc0;
      const will = { topic: t.topic(), payload: 'x' };
      for (const [why, more] of [
        ['will QoS 1 without a will', { flags: auth | 0x0a }],
        ['will QoS 2 without a will', { flags: auth | 0x12 }],
        ['will retain without a will', { flags: auth | 0x22 }],
        ['will QoS 3', { will, flags: auth | 0x1e }]]) {
        const peer = t.open();
        peer.send(t.connectPacket(more));
        await peer.closed().catch((error) => { throw new Error(`${why}: ${error.message}`); });
        t.assert.ok(peer.connack === undefined || peer.connack.reason !== 0, why);
      }
    },
  },
  {
    name: 'a password without a user name is refused',
    4: ['3.1.2-22', '3.1.4-1'],
    run: async (t) => {
      const peer = t.open();
      peer.send(t.connectPacket({ username: undefined, password: 'x' }));
      await peer.closed();
      t.assert.ok(peer.connack === undefined || peer.connack.reason !== 0);
    },
  },
  {
    name: 'the reserved flag of CONNECT is refused',
    4: ['3.1.2-3'], 5: ['3.1.2-3'],
    run: async (t) => {
      const peer = t.open();
      peer.send(t.connectPacket({ flags: 0x03 | (t.connectPacket().username === undefined ? 0 : 0xc0) }));
      await peer.closed();
      t.assert.ok(peer.connack === undefined || peer.connack.reason !== 0);
    },
  },
  {
    name: 'CONNECT whose fields do not fit its flags or its length is refused',
    4: ['3.1.4-1', '3.1.2-18', '3.1.2-19', '3.1.2-20', '3.1.2-21', '3.1.3-3'],
    5: ['3.1.4-1', '3.1.2-16', '3.1.2-17', '3.1.2-18', '3.1.2-19', '3.1.2-9', '3.1.3-3'],
    run: async (t) => {
      const none = t.v5 ? [0] : [];
      const connect = (flags, ...payload) => frame(0x10, string('MQTT'), u8(t.version), u8(flags), u16(60), none, ...payload);
      for (const [why, bytes] of [
        ['no client identifier', connect(0x02)],
        ['half a client identifier', connect(0x02, u16(5), 'abc')],
        ['no user name', connect(0x82, string('c'))],
        ['no password', connect(0xc2, string('c'), string('user'))],
        ['a user name without its flag', connect(0x02, string('c'), string('user'))],
        ['a password without its flag', connect(0x82, string('c'), string('user'), string('password'))],
        ['no will payload', connect(0x06, string('c'), none, string('topic'))],
        ['bytes after the end', connect(0x02, string('c'), u8(0))]]) {
        const peer = t.open();
        peer.bytes(bytes);
        await peer.closed().catch((error) => { throw new Error(`${why}: ${error.message}`); });
        t.assert.ok(peer.connack === undefined || peer.connack.reason !== 0, why);
      }
    },
  },
];
