// The will (section 3.1.2.5 to 3.1.2.7, 3.1.3.2, 3.14).
import { patience } from '../../lib/sanitizer.mjs';
import { text } from '../lib/context.mjs';

// A watcher of the row's topic and a client with a will there.
async function withWill(t, will = {}, more = {}) {
  const watcher = await t.client();
  await watcher.subscribe({ filter: t.topic(), qos: 2, ...(t.v5 ? { retainAsPublished: true } : {}) });
  const clientId = t.clientId('dying');
  const dying = await t.client({ clientId, will: { topic: t.topic(), payload: 'gone', qos: 1, ...will }, ...more });
  return { watcher, dying, clientId, helper: await t.client() };
}
const silent = async (t, { watcher, helper }) => t.assert.deepEqual(await t.before(watcher, helper, t.topic(), { qos: 1 }), []);

export default [
  {
    name: 'the will is published when the connection breaks',
    4: ['3.1.2-8', '3.1.2-9'], 5: ['3.1.2-7', '3.1.2-8', '3.1.2-9'],
    run: async (t) => {
      for (const qos of [0, 1, 2]) {
        const { watcher, dying } = await withWill(t, { qos, payload: `gone ${qos}` });
        dying.drop();
        const got = await watcher.message();
        t.assert.deepEqual([text(got), got.qos, got.retain], [`gone ${qos}`, qos, false]);
      }
    },
  },
  {
    name: 'the will is published when the client breaks the protocol',
    4: ['3.1.2-8', '4.8.0-1'], 5: ['3.1.2-8', '4.13.1-1'],
    run: async (t) => {
      const { watcher, dying } = await withWill(t);
      dying.bytes([0x00, 0x00]);
      await dying.closed();
      t.assert.equal(text(await watcher.message()), 'gone');
    },
  },
  {
    name: 'the will is published when another connection takes over and the session ends',
    4: ['3.1.2-8'], 5: ['3.1.2-8'],
    run: async (t) => {
      const { watcher, clientId } = await withWill(t);
      await t.client({ clientId });
      t.assert.equal(text(await watcher.message()), 'gone');
    },
  },
  {
    name: 'DISCONNECT takes the will back, and it is not published',
    4: ['3.14.4-3', '3.1.2-10', '3.1.2-12'], 5: ['3.14.4-3', '3.1.2-10'],
    run: async (t) => {
      const all = await withWill(t);
      await all.dying.disconnectCleanly();
      await silent(t, all);
      // Nor does a later connection of the same client without a will publish it.
      (await t.client({ clientId: all.clientId })).drop();
      await silent(t, all);
    },
  },
  {
    name: 'a will is published once',
    4: ['3.1.2-10'], 5: ['3.1.2-10'],
    run: async (t) => {
      const all = await withWill(t, {}, { stored: true });
      all.dying.drop();
      t.assert.equal(text(await all.watcher.message()), 'gone');
      (await t.client({ clientId: all.clientId, stored: true })).drop();
      await (await t.client({ clientId: all.clientId, stored: true })).disconnectCleanly();
      await silent(t, all);
    },
  },
  {
    name: 'a will is published as retained or not, as it asks',
    4: ['3.1.2-16', '3.1.2-17'], 5: ['3.1.2-14', '3.1.2-15'],
    run: async (t) => {
      for (const retain of [false, true]) {
        const { watcher, dying } = await withWill(t, { retain });
        dying.drop();
        const seen = await watcher.message();
        t.assert.equal(text(seen), 'gone');
        if (t.v5) t.assert.equal(seen.retain, retain);
        const later = await t.client(), helper = await t.client();
        await later.subscribe({ filter: t.topic(), qos: 1 });
        const got = await t.before(later, helper, t.topic(), { qos: 1 });
        t.assert.deepEqual(got.map(text), retain ? ['gone'] : []);
      }
    },
  },
  {
    name: 'a will without a payload is a will',
    4: ['3.1.2-8'], 5: ['3.1.2-8'],
    run: async (t) => {
      const { watcher, dying } = await withWill(t, { payload: '' });
      dying.drop();
      t.assert.equal((await watcher.message()).payload.length, 0);
    },
  },
  {
    name: 'DISCONNECT 0x04 asks for the will',
    5: ['3.1.2-8'],
    run: async (t) => {
      const { watcher, dying } = await withWill(t);
      dying.send({ type: 'disconnect', reason: 0x04 });
      await dying.closed();
      t.assert.equal(text(await watcher.message()), 'gone');
    },
  },
  {
    name: 'the properties of a will are passed on in order',
    5: ['3.1.3-10', '3.3.2-17', '3.3.2-18', '3.3.2-4', '3.3.2-15', '3.3.2-16', '3.3.2-20'],
    run: async (t) => {
      const props = { payloadFormat: 1, contentType: 'text/plain', responseTopic: t.topic('r'), correlationData: Buffer.from([9]),
        user: [['b', '1'], ['a', '2'], ['b', '3']] };
      const { watcher, dying } = await withWill(t, { props: { ...props, messageExpiry: 6000 } });
      dying.drop();
      const { messageExpiry, ...rest } = (await watcher.message()).props;
      t.assert.deepEqual(rest, props);
      t.assert.ok(messageExpiry <= 6000 && messageExpiry > 5000);
    },
  },
  {
    name: 'a will waits for its delay',
    5: ['3.1.2-8'],
    run: async (t) => {
      const { watcher, dying } = await withWill(t, { props: { willDelay: 2 } }, { stored: true });
      dying.drop();
      const since = Date.now();
      t.assert.equal(text(await watcher.message()), 'gone');
      t.assert.ok(Date.now() - since >= 1000, 'not at once'); // servers count whole seconds
    },
  },
  {
    name: 'a client that is back before the delay has passed has no will published',
    5: ['3.1.3-9', '3.1.2-8'],
    run: async (t) => {
      const willDelay = 2 * patience; // within which it is back
      const all = await withWill(t, { props: { willDelay } }, { stored: true });
      all.dying.drop();
      const back = await t.client({ clientId: all.clientId, stored: true });
      t.assert.equal(back.connack.sessionPresent, true);
      await t.pass(willDelay + 1.5);
      await silent(t, all);
    },
  },
  {
    name: 'a session that ends before the delay has passed publishes its will then',
    5: ['3.1.2-8'],
    run: async (t) => {
      const { watcher, dying } = await withWill(t, { props: { willDelay: 300 } }, { props: { sessionExpiry: 1 }, clean: false });
      dying.drop();
      t.assert.equal(text(await watcher.message()), 'gone');
    },
  },
  {
    name: 'a clean start ends the session and with it the wait for a delayed will',
    5: ['3.1.2-8', '3.1.2-4'],
    run: async (t) => {
      const all = await withWill(t, { props: { willDelay: 300 } }, { stored: true });
      all.dying.drop();
      await t.client({ clientId: all.clientId, clean: true });
      // The session has ended; a server may still see the connection as the one that stops the will [MQTT-3.1.3-9].
      const got = await t.before(all.watcher, all.helper, t.topic(), { qos: 1 });
      t.assert.ok(got.every((packet) => text(packet) === 'gone') && got.length <= 1);
    },
  },
];
