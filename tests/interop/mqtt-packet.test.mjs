// Our packet decoder beside npm's mqtt-packet: the same bytes through both. Packets that mqtt-packet writes must come out the same;
// what is made of them by changing bytes must be refused by both or come out the same, but for the differences listed here, each
// with the statement of the standard. A failure prints its seed; MQTT_PACKET_SEED and MQTT_PACKET_ROUNDS repeat or widen a run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import mqtt from 'mqtt-packet';
import constants from 'mqtt-packet/constants.js';
import { patience } from '../lib/sanitizer.mjs';

const SEED = Number(process.env.MQTT_PACKET_SEED ?? 20191);
const ROUNDS = Number(process.env.MQTT_PACKET_ROUNDS ?? 4000);
const program = join(process.env.GATEHOUSE_BIN ?? 'build/debug/bin', 'mqtt-decode');

// mulberry32: small, seeded, good enough to choose with.
const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

class Choice {
  constructor(seed) { this.next = random(seed); }
  below(n) { return Math.floor(this.next() * n); }
  often(share = 0.5) { return this.next() < share; }
  one(list) { return list[this.below(list.length)]; }
  bytes(max) { return Buffer.from(Array.from({ length: this.below(max + 1) }, () => this.below(256))); }
  text(max = 12) { return Array.from({ length: this.below(max) }, () => this.one([...'abcXYZ 09-_./é漢🚪$'])).join(''); }
  level() { return this.one(['a', 'bc', 'sport', 'é', '', '$SYS', 'player1']); }
  topic() { return ['t', ...Array.from({ length: this.below(4) }, () => this.level())].join('/'); }
  filter() {
    const levels = [this.one(['t', '+', '']), ...Array.from({ length: this.below(3) }, () => this.one(['+', this.level()]))];
    if (this.often(0.3)) levels.push('#');
    const plain = levels.join('/') || 'x';
    return this.often(0.2) ? `$share/${this.one(['g', 'group 2', 'é'])}/${plain}` : plain;
  }
  id() { return 1 + this.below(65535); }
  u16() { return this.one([0, 1, 255, 256, 65535, this.below(65536)]); }
  u32() { return this.one([0, 1, 65536, 0xffffffff, Math.floor(this.next() * 4294967296)]); }
}

// Properties by the packets that have them (5.0, table 2-4), as names and ways to make a value.
const any = (c) => c.text();
const flag = (c) => c.often();
const makers = {
  payloadFormatIndicator: flag, messageExpiryInterval: (c) => c.u32(), contentType: any, responseTopic: (c) => c.topic(),
  correlationData: (c) => c.bytes(8), sessionExpiryInterval: (c) => c.u32(), receiveMaximum: (c) => Math.max(1, c.u16()),
  maximumPacketSize: (c) => Math.max(1, c.u32()), topicAliasMaximum: (c) => c.u16(), requestResponseInformation: flag,
  requestProblemInformation: flag, willDelayInterval: (c) => c.u32(), authenticationMethod: any, authenticationData: (c) => c.bytes(8),
  topicAlias: (c) => Math.max(1, c.u16()), maximumQoS: (c) => c.below(2), retainAvailable: flag, assignedClientIdentifier: any,
  reasonString: any, wildcardSubscriptionAvailable: flag, subscriptionIdentifiersAvailable: flag, sharedSubscriptionAvailable: flag,
  serverKeepAlive: (c) => c.u16(), responseInformation: any, serverReference: any,
  subscriptionIdentifier: (c) => c.one([1, 127, 128, 16383, 16384, 2097152, 268435455]),
};
const MESSAGE = ['payloadFormatIndicator', 'messageExpiryInterval', 'contentType', 'responseTopic', 'correlationData'];
const AUTH = ['authenticationMethod', 'authenticationData'];
const OFFER = ['sessionExpiryInterval', 'receiveMaximum', 'maximumPacketSize', 'topicAliasMaximum'];
const allowed = {
  will: { server: [...MESSAGE, 'willDelayInterval'] },
  connect: { server: [...OFFER, 'requestResponseInformation', 'requestProblemInformation', ...AUTH] },
  connack: { client: [...OFFER, ...AUTH, 'maximumQoS', 'retainAvailable', 'assignedClientIdentifier', 'reasonString', 'serverReference',
    'wildcardSubscriptionAvailable', 'subscriptionIdentifiersAvailable', 'sharedSubscriptionAvailable', 'serverKeepAlive',
    'responseInformation'] },
  publish: { server: [...MESSAGE, 'topicAlias'], client: [...MESSAGE, 'topicAlias', 'subscriptionIdentifier'] },
  subscribe: { server: ['subscriptionIdentifier'] }, unsubscribe: { server: [] },
  suback: { client: ['reasonString'] }, unsuback: { client: ['reasonString'] },
  disconnect: { server: ['sessionExpiryInterval', 'reasonString', 'serverReference'], client: ['reasonString', 'serverReference'] },
  auth: { server: [...AUTH, 'reasonString'], client: [...AUTH, 'reasonString'] },
};
for (const cmd of ['puback', 'pubrec', 'pubrel', 'pubcomp']) allowed[cmd] = { server: ['reasonString'], client: ['reasonString'] };

const properties = (c, place, side) => {
  const out = {};
  for (const name of allowed[place][side]) if (c.often(0.3)) out[name] = makers[name](c);
  if (place === 'publish' && side === 'client' && c.often(0.2)) out.subscriptionIdentifier = [1, 1 + c.below(1000)];
  if (out.authenticationData !== undefined) out.authenticationMethod ??= 'm';
  if (place === 'auth') out.authenticationMethod ??= 'm';
  // An empty value is left to the list of differences.
  if (c.often(0.3)) out.userProperties = { k: 'v', [`n${c.text(4)}`]: c.often() ? `v${c.text()}` : [`1${c.text()}`, '2'] };
  return out;
};

// Reason codes of 5.0 by packet and receiver, from the tables of chapter 3.
const codes = {
  connack: {
    client: [0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c,
      0x9d, 0x9f],
  },
  puback: { server: [0, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99], client: [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] },
  pubrel: { server: [0, 0x92], client: [0, 0x92] },
  suback: { client: [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2] },
  unsuback: { client: [0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91] },
  disconnect: {
    server: [0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
    client: [0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b,
      0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
  },
  auth: { server: [0x18, 0x19], client: [0, 0x18] },
};
codes.pubrec = codes.puback;
codes.pubcomp = codes.pubrel;

const someOf = (c, make) => Array.from({ length: 1 + c.below(3) }, () => make());
const generators = {
  connect(c, v) {
    const out = { protocolId: 'MQTT', protocolVersion: v, clean: c.often(), keepalive: c.u16(), clientId: `c${c.text()}` };
    if (out.clean && c.often(0.1)) out.clientId = '';
    if (c.often()) out.username = c.text();
    if (out.username !== undefined && c.often()) out.password = c.bytes(12);
    if (c.often(0.4)) {
      out.will = { topic: c.topic(), payload: c.bytes(12), qos: c.below(3), retain: c.often() };
      if (v === 5) out.will.properties = properties(c, 'will', 'server');
    }
    return out;
  },
  connack(c, v) {
    const code = v === 5 ? c.one(codes.connack.client) : c.below(6);
    return { sessionPresent: code === 0 && c.often(), [v === 5 ? 'reasonCode' : 'returnCode']: code };
  },
  publish(c) {
    const qos = c.below(3);
    const messageId = qos > 0 ? c.id() : undefined;
    return { topic: c.topic(), payload: c.bytes(20), qos, dup: qos > 0 && c.often(), retain: c.often(), messageId };
  },
  subscribe: (c, v) => ({
    messageId: c.id(),
    subscriptions: someOf(c, () => {
      const topic = c.filter();
      return { topic, qos: c.below(3), ...(v === 5 && { nl: c.often() && !topic.startsWith('$share/'), rap: c.often(), rh: c.below(3) }) };
    }),
  }),
  unsubscribe: (c) => ({ messageId: c.id(), unsubscriptions: someOf(c, () => c.filter()) }),
  suback: (c, v) => ({ messageId: c.id(), granted: someOf(c, () => (v === 5 ? c.one(codes.suback.client) : c.one([0, 1, 2, 0x80]))) }),
  unsuback: (c) => ({ messageId: c.id(), granted: someOf(c, () => c.one(codes.unsuback.client)) }),
  pingreq: () => ({}), pingresp: () => ({}),
  disconnect: (c, v, side) => (v === 5 ? { reasonCode: c.one(codes.disconnect[side]) } : {}),
  auth: (c, v, side) => ({ reasonCode: c.one(codes.auth[side]) }),
};
for (const cmd of ['puback', 'pubrec', 'pubrel', 'pubcomp']) {
  generators[cmd] = (c, v, side) => ({ messageId: c.id(), ...(v === 5 && { reasonCode: c.one(codes[cmd][side]) }) });
}

const receivers = (cmd, v) => {
  if (cmd === 'auth') return v === 5 ? ['server', 'client'] : [];
  if (cmd === 'disconnect') return v === 5 ? ['server', 'client'] : ['server'];
  if (['connect', 'subscribe', 'unsubscribe', 'pingreq'].includes(cmd)) return ['server'];
  if (['connack', 'suback', 'unsuback', 'pingresp'].includes(cmd)) return ['client'];
  return ['server', 'client'];
};

const write = (packet, v) => mqtt.generate(packet, { protocolVersion: v });
const make = (c, spoil = () => {}) => {
  for (;;) {
    const v = c.one([4, 5]);
    const cmd = c.one(Object.keys(generators));
    const sides = receivers(cmd, v);
    if (sides.length === 0) continue;
    const side = c.one(sides);
    const packet = { cmd, ...generators[cmd](c, v, side) };
    if (v === 5 && allowed[cmd]) packet.properties = properties(c, cmd, side);
    if (v === 5 && cmd === 'publish' && packet.properties.topicAlias && c.often()) packet.topic = '';
    spoil(packet, v);
    return { v, side, bytes: write(packet, v) };
  }
};
const valid = (c) => make(c);

// One mistake that mqtt-packet writes without complaint.
const text16 = (text) => Buffer.concat([Buffer.from([0, Buffer.byteLength(text)]), Buffer.from(text)]);
const spoilers = [
  (c, p) => { const name = c.one(Object.keys(makers)); p.properties = { ...p.properties, [name]: makers[name](c) }; },
  (c, p) => { if (p.will?.properties) { const name = c.one(Object.keys(makers)); p.will.properties[name] = makers[name](c); } },
  (c, p) => { p.properties = { ...p.properties, reasonString: ['a', 'b'] }; },
  (c, p) => { p.properties = { ...p.properties, [c.one(['receiveMaximum', 'maximumPacketSize', 'topicAlias'])]: 0 }; },
  (c, p) => { p.properties = { ...p.properties, userProperties: { k: ['', 'v'] } }; },
  (c, p) => { delete p.properties?.authenticationMethod; },
  (c, p) => { if (p.cmd === 'publish') p.dup = true; },
  (c, p) => { if (p.cmd === 'publish') p.topic = c.one(['a/+', '#', 'a\0', 'b+']); },
  (c, p) => { if (p.cmd === 'publish') { p.topic = ''; delete p.properties?.topicAlias; } },
  (c, p) => { if (p.will) p.will.qos = 3; },
  (c, p) => { for (const s of p.subscriptions ?? []) { s.topic = '$share/g/t'; s.nl = true; } },
  (c, p) => { if (p.unsubscriptions) p.unsubscriptions = [c.one(['', '#/a', 'a+', '$share/g', '$share//a', '$share/+/a'])]; },
  (c, p) => { if (p.reasonCode !== undefined) p.reasonCode = c.one([0, 4, 0x10, 0x18, 0x19, 0x80, 0x84, 0x8c, 0x8e, 0x92, 0x9c]); },
  (c, p) => { if (p.cmd === 'disconnect' && p.reasonCode !== undefined) p.reasonCode = 0x8c; },
];
// A CONNECT with flags by chance and the fields that they name, which mqtt-packet would not write.
const connectByFlags = (c) => {
  const v = c.one([4, 5]), flags = c.below(256) & 0xfe, none = Buffer.from(v === 5 ? [0] : []);
  const [name, level] = c.often(0.1) ? c.one([['MQIsdp', 3], ['MQTT', 3], ['MQTT', 0x80 | v]]) : ['MQTT', v];
  const body = Buffer.concat([text16(name), Buffer.from([level, flags, 0, 10]), none, text16(c.one(['', 'a'])),
    flags & 4 ? Buffer.concat([none, text16('t'), text16('w')]) : Buffer.alloc(0),
    flags & 0x80 ? text16('u') : Buffer.alloc(0), flags & 0x40 ? text16('p') : Buffer.alloc(0)]);
  return { v, side: 'server', bytes: Buffer.concat([Buffer.from([0x10, body.length]), body]) };
};
const careless = (c) => (c.often(0.1) ? connectByFlags(c) : make(c, (packet, v) => {
  const spoil = c.one(spoilers);
  if (v === 5 || packet.cmd === 'publish') spoil(c, packet);
}));

// Changes bytes of most packets; most changes keep the length true to the body, so that they get past it.
const mutate = (c, { v, side, bytes }) => {
  if (c.often(0.2)) return { v, side, bytes };
  const headerSize = 2 + (bytes[1] & 0x80 ? 1 : 0);
  let first = bytes[0];
  let body = Buffer.from(bytes.subarray(headerSize));
  for (let changes = 1 + c.below(2); changes > 0; changes--) {
    const at = c.below(body.length + 1);
    const kind = c.below(8);
    if (kind === 0) body = body.subarray(0, at);
    else if (kind === 1) body = Buffer.concat([body.subarray(0, at), c.bytes(4), body.subarray(at)]);
    else if (kind === 2) body = Buffer.concat([body.subarray(0, at), body.subarray(at + 1)]);
    else if (kind === 3) body = Buffer.concat([body.subarray(0, at), body.subarray(Math.max(0, at - 6))]);
    else if (kind === 4 && c.often(0.3)) first = c.below(256);
    else if (body.length !== 0) {
      const i = at % body.length;
      body[i] = c.one([0, 1, 2, 3, 0x23, 0x2b, 0x80, 0xff, c.below(256), body[i] ^ (1 << c.below(8))]);
    }
  }
  if (c.often(0.1)) v = 9 - v;
  const length = [...(body.length > 127 ? [(body.length & 0x7f) | 0x80, body.length >> 7] : [body.length])];
  if (c.often(0.03)) length.splice(0, length.length, (body.length & 0x7f) | 0x80, (body.length >> 7) | 0x80, 0);
  return { v, side, bytes: Buffer.concat([Buffer.from([first, ...length]), body]) };
};

const read = ({ v, bytes }) => {
  const parser = mqtt.parser({ protocolVersion: v });
  let packet = null, failed = false;
  parser.on('packet', (p) => { packet ??= failed ? null : p; });
  parser.on('error', () => { failed = true; });
  try { parser.parse(bytes); } catch { failed = true; }
  return failed ? null : packet;
};

// A packet of mqtt-packet as mqtt-decode prints one.
const hex = (value) => (value === undefined ? undefined : Buffer.from(value ?? '').toString('hex'));
const propertyList = (object = {}) => Object.entries(object).flatMap(([name, value]) => {
  const id = constants.properties[name];
  if (name === 'userProperties') return Object.entries(value).flatMap(([k, vs]) => [vs].flat().map((one) => [id, 0, hex(k), hex(one)]));
  const isNumber = (one) => typeof one === 'number' || typeof one === 'boolean';
  return [value].flat().map((one) => (isNumber(one) ? [id, Number(one), '', ''] : [id, 0, hex(one), '']));
});
const canonical = {
  connect: (p, q = p.properties ?? {}) => ({
    version: p.protocolVersion, clean: p.clean, keepalive: p.keepalive, clientId: hex(p.clientId), username: hex(p.username),
    password: hex(p.password),
    will: p.will && { qos: p.will.qos, retain: p.will.retain, delay: p.will.properties?.willDelayInterval ?? 0, topic: hex(p.will.topic),
      payload: hex(p.will.payload), properties: propertyList(p.will.properties) },
    decoded: [q.sessionExpiryInterval ?? 0, q.receiveMaximum ?? 65535, q.maximumPacketSize ?? 0, q.topicAliasMaximum ?? 0,
      q.requestProblemInformation ?? true, q.requestResponseInformation ?? false, q.authenticationMethod !== undefined,
      hex(q.authenticationMethod ?? ''), hex(q.authenticationData ?? '')],
  }),
  connack: (p) => ({ sessionPresent: p.sessionPresent, code: p.reasonCode ?? p.returnCode }),
  publish: (p, q = p.properties ?? {}) => ({
    qos: p.qos, dup: p.dup, retain: p.retain, id: p.messageId ?? 0, topic: hex(p.topic), payload: hex(p.payload),
    decoded: [q.topicAlias ?? 0, q.payloadFormatIndicator ?? false, q.messageExpiryInterval !== undefined, q.messageExpiryInterval ?? 0],
  }),
  subscribe: (p) => ({ id: p.messageId, identifier: p.properties?.subscriptionIdentifier ?? 0,
    filters: p.subscriptions.map((s) => [s.qos, s.nl ?? false, s.rap ?? false, s.rh ?? 0, hex(s.topic)]) }),
  unsubscribe: (p) => ({ id: p.messageId, identifier: 0, filters: p.unsubscriptions.map((topic) => [0, false, false, 0, hex(topic)]) }),
  suback: (p) => ({ id: p.messageId, codes: hex(p.granted ?? []) }),
  pingreq: () => ({}),
  disconnect: (p) => ({ code: p.reasonCode ?? 0 }),
  puback: (p) => ({ id: p.messageId, code: p.reasonCode ?? 0 }),
};
Object.assign(canonical, { unsuback: canonical.suback, pingresp: canonical.pingreq, auth: canonical.disconnect });
for (const cmd of ['pubrec', 'pubrel', 'pubcomp']) canonical[cmd] = canonical.puback;

const sorted = (list) => list?.map((row) => JSON.stringify(row)).sort();
const comparable = (o) => JSON.parse(JSON.stringify({ ...o, properties: sorted(o.properties),
  will: o.will && { ...o.will, properties: sorted(o.will.properties) } }));
const ours = (o) => { const { size, ...rest } = o; return comparable(rest); };
const theirs = (p) => comparable({ type: p.cmd.toUpperCase(), ...canonical[p.cmd](p),
  ...(p.cmd.startsWith('ping') ? {} : { properties: propertyList(p.properties) }) });

const decode = (cases) => {
  const input = cases.map(({ v, side, bytes }) => `${side} ${v} ${bytes.toString('hex')}\n`).join('');
  const run = spawnSync(program, { input, encoding: 'utf8', maxBuffer: 1 << 28, timeout: 60000 * patience });
  assert.equal(run.status, 0, `mqtt-decode: ${run.error ?? run.stderr}`);
  return run.stdout.trimEnd().split('\n').map((line) => (line.startsWith('{') ? JSON.parse(line) : line));
};

// Where mqtt-packet takes what must be refused. Each row looks at what mqtt-packet read and says whether the statement is broken.
const topicWrong = (topic) => topic === '' || /[+#]/.test(topic) || topic.split('/').length > 128;
const plainFilterWrong = (filter) => filter === '' || filter.split('/').some((level, i, all) =>
  (level === '#' ? i !== all.length - 1 : level !== '+' && /[+#]/.test(level)));
const filterWrong = (filter) => {
  if (!filter.startsWith('$share/')) return plainFilterWrong(filter);
  const [, name, ...inner] = filter.split('/');
  return name === '' || /[+#]/.test(name) || inner.length === 0 || plainFilterWrong(inner.join('/'));
};
const texts = (value) => {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return [];
  return Object.entries(value).flatMap(([key, one]) => [key, ...texts(one)]);
};
const blocks = (p) => [[p.cmd, p.properties ?? {}], ['will', p.will?.properties ?? {}]];
const names = (p) => blocks(p).flatMap(([place, block]) => Object.keys(block).filter((n) => n !== 'userProperties').map((n) => [place, n]));
const filters = (p) => [...(p.subscriptions ?? []).map((s) => s.topic), ...(p.unsubscriptions ?? [])];
const numbers = (p, name) => blocks(p).flatMap(([, block]) => [block[name] ?? []].flat());
// It did not read what is there: what it writes for what it read is not the same bytes.
const unfaithful = (p, { v, bytes }) => {
  try { return !write(p, p.cmd === 'connect' ? p.protocolVersion : v).equals(bytes); } catch { return true; }
};
const otherSide = { server: 'client', client: 'server' };
const laxer = {
  TRUNCATED: ['2.1.4: fields end where the packet ends; it reads numbers as -1 and texts as null', unfaithful],
  TRAILING: ['2.1.4: nothing stands behind the last field', unfaithful],
  INTEGER: ['MQTT-1.5.5-1: as few bytes as possible', unfaithful],
  PROPERTY_TWICE: ['2.2.2.2 and 3.x.2: no property twice', (p, row) => unfaithful(p, row) ||
    blocks(p).some(([, block]) => Object.entries(block).some(([name, value]) => name !== 'userProperties' && Array.isArray(value)))],
  PROPERTY: ['2.2.2.2: identifiers that are not of the packet make it malformed',
    (p, { side }) => names(p).some(([place, name]) => !(allowed[place][side] ?? []).includes(name))],
  PROPERTY_DIRECTION: ['MQTT-3.3.4-6, MQTT-3.14.2-2: some properties go one way only',
    (p, { side }) => names(p).some(([place, name]) => !(allowed[place][side] ?? []).includes(name) &&
      (allowed[place][otherSide[side]] ?? []).includes(name))],
  PROPERTY_VALUE: ['3.1.2.11, 3.2.2.3, 3.3.2.3: ranges of numbers; it reads any byte but 0 as true', (p, row) => unfaithful(p, row) ||
    ['receiveMaximum', 'maximumPacketSize', 'subscriptionIdentifier'].some((name) => numbers(p, name).includes(0)) ||
    numbers(p, 'maximumQoS').some((qos) => qos > 1)],
  TOPIC_ALIAS: ['MQTT-3.3.2-8: an alias of 0', (p, row) => unfaithful(p, row) || numbers(p, 'topicAlias').includes(0)],
  AUTH_METHOD: ['3.1.2.11.10, 3.15.2.2.2: data and AUTH need a method', (p) => blocks(p).some(([place, block]) =>
    (place === 'auth' || block.authenticationData !== undefined) && block.authenticationMethod === undefined)],
  UTF8: ['MQTT-1.5.4-1, MQTT-1.5.4-2: strict UTF-8 without U+0000; it replaces what is not',
    (p) => texts(p).some((t) => /[\0\ufffd]/.test(t))],
  TOPIC: ['MQTT-3.3.2-2, MQTT-3.3.2-14, MQTT-4.7.3-1: names have no wildcards and are not empty',
    (p) => [p.cmd === 'publish' ? p.topic : 't', p.will?.topic ?? 't', ...numbers(p, 'responseTopic')].some(topicWrong)],
  NO_TOPIC: ['3.3.2.1: an empty topic needs an alias', (p) => p.topic === '' && !p.properties?.topicAlias],
  FILTER: ['MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1, MQTT-4.8.2-1, MQTT-4.8.2-2', (p) => filters(p).some(filterWrong)],
  PACKET_ID: ['MQTT-2.2.1-3: not 0', (p) => p.messageId === 0],
  DUP: ['MQTT-3.3.1-2: no DUP at QoS 0', (p) => p.dup && p.qos === 0],
  NO_FILTER: ['MQTT-3.8.3-2, MQTT-3.10.3-2: at least one filter', (p) => p.cmd.endsWith('subscribe') && filters(p).length === 0],
  NO_LOCAL: ['MQTT-3.8.3-4: not on a shared subscription', (p) => p.subscriptions?.some((s) => s.nl && s.topic.startsWith('$share/'))],
  CONNECT_FLAGS: ['MQTT-3.1.2-12: no will QoS 3', (p) => p.will?.qos === 3],
  CLIENT_ID: ['3.1.1, MQTT-3.1.3-8: an empty one needs clean session', (p) => p.clientId === '' && !p.clean && p.protocolVersion === 4],
  PASSWORD_ALONE: ['3.1.1, MQTT-3.1.2-22', (p) => p.password !== undefined && p.username === undefined && p.protocolVersion === 4],
  PROTOCOL: ['MQTT-3.1.2-1, MQTT-3.1.2-2: it also reads MQTT 3.1 and the level of bridges',
    (p) => p.protocolId !== 'MQTT' || p.protocolVersion === 3 || p.bridgeMode],
  TYPE: ['2.1.2: it does not know who reads', (p, { v, side }) => !receivers(p.cmd, v).includes(side)],
  CODE: ['MQTT-3.2.2-6, MQTT-3.2.2-8, MQTT-3.4.2-1, MQTT-3.14.2-1, MQTT-3.15.2-1: codes by packet and sender', (p, { v, side }) =>
    (p.sessionPresent && (p.reasonCode ?? p.returnCode) !== 0) ||
    (v === 4 ? p.returnCode > 5 : !codes[p.cmd][side].includes(p.reasonCode))],
};
// Where mqtt-packet refuses what may stand.
const stricter = [
  ['table 2-6 has 0x8C for DISCONNECT', (o) => o.type === 'DISCONNECT' && o.code === 0x8c],
  ['3.15.2.1: an AUTH without a body means success', (o) => o.type === 'AUTH' && o.size === 2],
];
// Where both take it, but mqtt-packet loses something.
const loses = [
  ['3.3.2.3.7 and others: it forgets a user property with an empty value when its name comes again', (o) =>
    [...(o.properties ?? []), ...(o.will?.properties ?? [])].some(([id, , , value]) =>
      id === constants.properties.userProperties && value === '')],
];

const show = (row) => `seed ${SEED}: ${row.side} ${row.v} ${row.bytes.toString('hex')}`;
// The name of the listed difference, null when there is none to explain, and a failure when it is not listed.
const compare = (row, our) => {
  const their = read(row);
  const taken = typeof our === 'object';
  if (!taken && their === null) return null;
  if (taken && their === null) {
    const why = stricter.find(([, holds]) => holds(our));
    assert.ok(why, `only mqtt-packet refuses ${show(row)} ${JSON.stringify(our)}`);
    return why[0];
  }
  if (taken) {
    const lost = loses.find(([, holds]) => holds(our));
    if (lost) return lost[0];
    assert.deepEqual(ours(our), theirs(their), show(row));
    return null;
  }
  const [kind, fault] = our.split(' ');
  const why = kind === 'fault' ? laxer[fault] : undefined;
  assert.ok(why && why[1](their, row), `only we refuse (${our}) ${show(row)} ${JSON.stringify(their)}`);
  return fault;
};

describe('packets beside mqtt-packet', () => {
  test('what it writes is read the same', () => {
    const c = new Choice(SEED);
    const cases = Array.from({ length: ROUNDS }, () => valid(c));
    decode(cases).forEach((our, i) => {
      assert.equal(typeof our, 'object', `${our}: ${show(cases[i])}`);
      assert.deepEqual(ours(our), theirs(read(cases[i])), show(cases[i]));
    });
  });

  test('what is changed is refused by both, read the same, or differs as listed', () => {
    const c = new Choice(SEED + 1);
    const cases = Array.from({ length: 5 * ROUNDS }, () => mutate(c, c.often() ? valid(c) : careless(c)));
    const seen = new Map();
    decode(cases).forEach((our, i) => {
      const difference = compare(cases[i], our);
      if (difference) seen.set(difference, (seen.get(difference) ?? 0) + 1);
    });
    // A row that explains nothing is not a difference. Another seed need not show each.
    const listed = [...Object.keys(laxer), ...stricter.map(([why]) => why), ...loses.map(([why]) => why)];
    if (SEED === 20191) assert.deepEqual(listed.filter((name) => !seen.has(name)), [], `seed ${SEED}`);
  });
});
