// Packets that no client may send. Each row sends its bytes on a connection of its own; the server has to close it, and in
// MQTT 5 may say why before. That another connection is served as before shows that nothing else was hurt.
import { encode, frame, property, string, u16, u8, varint } from '../lib/codec.mjs';

const surrogate = Buffer.from([0xed, 0xa0, 0x80]); // U+D800
const overlong = Buffer.from([0xc0, 0xaf]); // "/" in two bytes
const cut = Buffer.from([0xe2, 0x82]); // the beginning of a character
const nul = Buffer.from('a\0b');
const none = (t) => t.v5 ? [0] : []; // no properties
const block = (...parts) => { const bytes = Buffer.concat(parts); return Buffer.concat([varint(bytes.length), bytes]); };
const publish = (t, more) => encode({ type: 'publish', topic: t.topic(), payload: 'x', ...more }, t.version);
const publishWith = (t, ...parts) => frame(0x30, string(t.topic()), block(...parts), 'x');
const subscribe = (t, more) => encode({ type: 'subscribe', id: 1, filters: [{ filter: t.topic(), ...more }] }, t.version);
const subscribeWith = (t, ...parts) => frame(0x82, u16(1), block(...parts), string(t.topic()), u8(0));
const unsubscribe = (t, filter) => encode({ type: 'unsubscribe', id: 1, filters: [filter] }, t.version);

const malformed = [0x81, 0x82], protocol = [0x81, 0x82];
const text = { 4: ['1.5.3-1'], 5: ['1.5.4-1', '4.13.1-1'] };
const zero = { 4: ['1.5.3-2'], 5: ['1.5.4-2', '4.13.1-1'] };
const withIds = (base, four, five) => ({ 4: [...base[4], ...four], 5: [...base[5], ...five] });
const only5 = (...ids) => ({ 5: [...ids, '4.13.1-1'] });

// [what, ids, bytes(t), reasons]
const live = [
  // fixed header
  ['control packet type 0', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, () => Buffer.from([0x00, 0x00])],
  ['control packet type 15, which MQTT 3.1.1 does not have', { 4: ['4.8.0-1'] }, () => Buffer.from([0xf0, 0x00])],
  ['PUBACK with flags', { 4: ['2.2.2-1', '2.2.2-2'], 5: ['2.1.3-1', '4.13.1-1'] }, () => frame(0x41, u16(1))],
  ['PUBREC with flags', { 4: ['2.2.2-1', '2.2.2-2'], 5: ['2.1.3-1', '4.13.1-1'] }, () => frame(0x51, u16(1))],
  ['PUBCOMP with flags', { 4: ['2.2.2-1', '2.2.2-2'], 5: ['2.1.3-1', '4.13.1-1'] }, () => frame(0x71, u16(1))],
  ['PUBREL without its flag', { 4: ['3.6.1-1', '2.2.2-2'], 5: ['3.6.1-1', '4.13.1-1'] }, () => frame(0x60, u16(1))],
  ['PUBREL with all flags', { 4: ['3.6.1-1', '2.2.2-2'], 5: ['3.6.1-1', '4.13.1-1'] }, () => frame(0x6f, u16(1))],
  ['SUBSCRIBE without its flag', { 4: ['3.8.1-1', '2.2.2-2'], 5: ['3.8.1-1', '4.13.1-1'] },
    (t) => frame(0x80, u16(1), none(t), string(t.topic()), u8(0))],
  ['UNSUBSCRIBE without its flag', { 4: ['3.10.1-1', '2.2.2-2'], 5: ['3.10.1-1', '4.13.1-1'] },
    (t) => frame(0xa0, u16(1), none(t), string(t.topic()))],
  ['PINGREQ with flags', { 4: ['2.2.2-1', '2.2.2-2'], 5: ['2.1.3-1', '4.13.1-1'] }, () => frame(0xc1)],
  ['DISCONNECT with flags', { 4: ['3.14.1-1', '2.2.2-2'], 5: ['3.14.1-1', '4.13.1-1'] }, () => frame(0xe1)],
  ['AUTH with flags', { 5: ['3.15.1-1', '4.13.1-1'] }, () => frame(0xf1)],
  ['PUBLISH with QoS 3', { 4: ['3.3.1-4'], 5: ['3.3.1-4', '4.13.1-1'] },
    (t) => frame(0x36, string(t.topic()), u16(1), none(t))],
  ['a remaining length of five bytes', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] },
    () => Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])],
  ['a packet that only a server sends: CONNACK', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, (t) => frame(0x20, u16(0), none(t))],
  ['a packet that only a server sends: SUBACK', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, (t) => frame(0x90, u16(1), none(t), u8(0))],
  ['a packet that only a server sends: UNSUBACK', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, (t) => frame(0xb0, u16(1), none(t), t.v5 ? u8(0) : [])],
  ['a packet that only a server sends: PINGRESP', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, () => frame(0xd0)],
  // bodies that end early or late
  ['PUBLISH without a topic', { 4: ['3.3.2-1', '4.8.0-1'], 5: ['3.3.2-1', '4.13.1-1'] }, () => frame(0x30)],
  ['PUBLISH whose topic passes its end', { 4: ['3.3.2-1', '4.8.0-1'], 5: ['3.3.2-1', '4.13.1-1'] }, () => frame(0x30, u16(9), 'short')],
  ['PUBLISH QoS 1 without an identifier', { 4: ['2.3.1-1', '4.8.0-1'], 5: ['4.13.1-1'] }, (t) => frame(0x32, string(t.topic()))],
  ['PUBACK of one byte', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, () => frame(0x40, u8(0))],
  ['PUBACK with bytes after its end', { 4: ['4.8.0-1'] }, () => frame(0x40, u16(1), u16(1))],
  ['PINGREQ with a body', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, () => frame(0xc0, u8(0))],
  ['SUBSCRIBE whose filter passes its end', { 4: ['4.8.0-1'], 5: ['4.13.1-1'] }, (t) => frame(0x82, u16(1), none(t), u16(9), 'a')],
  ['SUBSCRIBE without options after a filter', { 4: ['3.8.3-3', '4.8.0-1'], 5: ['3.8.3-2', '4.13.1-1'] },
    (t) => frame(0x82, u16(1), none(t), string(t.topic()))],
  // identifiers
  ['PUBLISH QoS 1 with identifier 0', { 4: ['2.3.1-1'], 5: ['2.2.1-3', '4.13.1-1'] }, (t) => publish(t, { qos: 1, id: 0 })],
  ['PUBLISH QoS 2 with identifier 0', { 4: ['2.3.1-1'], 5: ['2.2.1-3', '4.13.1-1'] }, (t) => publish(t, { qos: 2, id: 0 })],
  ['SUBSCRIBE with identifier 0', { 4: ['2.3.1-1'], 5: ['2.2.1-3', '4.13.1-1'] },
    (t) => encode({ type: 'subscribe', id: 0, filters: [{ filter: t.topic() }] }, t.version)],
  ['UNSUBSCRIBE with identifier 0', { 4: ['2.3.1-1'], 5: ['2.2.1-3', '4.13.1-1'] },
    (t) => encode({ type: 'unsubscribe', id: 0, filters: [t.topic()] }, t.version)],
  // topics and filters
  ['PUBLISH to an empty topic', { 4: ['4.7.3-1'], 5: ['4.7.3-1', '4.13.1-1'] }, (t) => publish(t, { topic: '' })],
  ['PUBLISH to a topic with #', { 4: ['3.3.2-2', '4.7.1-1'], 5: ['3.3.2-2', '4.7.0-1', '4.13.1-1'] },
    (t) => publish(t, { topic: t.topic('#') }), [0x81, 0x82, 0x90]],
  ['PUBLISH to a topic with +', { 4: ['3.3.2-2', '4.7.1-1'], 5: ['3.3.2-2', '4.7.0-1', '4.13.1-1'] },
    (t) => publish(t, { topic: t.topic('+/x') }), [0x81, 0x82, 0x90]],
  ['PUBLISH to a topic with U+0000', withIds(zero, ['4.7.3-2'], ['4.7.3-2']), (t) => publish(t, { topic: nul })],
  ['PUBLISH to a topic with a surrogate', withIds(text, ['3.3.2-1'], ['3.3.2-1']), (t) => publish(t, { topic: surrogate })],
  ['PUBLISH to a topic of overlong UTF-8', withIds(text, ['3.3.2-1'], ['3.3.2-1']), (t) => publish(t, { topic: overlong })],
  ['PUBLISH to a topic that ends inside a character', withIds(text, ['3.3.2-1'], ['3.3.2-1']), (t) => publish(t, { topic: cut })],
  ['SUBSCRIBE without a filter', { 4: ['3.8.3-3'], 5: ['3.8.3-2', '4.13.1-1'] }, (t) => frame(0x82, u16(1), none(t))],
  ['SUBSCRIBE to an empty filter', { 4: ['4.7.3-1'], 5: ['4.7.3-1', '4.13.1-1'] }, (t) => subscribe(t, { filter: '' }), [0x81, 0x82, 0x8f]],
  ['SUBSCRIBE with QoS 3', { 4: ['3.8.3-4'], 5: ['4.13.1-1'] }, (t) => subscribe(t, { options: 3 })],
  ['SUBSCRIBE with reserved bits', { 4: ['3.8.3-4'], 5: ['3.8.3-5', '4.13.1-1'] }, (t) => subscribe(t, { options: 0xc1 })],
  ['SUBSCRIBE with the options of MQTT 5 in 3.1.1', { 4: ['3.8.3-4'] }, (t) => subscribe(t, { options: 0x04 })],
  ['SUBSCRIBE to a filter with U+0000', withIds(zero, ['4.7.3-2'], ['4.7.3-2']), (t) => subscribe(t, { filter: nul })],
  ['SUBSCRIBE to a filter of ill-formed UTF-8', withIds(text, ['3.8.3-1'], ['3.8.3-1']), (t) => subscribe(t, { filter: surrogate })],
  ['UNSUBSCRIBE without a filter', { 4: ['3.10.3-2'], 5: ['3.10.3-2', '4.13.1-1'] }, (t) => frame(0xa2, u16(1), none(t))],
  ['UNSUBSCRIBE from a filter of ill-formed UTF-8', withIds(text, ['3.10.3-1'], ['3.10.3-1']), (t) => unsubscribe(t, overlong)],
  ['UNSUBSCRIBE from a filter with U+0000', withIds(zero, ['4.7.3-2'], ['4.7.3-2']), (t) => unsubscribe(t, nul)],
  // properties
  ['a property that does not exist', only5(), (t) => publishWith(t, varint(0x7f), u8(0))],
  ['a property that PUBLISH may not have', only5(), (t) => publishWith(t, property('sessionExpiry', 1))],
  ['a property twice', only5(), (t) => publishWith(t, property('messageExpiry', 1), property('messageExpiry', 2))],
  ['a property block that passes the end', only5('2.2.2-1'), (t) => frame(0x30, string(t.topic()), varint(50), 'x')],
  ['no property block at all', only5('2.2.2-1'), (t) => frame(0x32, string(t.topic()), u16(1))],
  ['a property cut in the middle', only5(), (t) => publishWith(t, property('messageExpiry', 1).subarray(0, 3))],
  ['payload format indicator 2', only5(), (t) => publishWith(t, property('payloadFormat', 2))],
  ['a user property with ill-formed UTF-8', only5('1.5.7-1', '1.5.4-1'), (t) => publishWith(t, property('user', ['a', overlong]))],
  ['a user property with U+0000', only5('1.5.7-1', '1.5.4-2'), (t) => publishWith(t, property('user', [nul, 'b']))],
  ['a content type of ill-formed UTF-8', only5('3.3.2-19', '1.5.4-1'), (t) => publishWith(t, property('contentType', surrogate))],
  ['a response topic of ill-formed UTF-8', only5('3.3.2-13', '1.5.4-1'), (t) => publishWith(t, property('responseTopic', cut))],
  ['a response topic with a wildcard', only5('3.3.2-14'), (t) => publishWith(t, property('responseTopic', 'a/#')), [0x81, 0x82, 0x90]],
  ['PUBLISH with a subscription identifier', only5('3.3.4-6'), (t) => publishWith(t, property('subscriptionId', 1)), protocol],
  ['SUBSCRIBE with subscription identifier 0', only5(), (t) => subscribeWith(t, property('subscriptionId', 0)), protocol],
  ['SUBSCRIBE with two subscription identifiers', only5(), (t) => subscribeWith(t, property('subscriptionId', 1), property('subscriptionId', 2)), protocol],
  ['SUBSCRIBE with retain handling 3', only5(), (t) => subscribe(t, { retainHandling: 3 }), protocol],
  ['no local on a shared subscription', only5('3.8.3-4'), (t) => subscribe(t, { filter: `$share/g/${t.topic()}`, noLocal: true }), protocol],
  ['topic alias 0', only5('3.3.2-8'), (t) => publishWith(t, property('topicAlias', 0)), [0x81, 0x82, 0x94]],
  ['a topic alias above what the server announced', only5('3.3.2-9'),
    (t, peer) => publish(t, { props: { topicAlias: Math.min(65535, (peer.connack.props.topicAliasMaximum ?? 0) + 1) } }),
    [0x81, 0x82, 0x94]],
  ['an empty topic with an alias that was never set', only5('3.3.2-7'),
    (t, peer) => publish(t, { topic: '', props: { topicAlias: Math.max(1, peer.connack.props.topicAliasMaximum ?? 0) } }), [0x81, 0x82, 0x94]],
  ['an empty topic without an alias', only5('4.7.3-1'), (t) => publish(t, { topic: '' }), protocol],
  ['AUTH on a connection without an authentication method', only5('4.12.0-7'), () => encode({ type: 'auth', reason: 0x19, props: { authMethod: 'x' } }), [0x81, 0x82, 0x8c]],
];

// CONNECT with fields that are no good; the server may answer with CONNACK, never with success. [what, ids, fields, …]
const atConnect = [
  ['a client identifier of ill-formed UTF-8', withIds(text, ['3.1.3-4'], ['3.1.3-4']), () => ({ clientId: overlong })],
  ['a client identifier with U+0000', withIds(zero, ['3.1.3-4'], ['3.1.3-4']), () => ({ clientId: nul })],
  ['a will topic of ill-formed UTF-8', withIds(text, ['3.1.3-10'], ['3.1.3-11']), () => ({ will: { topic: surrogate, payload: 'x' } })],
  ['a will topic with a wildcard', { 4: ['4.7.1-1'], 5: ['4.7.0-1'] }, (t) => ({ will: { topic: t.topic('#'), payload: 'x' } })],
  ['an empty will topic', { 4: ['4.7.3-1'], 5: ['4.7.3-1'] }, () => ({ will: { topic: '', payload: 'x' } })],
  ['a user name of ill-formed UTF-8', withIds(text, ['3.1.3-11'], ['3.1.3-12']), () => ({ username: cut, password: 'x' })],
  ['receive maximum 0', only5(), () => ({ props: { receiveMaximum: 0 } })],
  ['maximum packet size 0', only5(), () => ({ props: { maximumPacketSize: 0 } })],
  ['request problem information 2', only5(), () => ({ props: { requestProblemInfo: 2 } })],
  ['request response information 2', only5(), () => ({ props: { requestResponseInfo: 2 } })],
  ['authentication data without a method', only5(), () => ({ props: { authData: 'x' } })],
  ['a will property in the properties of CONNECT', only5(), () => ({ props: { willDelay: 1 } })],
  ['the session expiry twice', only5(), () => ({ propertyBytes: block(property('sessionExpiry', 1), property('sessionExpiry', 1)) })],
  ['a property that does not exist', only5(), () => ({ propertyBytes: block(varint(0x7f), u8(0)) })],
  ['a will with payload format 2', only5(), (t) => ({ will: { topic: t.topic(), payload: 'x', props: { payloadFormat: 2 } } })],
];

export default [
  ...live.map(([what, ids, bytes, reasons = malformed]) => ({
    name: `closed for ${what}`,
    ...ids,
    run: async (t) => {
      const peer = await t.client(), neighbour = await t.client();
      peer.bytes(bytes(t, peer));
      await t.refused(peer, reasons);
      await neighbour.ping();
    },
  })),
  ...atConnect.map(([what, ids, fields]) => ({
    name: `CONNECT refused for ${what}`,
    ...ids,
    run: async (t) => {
      const peer = t.open();
      peer.send(t.connectPacket(fields(t)));
      await peer.closed();
      t.assert.ok(peer.connack === undefined || peer.connack.reason !== 0, 'no success');
    },
  })),
  {
    name: 'closed for a filter whose wildcard is out of place, or SUBACK says failure',
    4: ['4.7.1-2', '4.7.1-3'], 5: ['4.7.1-1', '4.7.1-2'],
    run: async (t) => {
      for (const bad of ['a#', 'a/b#', 'a/#/b', '#/a', 'a+', '+a', 'a/b+/c', 'a/+b', '##', '++']) {
        const peer = await t.client();
        const ended = peer.ended.then(() => 'closed');
        peer.send({ type: 'subscribe', id: 1, filters: [{ filter: bad }] });
        const first = await Promise.race([ended, peer.expect('suback').catch(() => 'closed')]);
        if (first === 'closed') await t.refused(peer, [0x81, 0x82, 0x8f]);
        else t.assert.ok(first.reasons[0] >= 0x80, `${bad} is refused`);
      }
    },
  },
  {
    name: 'closed for a share name that is none, or SUBACK says failure',
    5: ['4.8.2-1', '4.8.2-2'],
    run: async (t) => {
      for (const bad of ['$share//a', '$share/g', '$share/g/', '$share/g+/a', '$share/#/a', '$share/+/a', '$share']) {
        const peer = await t.client();
        peer.send({ type: 'subscribe', id: 1, filters: [{ filter: bad }] });
        const first = await Promise.race([peer.ended.then(() => 'closed'), peer.expect('suback').catch(() => 'closed')]);
        if (first === 'closed') await t.refused(peer, [0x81, 0x82, 0x8f]);
        // "$share" alone does not begin with "$share/": it is a filter like any other.
        else if (bad !== '$share') t.assert.ok(first.reasons[0] >= 0x80, `${bad} is refused`);
      }
    },
  },
  {
    name: 'a packet that comes byte by byte is taken like any other',
    4: ['7.1.1-1', '7.1.1-2'], 5: ['4.2-1'],
    run: async (t) => {
      const peer = t.open();
      for (const byte of encode(t.connectPacket(), t.version)) {
        peer.bytes([byte]);
        await new Promise((next) => { setImmediate(next); });
      }
      await peer.expect('connack');
      for (const byte of publish(t, { qos: 1, id: 77 })) {
        peer.bytes([byte]);
        await new Promise((next) => { setImmediate(next); });
      }
      t.assert.equal((await peer.expect('puback')).id, 77);
    },
  },
];
