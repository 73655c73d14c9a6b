// Eclipse Paho's JavaScript library: MQTT 3.1.1 over WebSocket, made for browsers, whose WebSocket and storage it is lent.
import { createRequire } from 'node:module';
import WebSocket from 'ws';
import { patience } from '../../lib/sanitizer.mjs';
import { Inbox } from './inbox.mjs';

const require = createRequire(import.meta.url);
let ca, library;
const sockets = [];

// What a browser gives it.
class Socket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { ca });
    sockets.push(this);
  }
}
// It walks its storage with `for … in`: items are properties of their own, methods are not.
class Storage {
  get length() { return Object.keys(this).length; }
  key(index) { return Object.keys(this)[index] ?? null; }
  getItem(name) { return Object.hasOwn(this, name) ? this[name] : null; }
  setItem(name, value) { this[name] = String(value); }
  removeItem(name) { delete this[name]; }
}

function paho() {
  if (library) return library;
  globalThis.localStorage = new Storage();
  globalThis.WebSocket = Socket;
  library = require('paho-mqtt');
  return library;
}

class Client extends Inbox {
  constructor(client, options) {
    super();
    Object.assign(this, { client, options, delivered: new Map() });
    this.lost = new Promise((done) => { client.onConnectionLost = done; });
    client.onMessageArrived = (message) => this.arrived({ topic: message.destinationName,
      payload: Buffer.from(message.payloadBytes), qos: message.qos, retain: message.retained });
    client.onMessageDelivered = (message) => { this.delivered.get(message)?.(); this.delivered.delete(message); };
  }

  subscribe(filters, qos) {
    return Promise.all([filters].flat().map((filter) => new Promise((done, fail) => {
      this.client.subscribe(filter, { qos, timeout: 20 * patience, onSuccess: done, onFailure: ({ errorMessage, errorCode }) => fail(new Error(errorMessage ?? errorCode)) });
    })));
  }

  unsubscribe(filter) {
    return new Promise((done, fail) => { this.client.unsubscribe(filter, { timeout: 20 * patience, onSuccess: done, onFailure: fail }); });
  }

  publish(topic, payload, { qos = 0, retain = false } = {}) {
    const message = new (paho().Message)(typeof payload === 'string' ? payload : new Uint8Array(payload));
    Object.assign(message, { destinationName: topic, qos, retained: retain });
    return new Promise((done) => {
      this.delivered.set(message, done);
      this.client.send(message);
    });
  }

  // Twenty on the way at a time, which is what servers take of a client of MQTT 3.1.1 at least.
  async publishMany(topic, payloads, qos) {
    const window = [];
    for (const payload of payloads) {
      if (window.length === 20) await window.shift();
      window.push(this.publish(topic, payload, { qos }));
    }
    await Promise.all(window);
  }

  async drop() { this.socket.terminate(); await this.lost; }
  async end() { if (this.client.isConnected()) { this.client.disconnect(); await this.lost; } }
}

const open = (server, options) => new Promise((done, fail) => {
  const { id, stored, will, keepAlive = 60 } = options;
  const { Client: Paho, Message } = paho();
  ca = server.ca;
  const client = new Paho(server.wsUrl, id);
  const wrapped = new Client(client, options);
  let willMessage;
  if (will) {
    willMessage = new Message(will.payload);
    Object.assign(willMessage, { destinationName: will.topic, qos: will.qos ?? 0, retained: will.retain ?? false });
  }
  const { username, password } = server.identity();
  client.connect({
    timeout: 20 * patience, keepAliveInterval: keepAlive, cleanSession: !stored, mqttVersion: 4, useSSL: server.tls,
    ...(username ? { userName: username, password } : {}), ...(willMessage ? { willMessage } : {}),
    onSuccess: () => done(wrapped), onFailure: ({ errorMessage }) => fail(new Error(errorMessage)),
  });
  wrapped.socket = sockets.at(-1);
});

export default [{
  name: 'Paho JavaScript 3.1.1 over WebSocket', version: 4, can: new Set(['binary', 'unsubscribe', 'many', 'resume', 'shared', 'handsOver1', 'handsOver2', 'signOff']), open,
  resume: (server, { options }) => open(server, options),
}];
