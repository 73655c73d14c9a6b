// MQTT 3.1.1 and 5.0 on the wire, written for tests: the encoder lets a test break any rule, the decoder forgives
// nothing that a server may not send. Packets are plain objects: { type, … , props }. Properties of MQTT 5 are named as
// in the table below; `user` is a list of [name, value] in order, `subscriptionId` a list of numbers.
export const types = ['reserved', 'connect', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'subscribe',
  'suback', 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect', 'auth'];
const typeNumber = Object.fromEntries(types.map((name, number) => [name, number]));

// What a server breaks when it sends such bytes.
export class WireError extends Error {}
const must = (condition, text) => { if (!condition) throw new WireError(text); };

// identifier -> [name, kind, packets in which a server may send it]
const properties = {
  0x01: ['payloadFormat', 'u8', ['publish']],
  0x02: ['messageExpiry', 'u32', ['publish']],
  0x03: ['contentType', 'string', ['publish']],
  0x08: ['responseTopic', 'string', ['publish']],
  0x09: ['correlationData', 'binary', ['publish']],
  0x0b: ['subscriptionId', 'varint', ['publish']],
  0x11: ['sessionExpiry', 'u32', ['connack']],
  0x12: ['assignedClientId', 'string', ['connack']],
  0x13: ['serverKeepAlive', 'u16', ['connack']],
  0x15: ['authMethod', 'string', ['connack', 'auth']],
  0x16: ['authData', 'binary', ['connack', 'auth']],
  0x17: ['requestProblemInfo', 'u8', []],
  0x18: ['willDelay', 'u32', []],
  0x19: ['requestResponseInfo', 'u8', []],
  0x1a: ['responseInfo', 'string', ['connack']],
  0x1c: ['serverReference', 'string', ['connack', 'disconnect']],
  0x1f: ['reasonString', 'string',
    ['connack', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'unsuback', 'disconnect', 'auth']],
  0x21: ['receiveMaximum', 'u16', ['connack']],
  0x22: ['topicAliasMaximum', 'u16', ['connack']],
  0x23: ['topicAlias', 'u16', ['publish']],
  0x24: ['maximumQos', 'u8', ['connack']],
  0x25: ['retainAvailable', 'u8', ['connack']],
  0x26: ['user', 'pair', ['connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'unsuback',
    'disconnect', 'auth']],
  0x27: ['maximumPacketSize', 'u32', ['connack']],
  0x28: ['wildcardAvailable', 'u8', ['connack']],
  0x29: ['subscriptionIdsAvailable', 'u8', ['connack']],
  0x2a: ['sharedAvailable', 'u8', ['connack']],
};
const propertyId = Object.fromEntries(Object.entries(properties).map(([id, [name]]) => [name, Number(id)]));
// Values a property may have at all, and properties that may come more than once.
const ranges = {
  payloadFormat: [0, 1], maximumQos: [0, 1], retainAvailable: [0, 1], wildcardAvailable: [0, 1],
  subscriptionIdsAvailable: [0, 1], sharedAvailable: [0, 1], receiveMaximum: [1, 0xffff], topicAlias: [1, 0xffff],
  maximumPacketSize: [1, 0xffffffff], subscriptionId: [1, 268435455],
};
const repeatable = new Set(['user', 'subscriptionId']);

const ackCodes = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
// Reason codes a server may send: version -> packet -> codes.
const codes = {
  4: { connack: [0, 1, 2, 3, 4, 5], suback: [0, 1, 2, 0x80] },
  5: {
    connack: [0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a,
      0x9b, 0x9c, 0x9d, 0x9f],
    puback: ackCodes, pubrec: ackCodes, pubrel: [0x00, 0x92], pubcomp: [0x00, 0x92],
    suback: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
    unsuback: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
    disconnect: [0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
      0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
    auth: [0x00, 0x18],
  },
};

// --- writing ---------------------------------------------------------------------------------------------------------
export const u8 = (value) => Buffer.from([value]);
export const u16 = (value) => Buffer.from([value >> 8 & 0xff, value & 0xff]);
export const u32 = (value) => { const out = Buffer.alloc(4); out.writeUInt32BE(value); return out; };
export const binary = (value) => { const bytes = Buffer.from(value); return Buffer.concat([u16(bytes.length), bytes]); };
export const string = (value) => binary(Buffer.isBuffer(value) ? value : Buffer.from(value, 'utf8'));
export function varint(value) {
  const out = [];
  do {
    let byte = value % 128;
    value = Math.floor(value / 128);
    if (value > 0) byte |= 0x80;
    out.push(byte);
  } while (value > 0);
  return Buffer.from(out);
}
// A whole packet from its first byte and its body.
export function frame(first, ...body) {
  const bytes = Buffer.concat(body.map((part) => Buffer.isBuffer(part) ? part : Buffer.from(part)));
  return Buffer.concat([u8(first), varint(bytes.length), bytes]);
}

const writers = { u8, u16, u32, string, binary, varint, pair: ([name, value]) => Buffer.concat([string(name), string(value)]) };

// One property; `name` may be a number to write one that does not exist.
export function property(name, value) {
  const id = typeof name === 'number' ? name : propertyId[name];
  return Buffer.concat([varint(id), writers[properties[id]?.[1] ?? 'u8'](value)]);
}
export function propertyBlock(props = {}) {
  const parts = [];
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined) continue;
    for (const one of repeatable.has(name) && Array.isArray(value) ? value : [value]) parts.push(property(name, one));
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat([varint(bytes.length), bytes]);
}

// `flags`, `name`, `level` and `tail` override what the fields ask for.
function encodeConnect(packet, version) {
  const { will } = packet;
  const flags = packet.flags ?? ((packet.clean ?? true ? 0x02 : 0)
    | (will ? 0x04 | (will.qos ?? 0) << 3 | (will.retain ? 0x20 : 0) : 0)
    | (packet.password !== undefined ? 0x40 : 0) | (packet.username !== undefined ? 0x80 : 0));
  return frame(0x10, string(packet.name ?? 'MQTT'), u8(packet.level ?? version), u8(flags), u16(packet.keepAlive ?? 60),
    version === 5 ? packet.propertyBytes ?? propertyBlock(packet.props) : [],
    string(packet.clientId ?? ''),
    ...(will ? [version === 5 ? propertyBlock(will.props) : [], string(will.topic), binary(will.payload ?? '')] : []),
    packet.username !== undefined ? string(packet.username) : [],
    packet.password !== undefined ? binary(packet.password) : [], packet.tail ?? []);
}

function encodeAck(packet, version) {
  const first = typeNumber[packet.type] << 4 | (packet.type === 'pubrel' ? 2 : 0);
  if (version === 4 || (packet.reason === undefined && packet.props === undefined)) return frame(first, u16(packet.id));
  return frame(first, u16(packet.id), u8(packet.reason ?? 0), packet.props === undefined ? [] : propertyBlock(packet.props));
}

const encoders = {
  connect: encodeConnect,
  publish: (packet, version) => frame(0x30 | (packet.dup ? 8 : 0) | (packet.qos ?? 0) << 1 | (packet.retain ? 1 : 0),
    string(packet.topic), packet.qos ? u16(packet.id) : [], version === 5 ? propertyBlock(packet.props) : [],
    packet.payload ?? []),
  puback: encodeAck, pubrec: encodeAck, pubrel: encodeAck, pubcomp: encodeAck,
  subscribe: (packet, version) => frame(0x82, u16(packet.id), version === 5 ? propertyBlock(packet.props) : [],
    ...packet.filters.flatMap(({ filter, qos = 0, noLocal, retainAsPublished, retainHandling = 0, options }) => [
      string(filter),
      u8(options ?? (qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | retainHandling << 4))])),
  unsubscribe: (packet, version) => frame(0xa2, u16(packet.id), version === 5 ? propertyBlock(packet.props) : [],
    ...packet.filters.map((filter) => string(filter))),
  pingreq: () => frame(0xc0),
  disconnect: (packet, version) => version === 4 || (packet.reason === undefined && packet.props === undefined)
    ? frame(0xe0) : frame(0xe0, u8(packet.reason ?? 0), packet.props === undefined ? [] : propertyBlock(packet.props)),
  auth: (packet) => packet.reason === undefined ? frame(0xf0)
    : frame(0xf0, u8(packet.reason), packet.props === undefined ? [] : propertyBlock(packet.props)),
};
export const encode = (packet, version) => encoders[packet.type](packet, version);

// --- reading ---------------------------------------------------------------------------------------------------------
class Reader {
  constructor(bytes, what) { this.bytes = bytes; this.at = 0; this.what = what; }
  get left() { return this.bytes.length - this.at; }
  take(count) {
    must(this.left >= count, `${this.what}: a field passes the end of the packet`);
    return this.bytes.subarray(this.at, this.at += count);
  }
  u8() { return this.take(1)[0]; }
  u16() { return this.take(2).readUInt16BE(); }
  u32() { return this.take(4).readUInt32BE(); }
  binary() { return this.take(this.u16()); }
  string() {
    const bytes = this.binary();
    must(isUtf8(bytes), `${this.what}: a string is not well-formed UTF-8`);
    must(!bytes.includes(0), `${this.what}: a string holds U+0000`);
    return bytes.toString('utf8');
  }
  varint() {
    let value = 0;
    for (let count = 0; ; count++) {
      must(count < 4, `${this.what}: a variable byte integer has more than four bytes`);
      const byte = this.u8();
      value += (byte & 0x7f) * 128 ** count;
      if (byte & 0x80) continue;
      must(count === 0 || byte !== 0, `${this.what}: a variable byte integer is longer than it need be`);
      return value;
    }
  }
  pair() { return [this.string(), this.string()]; }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function isUtf8(bytes) {
  try { utf8.decode(bytes); return true; } catch { return false; }
}

function readProperties(reader, type) {
  const props = {};
  const size = reader.varint();
  const inner = new Reader(reader.take(size), `${type} properties`);
  while (inner.left > 0) {
    const id = inner.varint();
    const [name, kind, packets] = properties[id] ?? [];
    must(name !== undefined, `${type}: property ${id} does not exist`);
    must(packets.includes(type), `${type}: a server may not send ${name} here`);
    const value = inner[kind]();
    const [low, high] = ranges[name] ?? [-Infinity, Infinity];
    must(!(typeof value === 'number') || (value >= low && value <= high), `${type}: ${name} may not be ${value}`);
    if (repeatable.has(name)) (props[name] ??= []).push(value);
    else {
      must(props[name] === undefined, `${type}: ${name} twice`);
      props[name] = value;
    }
  }
  return props;
}

function readAck(reader, type, version) {
  const id = reader.u16();
  must(id !== 0, `${type}: packet identifier 0`);
  const packet = { type, id, reason: 0, props: {} };
  if (version === 5 && reader.left > 0) packet.reason = reader.u8();
  if (version === 5 && reader.left > 0) packet.props = readProperties(reader, type);
  return packet;
}

function readCodes(reader, type, version) {
  const packet = { type, id: reader.u16(), props: version === 5 ? readProperties(reader, type) : {} };
  must(packet.id !== 0, `${type}: packet identifier 0`);
  packet.reasons = version === 5 || type === 'suback' ? [...reader.take(reader.left)] : [];
  return packet;
}

const decoders = {
  connack: (reader, version) => {
    const flags = reader.u8();
    must((flags & 0xfe) === 0, 'connack: reserved bits of the acknowledge flags are not 0');
    const packet = { type: 'connack', sessionPresent: (flags & 1) === 1, reason: reader.u8(), props: {} };
    // A server that refuses a version it does not speak may answer as MQTT 3.1.1 does.
    if (version === 5 && reader.left > 0) packet.props = readProperties(reader, 'connack');
    must(packet.reason === 0 || !packet.sessionPresent, 'connack: session present with a refusal');
    return packet;
  },
  publish: (reader, version, flags) => {
    const packet = { type: 'publish', dup: (flags & 8) !== 0, qos: flags >> 1 & 3, retain: (flags & 1) !== 0 };
    must(packet.qos < 3, 'publish: QoS 3');
    must(packet.qos > 0 || !packet.dup, 'publish: DUP with QoS 0');
    packet.topic = reader.string();
    must(!/[+#]/.test(packet.topic), 'publish: a wildcard in the topic name');
    if (packet.qos > 0) {
      packet.id = reader.u16();
      must(packet.id !== 0, 'publish: packet identifier 0');
    }
    packet.props = version === 5 ? readProperties(reader, 'publish') : {};
    must(packet.topic !== '' || packet.props.topicAlias !== undefined, 'publish: neither topic nor alias');
    packet.payload = reader.take(reader.left);
    return packet;
  },
  puback: (reader, version) => readAck(reader, 'puback', version),
  pubrec: (reader, version) => readAck(reader, 'pubrec', version),
  pubrel: (reader, version) => readAck(reader, 'pubrel', version),
  pubcomp: (reader, version) => readAck(reader, 'pubcomp', version),
  suback: (reader, version) => readCodes(reader, 'suback', version),
  unsuback: (reader, version) => readCodes(reader, 'unsuback', version),
  pingresp: () => ({ type: 'pingresp' }),
  disconnect: (reader, version) => {
    must(version === 5, 'disconnect: a server sends none in MQTT 3.1.1');
    return { type: 'disconnect', reason: reader.left > 0 ? reader.u8() : 0,
      props: reader.left > 0 ? readProperties(reader, 'disconnect') : {} };
  },
  auth: (reader, version) => {
    must(version === 5, 'auth: does not exist in MQTT 3.1.1');
    return { type: 'auth', reason: reader.left > 0 ? reader.u8() : 0,
      props: reader.left > 0 ? readProperties(reader, 'auth') : {} };
  },
};

// Takes the first whole packet off `bytes`: { packet, size } or undefined when it is not there yet.
export function decode(bytes, version) {
  let size = 0, at = 1;
  for (;; at++) {
    if (bytes.length <= at) return undefined;
    must(at <= 4, 'a remaining length of more than four bytes');
    size += (bytes[at] & 0x7f) * 128 ** (at - 1);
    if (!(bytes[at] & 0x80)) break;
  }
  must(at === 1 || bytes[at] !== 0, 'a remaining length that is longer than it need be');
  const whole = at + 1 + size;
  if (bytes.length < whole) return undefined;
  const type = types[bytes[0] >> 4], flags = bytes[0] & 0x0f;
  must(decoders[type] !== undefined, `${type}: a server may not send it`);
  if (type !== 'publish') must(flags === (type === 'pubrel' ? 2 : 0), `${type}: flags ${flags}`);
  const reader = new Reader(bytes.subarray(at + 1, whole), type);
  const packet = decoders[type](reader, version, flags);
  must(reader.left === 0, `${type}: ${reader.left} bytes after its end`);
  for (const reason of packet.reasons ?? (packet.reason === undefined ? [] : [packet.reason])) {
    const allowed = codes[version][type];
    must(allowed === undefined ? reason === 0 : allowed.includes(reason) || (type === 'connack' && reason === 1),
      `${type}: reason 0x${reason.toString(16)} is not one of its codes`);
  }
  packet.size = whole;
  return { packet, size: whole };
}
