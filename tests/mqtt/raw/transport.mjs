// MQTT over WebSocket (section 6).
import { encode } from '../lib/codec.mjs';
import { text } from '../lib/context.mjs';

export default [
  {
    name: 'over WebSocket the server answers in binary frames and names the subprotocol mqtt',
    4: ['6.0.0-1', '6.0.0-3', '6.0.0-4'], 5: ['6.0.0-1', '6.0.0-3', '6.0.0-4'],
    run: async (t) => {
      const peer = await t.openWebSocket(['mqtt']);
      t.assert.equal(peer.socket.protocol, 'mqtt');
      peer.send(t.connectPacket());
      t.assert.equal((await peer.expect('connack')).reason, 0);
      await peer.subscribe({ filter: t.topic(), qos: 1 });
      await peer.publish(t.topic(), 'over WebSocket', { qos: 1 });
      t.assert.equal(text(await peer.message()), 'over WebSocket');
      t.assert.ok(peer.kinds.every((isBinary) => isBinary));
    },
  },
  {
    name: 'over WebSocket a frame that is not binary ends the connection',
    4: ['6.0.0-1'], 5: ['6.0.0-1'],
    run: async (t) => {
      const peer = await t.openWebSocket();
      peer.send(t.connectPacket());
      await peer.expect('connack');
      peer.socket.send('text');
      await peer.closed();
    },
  },
  {
    name: 'over WebSocket frames and packets need not agree',
    4: ['6.0.0-2'], 5: ['6.0.0-2'],
    run: async (t) => {
      const peer = await t.openWebSocket();
      const all = Buffer.concat([t.connectPacket(), { type: 'subscribe', id: 1, filters: [{ filter: t.topic(), qos: 1 }] },
        { type: 'publish', topic: t.topic(), payload: 'one', qos: 1, id: 2 }, { type: 'publish', topic: t.topic(), payload: 'two', qos: 1, id: 3 },
        { type: 'pingreq' }].map((packet) => encode(packet, t.version)));
      peer.asked = { clean: true };
      for (let at = 0; at < all.length; at += 7) peer.bytes(all.subarray(at, at + 7)); // seven bytes a frame
      await peer.expect('pingresp');
      t.assert.deepEqual((await peer.messages(2)).map(text), ['one', 'two']);
      const burst = Buffer.concat(['three', 'four'].map((payload, i) => encode({ type: 'publish', topic: t.topic(), payload, qos: 1, id: 10 + i }, t.version)));
      peer.bytes(burst); // two packets in one frame
      t.assert.deepEqual((await peer.messages(2)).map(text), ['three', 'four']);
    },
  },
];
