// A small client that is right: MQTT 5 by npm's mqtt-packet, a session that is kept, and its own half of QoS 1 and 2 in
// memory that outlives every connection, as a device's flash would. It reconnects until it is stopped, sends again what is
// open, and hands each QoS 2 message over once. What it sees goes to the callbacks; it judges nothing.
import mqtt from 'mqtt-packet';

const options = { protocolVersion: 5 };
const window = 8; // messages on the way at a time
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

export class SessionClient {
  // `subscriptions`: filters, all with QoS 2. onMessage({ topic, payload, qos, dup, retain }), onWrong(text).
  constructor(connect, { id, identity, subscriptions = [], onMessage = () => {}, onWrong = () => {} }) {
    Object.assign(this, { connect, id, identity, subscriptions, onMessage, onWrong });
    this.out = []; // { id, topic, payload, qos, retain, sent, released, done }
    this.taken = new Set(); // identifiers of QoS 2 messages handed over and not released yet
    this.nextId = 1;
    this.known = false; // the server has confirmed a session
    this.subscribed = subscriptions.length === 0;
    this.ready = new Promise((done) => { this.isReady = done; });
  }

  start() {
    this.running = this.loop();
    return this.ready;
  }

  async stop() {
    this.stopping = true;
    this.socket?.destroy();
    await this.running;
  }

  // Cuts the connection without a word.
  cut() { this.socket?.destroy(); }

  async loop() {
    while (!this.stopping) {
      await this.connection();
      if (!this.stopping) await pause(10);
    }
  }

  connection() {
    this.socket = this.connect();
    this.open = false;
    const parser = mqtt.parser(options);
    parser.on('packet', (packet) => this.take(packet));
    parser.on('error', (error) => { this.onWrong(`${this.id}: bytes that are no MQTT: ${error.message}`); this.cut(); });
    this.socket.on('data', (chunk) => parser.parse(chunk));
    this.socket.on('error', () => {});
    const hello = () => this.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: this.id, clean: false, keepalive: 30,
      ...this.identity, properties: { sessionExpiryInterval: 3600, receiveMaximum: 20 } });
    this.socket.once(this.socket.encrypted ? 'secureConnect' : 'connect', hello);
    return new Promise((done) => { this.socket.once('close', () => { this.open = false; done(); }); });
  }

  send(packet) { if (!this.socket.destroyed) this.socket.write(mqtt.generate(packet, options)); }

  take(packet) {
    const handlers = {
      connack: () => this.connected(packet),
      suback: () => this.granted(packet),
      publish: () => this.received(packet),
      pubrel: () => { this.taken.delete(packet.messageId); this.send({ cmd: 'pubcomp', messageId: packet.messageId }); },
      puback: () => this.finished(packet, 1),
      pubrec: () => this.released(packet),
      pubcomp: () => this.finished(packet, 2),
      disconnect: () => this.cut(),
    };
    handlers[packet.cmd]?.();
  }

  connected({ reasonCode, sessionPresent }) {
    if (reasonCode !== 0) {
      this.refusals = (this.refusals ?? 0) + 1;
      if (this.refusals > 200) this.onWrong(`${this.id}: refused again and again, last with 0x${reasonCode.toString(16)}`);
      return this.cut();
    }
    if (this.known && !sessionPresent) this.onWrong(`${this.id}: its session is lost`);
    if (!sessionPresent) {
      this.taken.clear();
      this.subscribed = this.subscriptions.length === 0;
      for (const message of this.out) Object.assign(message, { sent: false, released: false });
    }
    this.known = this.open = true;
    for (const message of this.out.filter(({ sent }) => sent)) this.resend(message);
    if (!this.subscribed) {
      this.send({ cmd: 'subscribe', messageId: 0xffff, subscriptions: this.subscriptions.map((topic) => ({ topic, qos: 2 })) });
    } else this.isReady();
    return this.fill();
  }

  granted({ granted }) {
    if (granted.some((code) => code !== 2)) this.onWrong(`${this.id}: SUBACK ${granted}`);
    this.subscribed = true;
    this.isReady();
  }

  received({ topic, payload, qos, messageId, dup, retain }) {
    const known = qos === 2 && this.taken.has(messageId);
    if (qos === 2) this.taken.add(messageId);
    if (!known) this.onMessage({ topic, payload: payload.toString(), qos, dup, retain });
    if (qos > 0) this.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId });
  }

  // Resolves when the server has taken it for good.
  publish(topic, payload, { qos, retain = false }) {
    return new Promise((done) => {
      this.out.push({ topic, payload, qos, retain, done });
      this.fill();
    });
  }

  fill() {
    if (!this.open) return;
    for (const message of this.out.slice(0, window)) {
      if (message.sent) continue;
      message.id ??= this.freeId();
      message.sent = true;
      this.sendPublish(message, false);
    }
  }

  freeId() {
    while (this.out.some(({ id }) => id === this.nextId)) this.nextId = this.nextId % 60000 + 1;
    const id = this.nextId;
    this.nextId = this.nextId % 60000 + 1;
    return id;
  }

  sendPublish({ id, topic, payload, qos, retain }, dup) {
    this.send({ cmd: 'publish', messageId: id, topic, payload, qos, retain, dup });
  }

  resend(message) {
    if (message.released) this.send({ cmd: 'pubrel', messageId: message.id });
    else this.sendPublish(message, true);
  }

  released({ messageId, reasonCode = 0 }) {
    const message = this.out.find(({ id, qos }) => id === messageId && qos === 2);
    if (message && reasonCode >= 0x80) return this.refused(message, reasonCode);
    if (message) message.released = true;
    return this.send({ cmd: 'pubrel', messageId });
  }

  finished({ messageId, reasonCode = 0 }, qos) {
    const at = this.out.findIndex((message) => message.id === messageId && message.qos === qos);
    if (at < 0) return;
    if (qos === 1 && reasonCode >= 0x80) return this.refused(this.out[at], reasonCode);
    const [message] = this.out.splice(at, 1);
    message.done();
    return this.fill();
  }

  refused(message, reasonCode) {
    this.onWrong(`${this.id}: "${message.payload}" is refused with 0x${reasonCode.toString(16)}`);
    this.out.splice(this.out.indexOf(message), 1);
    this.fill();
  }
}
