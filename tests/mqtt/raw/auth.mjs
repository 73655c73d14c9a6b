// Enhanced authentication and authentication again (5.0: section 3.15, 4.12). What needs a method runs where the server has
// one; every server has to refuse one that it does not know.
import { encode } from '../lib/codec.mjs';

export default [
  {
    name: 'an authentication method that the server does not know is refused, and closed',
    5: ['4.12.0-1', '4.12.0-4', '4.13.2-1', '3.2.2-7'],
    run: async (t) => {
      const peer = t.open();
      peer.send(t.connectPacket({ props: { authMethod: 'no such method', authData: Buffer.from([1, 2]) } }));
      await peer.closed();
      if (peer.connack) t.assert.ok([0x8c, 0x87].includes(peer.connack.reason));
    },
  },
  {
    name: 'a client without a method gets no AUTH and no method in CONNACK',
    5: ['4.12.0-6'],
    run: async (t) => {
      const peer = await t.client(); // the peer refuses both
      await peer.subscribe(t.topic());
      await peer.ping();
    },
  },
  {
    name: 'AUTH before CONNECT is no beginning',
    5: ['3.1.0-1'],
    run: async (t) => {
      const peer = t.open();
      peer.bytes(encode({ type: 'auth', reason: 0x18, props: { authMethod: 'x' } }, 5));
      await peer.closed();
      t.assert.deepEqual(peer.packets, []);
    },
  },
  {
    name: 'a method that the server knows is repeated in CONNACK and AUTH, and a renewal succeeds',
    5: ['4.12.0-2', '4.12.0-5', '4.12.1-1', '3.15.2-1'],
    run: async (t) => {
      const { method, identity, data } = t.server.authentication;
      const peer = await t.client({ ...identity(), props: { authMethod: method, authData: data() } });
      t.assert.equal(peer.connack.props.authMethod, method);
      peer.send({ type: 'auth', reason: 0x19, props: { authMethod: method, authData: data() } });
      const answer = await peer.expect('auth');
      t.assert.deepEqual([answer.reason, answer.props.authMethod], [0, method]);
      await peer.ping();
    },
  },
  {
    name: 'a renewal that fails ends the connection',
    5: ['4.12.1-2', '4.12.0-4'],
    run: async (t) => {
      const { method, identity, data } = t.server.authentication;
      const peer = await t.client({ ...identity(), props: { authMethod: method, authData: data() } });
      peer.send({ type: 'auth', reason: 0x19, props: { authMethod: method, authData: 'nonsense' } });
      await peer.closed({ reasons: [0x87] });
    },
  },
  {
    name: 'a renewal with another method ends the connection',
    5: ['4.12.1-1', '4.12.0-5'],
    run: async (t) => {
      const { method, identity, data } = t.server.authentication;
      const peer = await t.client({ ...identity(), props: { authMethod: method, authData: data() } });
      peer.send({ type: 'auth', reason: 0x19, props: { authMethod: `${method} too`, authData: data() } });
      await peer.closed({ reasons: [0x82, 0x87, 0x8c] });
    },
  },
];
