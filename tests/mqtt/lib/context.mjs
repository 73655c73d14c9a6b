// What a row of the raw suite is given: peers, names of its own, and the few waits that the standard itself times.
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { Peer } from './peer.mjs';

let runs = 0;

export class Context {
  constructor(server, version) {
    Object.assign(this, { server, version, v5: version === 5 });
    this.prefix = `r${++runs}-${process.pid}`;
    this.peers = [];
    this.assert = assert;
  }

  topic(rest = 't') { return `${this.prefix}/${rest}`; }
  // Within the 1 to 23 letters and digits that every server takes.
  clientId(rest = 'c') { return `${rest}${this.prefix}`.replace(/[^0-9a-zA-Z]/g, '').slice(0, 23); }

  // A connection that has said nothing yet.
  open(version = this.version) {
    const peer = new Peer(this.server.socket(), version);
    this.peers.push(peer);
    return peer;
  }

  // The same over WebSocket; `protocols` as offered. `socket` is the WebSocket itself.
  async openWebSocket(protocols = ['mqtt'], version = this.version) {
    const { default: WebSocket } = await import('ws');
    const socket = new WebSocket(this.server.wsUrl, protocols, { ca: this.server.ca });
    await new Promise((done, fail) => { socket.once('open', done); socket.once('error', fail); });
    const stream = new Duplex({
      read() {},
      write(chunk, _encoding, done) { socket.send(chunk, done); },
      final(done) { socket.close(); done(); },
      destroy(error, done) { socket.terminate(); done(error); },
    });
    const kinds = [];
    socket.on('message', (data, isBinary) => { kinds.push(isBinary); stream.push(data); });
    socket.on('close', () => stream.push(null));
    socket.on('error', () => stream.push(null));
    const peer = new Peer(stream, version);
    this.peers.push(peer);
    return Object.assign(peer, { socket, kinds });
  }

  connectPacket(more = {}) {
    const { identity = 0, ...rest } = more;
    return { type: 'connect', clientId: this.clientId(`c${this.peers.length}`), ...this.server.identity(identity), ...rest };
  }

  // Sends CONNECT on a new connection; resolves when CONNACK is there, whatever it says.
  async attempt(more = {}, version = this.version) {
    const peer = this.open(version);
    peer.send(this.connectPacket(more));
    await peer.expect('connack');
    return peer;
  }

  // A connected client. `stored` asks for a session that outlives the connection, in either version's way; `auto: false`
  // leaves acknowledging to the test.
  async client({ stored, auto = true, version = this.version, ...more } = {}) {
    const packet = { ...more };
    if (stored && version === 5) packet.props = { sessionExpiry: 300, ...more.props };
    if (stored) packet.clean ??= false;
    const peer = this.open(version);
    peer.auto = auto;
    peer.send(this.connectPacket(packet));
    const connack = await peer.expect('connack');
    assert.equal(connack.reason, 0, `CONNECT is accepted, not refused with 0x${connack.reason.toString(16)}`);
    return peer;
  }

  // Publishes a mark and gives what `peer` was sent before it came: the way to see that something did not come. The mark
  // goes the way of the messages in question (same topic and QoS), so that order makes it the last.
  async before(peer, publisher, topic, more = {}) {
    const mark = `mark ${++runs}`;
    const got = [];
    const marked = (async () => {
      for (;;) {
        const packet = await peer.message();
        if (packet.payload.toString() === mark) return;
        got.push(packet);
      }
    })();
    await Promise.all([marked, publisher.publish(topic, mark, more)]);
    return got;
  }

  // Lets time pass that the standard counts in whole seconds (expiry, delays): there is nothing to wait for but time.
  pass(seconds) { return new Promise((done) => { setTimeout(done, seconds * 1000); }); }

  // The server refuses: closes, in MQTT 5 perhaps with DISCONNECT and one of these reasons.
  refused(peer, reasons = [0x80, 0x81, 0x82]) { return peer.closed({ reasons }); }

  close() { for (const peer of this.peers) peer.drop(); }
}

export const text = (packet) => packet.payload.toString();
