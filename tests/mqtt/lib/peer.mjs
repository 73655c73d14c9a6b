// A client that a test drives packet by packet. It holds every packet of the server against what must be true of any
// server at any time (the decoder's rules, one CONNACK and first, quotas, aliases, sizes, nothing after DISCONNECT), so
// that each test proves those too. Waiting is for events and bounded.
import assert from 'node:assert/strict';
import { patience } from '../../lib/sanitizer.mjs';
import { decode, encode, WireError } from './codec.mjs';

export const limitMs = Number(process.env.MQTT_LIMIT_MS ?? 10000 * patience);
const hex = (value) => `0x${value.toString(16).padStart(2, '0')}`;

export class Peer {
  // `transport` is a duplex stream: a socket, or a WebSocket made into one.
  constructor(transport, version) {
    this.version = version;
    this.transport = transport;
    this.buffer = Buffer.alloc(0);
    this.packets = []; // came, not taken yet
    this.waiting = []; // { accepts, done, fail }
    this.auto = true; // acknowledge what comes
    this.nextId = 1;
    this.inflight = new Map(); // identifiers of the server's QoS 1 and 2 messages that are not done -> QoS
    this.aliases = new Map();
    this.ended = new Promise((done) => { this.end = done; });
    transport.on('data', (chunk) => this.take(chunk));
    transport.on('error', () => {});
    for (const event of ['end', 'close']) transport.once(event, () => { this.over(); });
  }

  over() {
    this.isClosed = true;
    this.transport.destroy();
    this.end();
    for (const { fail, what } of this.waiting.splice(0)) fail(new Error(`the server closed; expected ${what}${this.disconnect ? `, DISCONNECT ${hex(this.disconnect.reason)}` : ''}`));
  }

  broken(error) {
    this.failure ??= error;
    for (const { fail } of this.waiting.splice(0)) fail(this.failure);
    this.transport.destroy();
  }

  take(chunk) {
    if (this.failure) return;
    this.buffer = Buffer.concat([this.buffer, chunk]);
    try {
      for (;;) {
        const got = decode(this.buffer, this.version);
        if (!got) return;
        this.buffer = this.buffer.subarray(got.size);
        this.check(got.packet);
        this.arrived(got.packet);
      }
    } catch (error) {
      this.broken(error);
    }
  }

  must(condition, text) { if (!condition) throw new WireError(text); }

  // What holds for every packet on every connection.
  check(packet) {
    const { asked = {} } = this;
    if (packet.type === 'connack') {
      this.must(!this.connack, 'a second CONNACK');
      this.must(packet.reason !== 0 || !asked.clean || !packet.sessionPresent, 'session present after a clean start');
      this.connack = packet;
    } else this.must(this.connack?.reason === 0 || packet.type === 'auth', `${packet.type} before CONNACK`);
    this.must(!this.disconnect, `${packet.type} after DISCONNECT`);
    if (packet.type === 'disconnect') this.disconnect = packet;
    if (packet.type === 'publish') this.checkPublish(packet, asked);
    if (this.version === 4) return;
    const props = asked.props ?? {};
    this.must(!props.maximumPacketSize || packet.size <= props.maximumPacketSize, `${packet.type} of ${packet.size} bytes`);
    if (['connack', 'auth'].includes(packet.type) && props.authMethod === undefined) {
      this.must(packet.type !== 'auth' && packet.props.authMethod === undefined, `${packet.type}: nobody asked for AUTH`);
    }
    if (props.requestProblemInfo === 0 && !['publish', 'connack', 'disconnect'].includes(packet.type)) {
      this.must(!packet.props?.reasonString && !packet.props?.user, `${packet.type} explains itself though not asked`);
    }
    if (packet.type === 'connack' && props.requestResponseInfo !== 1) {
      this.must(packet.props.responseInfo === undefined, 'connack: response information that nobody asked for');
    }
  }

  checkPublish(packet, asked) {
    const { topicAlias } = packet.props;
    if (topicAlias !== undefined) {
      this.must(topicAlias <= (asked.props?.topicAliasMaximum ?? 0), `topic alias ${topicAlias}`);
      if (packet.topic !== '') this.aliases.set(topicAlias, packet.topic);
      this.must(this.aliases.has(topicAlias), `topic alias ${topicAlias} has no topic on this connection`);
      packet.wireTopic = packet.topic;
      packet.topic = this.aliases.get(topicAlias);
    }
    if (packet.qos === 0) return;
    this.must(!this.inflight.has(packet.id) || (packet.dup && this.version === 4), `packet identifier ${packet.id} is in use`);
    this.inflight.set(packet.id, packet.qos);
    const quota = asked.props?.receiveMaximum ?? 65535;
    this.must(this.inflight.size <= quota, `${this.inflight.size} messages in flight, ${quota} allowed`);
  }

  arrived(packet) {
    if (this.auto && packet.type === 'publish' && packet.qos > 0) this.acknowledge(packet);
    if (this.auto && packet.type === 'pubrel') this.send({ type: 'pubcomp', id: packet.id });
    const at = this.waiting.findIndex(({ accepts }) => accepts(packet));
    if (at < 0) this.packets.push(packet);
    else this.waiting.splice(at, 1)[0].done(packet);
  }

  acknowledge(packet, more = {}) {
    this.send({ type: packet.qos === 1 ? 'puback' : 'pubrec', id: packet.id, ...more });
  }

  bytes(...parts) { if (!this.isClosed) this.transport.write(Buffer.concat(parts.map((part) => Buffer.from(part)))); }

  send(...packets) {
    for (const packet of packets) {
      if (packet.type === 'puback' || packet.type === 'pubcomp') this.inflight.delete(packet.id);
      if (packet.type === 'pubrec' && packet.reason >= 0x80) this.inflight.delete(packet.id);
      if (packet.type === 'connect') this.asked = { clean: true, ...packet };
    }
    this.bytes(...packets.map((packet) => encode(packet, this.version)));
  }

  // The first packet of a type (and, when given, for which `when` holds), now or within the limit. With `next`, a
  // packet of another type is a failure.
  expect(type, when = () => true, { within = limitMs } = {}) {
    const accepts = (packet) => packet.type === type && when(packet);
    const at = this.packets.findIndex(accepts);
    if (at >= 0) return Promise.resolve(this.packets.splice(at, 1)[0]);
    if (this.failure) return Promise.reject(this.failure);
    const last = () => this.disconnect ? ` after DISCONNECT ${hex(this.disconnect.reason)}` : '';
    if (this.isClosed) return Promise.reject(new Error(`the server closed${last()}; expected ${type}`));
    return new Promise((done, fail) => {
      const entry = { accepts, what: type, fail: (error) => { clearTimeout(timer); fail(error); },
        done: (packet) => { clearTimeout(timer); done(packet); } };
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        fail(new Error(`no ${type} within ${within} ms; unread: ${this.packets.map((packet) => packet.type).join(' ')}`));
      }, within);
      this.waiting.push(entry);
    });
  }

  message(when, options) { return this.expect('publish', when, options); }

  async messages(count) {
    const got = [];
    while (got.length < count) got.push(await this.message());
    return got;
  }

  // The server ended the connection. With `reasons`: in MQTT 5 a DISCONNECT may say why, and then with one of them;
  // with `demanded` it has to.
  async closed({ reasons, demanded = false, within = limitMs } = {}) {
    let timer;
    const late = new Promise((_, fail) => {
      timer = setTimeout(() => fail(new Error(`the server did not close within ${within} ms; unread: ${
        this.packets.map((packet) => packet.type).join(' ')}`)), within);
    });
    await Promise.race([this.ended, late]).finally(() => clearTimeout(timer));
    if (this.failure) throw this.failure;
    if (demanded) assert.ok(this.disconnect, 'a DISCONNECT says why');
    if (this.disconnect && reasons) {
      assert.ok(reasons.includes(this.disconnect.reason),
        `DISCONNECT says ${hex(this.disconnect.reason)}, expected ${reasons.map(hex).join(' or ')}`);
    }
    return this.disconnect;
  }

  async ping() {
    this.send({ type: 'pingreq' });
    await this.expect('pingresp');
  }

  // 1 to 65535, and again.
  id() {
    const id = this.nextId;
    this.nextId = id % 65535 + 1;
    return id;
  }

  async subscribe(filters, props) {
    const list = [filters].flat().map((one) => typeof one === 'string' ? { filter: one } : one);
    const id = this.id();
    this.send({ type: 'subscribe', id, filters: list, props });
    const answer = await this.expect('suback');
    assert.equal(answer.id, id, 'SUBACK has the identifier of its SUBSCRIBE');
    assert.equal(answer.reasons.length, list.length, 'SUBACK has one code per filter');
    return answer;
  }

  async unsubscribe(filters, props) {
    const list = [filters].flat(), id = this.id();
    this.send({ type: 'unsubscribe', id, filters: list, props });
    const answer = await this.expect('unsuback');
    assert.equal(answer.id, id, 'UNSUBACK has the identifier of its UNSUBSCRIBE');
    if (this.version === 5) assert.equal(answer.reasons.length, list.length, 'UNSUBACK has one code per filter');
    return answer;
  }

  // Publishes and goes through the whole exchange; resolves with the acknowledgement (undefined for QoS 0).
  async publish(topic, payload = '', more = {}) {
    const packet = { type: 'publish', topic, payload, ...more };
    if (!packet.qos) return this.send(packet);
    packet.id ??= this.id();
    this.send(packet);
    return this.finish(packet);
  }

  async finish({ id, qos }) {
    const answer = await this.expect(qos === 1 ? 'puback' : 'pubrec', (ack) => ack.id === id);
    if (qos === 1 || answer.reason >= 0x80) return answer;
    this.send({ type: 'pubrel', id });
    return this.expect('pubcomp', (ack) => ack.id === id);
  }

  async disconnectCleanly(more = {}) {
    this.send({ type: 'disconnect', ...more });
    this.transport.end();
    await this.closed();
  }

  // Cuts the connection as a lost network does.
  drop() {
    this.transport.destroy();
    this.isClosed = true;
    this.end();
  }
}
