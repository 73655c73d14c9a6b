// Shared subscriptions (5.0: section 4.8.2).
import { text } from '../lib/context.mjs';

const share = (t, name = 'g', rest) => `$share/${name}/${t.topic(rest)}`;
const numbers = (count) => Array.from({ length: count }, (_, i) => `${i}`);

// Everything the members got until a mark has come to each of them by a topic of its own.
async function collected(t, members, helper) {
  return Promise.all(members.map(async (member, i) => {
    await member.subscribe({ filter: t.topic(`mark-${i}`), qos: 2 });
    return t.before(member, helper, t.topic(`mark-${i}`), { qos: 2 });
  }));
}

export default [
  {
    name: 'each message of a shared subscription goes to one member',
    5: ['4.8.2-1', '4.8.2-2'],
    run: async (t) => {
      const members = [await t.client(), await t.client(), await t.client()], helper = await t.client();
      for (const member of members) t.assert.ok((await member.subscribe({ filter: share(t, 'group', 's/#'), qos: 2 })).reasons[0] <= 2);
      for (const number of numbers(30)) await helper.publish(t.topic('s/x'), number, { qos: 1 + number % 2 });
      const got = await collected(t, members, helper);
      t.assert.deepEqual(got.flat().map(text).sort((a, b) => a - b), numbers(30));
    },
  },
  {
    name: 'groups and plain subscriptions each get their own copy',
    5: ['4.8.2-1', '4.5.0-1'],
    run: async (t) => {
      const peers = [await t.client(), await t.client(), await t.client()], helper = await t.client();
      await peers[0].subscribe({ filter: share(t, 'a'), qos: 1 });
      await peers[1].subscribe({ filter: share(t, 'b'), qos: 1 });
      await peers[2].subscribe({ filter: t.topic(), qos: 1 });
      for (const number of numbers(5)) await helper.publish(t.topic(), number, { qos: 1 });
      for (const peer of peers) t.assert.deepEqual((await peer.messages(5)).map(text), numbers(5));
    },
  },
  {
    name: 'a client that shares and subscribes plainly gets both',
    5: ['4.8.2-1'],
    run: async (t) => {
      const peer = await t.client();
      await peer.subscribe([{ filter: share(t), qos: 1 }, { filter: t.topic(), qos: 1 }]);
      await peer.publish(t.topic(), 'x', { qos: 1 });
      t.assert.equal((await peer.messages(2)).length, 2);
    },
  },
  {
    name: 'a member gets the QoS it was granted',
    5: ['4.8.2-3'],
    run: async (t) => {
      const helper = await t.client();
      for (const qos of [0, 1, 2]) {
        const member = await t.client();
        const { reasons: [granted] } = await member.subscribe({ filter: share(t, `g${qos}`, `q${qos}`), qos });
        await helper.publish(t.topic(`q${qos}`), 'x', { qos: 2 });
        t.assert.equal((await member.message()).qos, granted);
      }
    },
  },
  {
    name: 'retained messages are not sent to a new shared subscription',
    5: ['4.8.2-1'],
    run: async (t) => {
      const helper = await t.client(), member = await t.client();
      await helper.publish(t.topic(), 'kept', { qos: 1, retain: true });
      await member.subscribe({ filter: share(t), qos: 1 });
      t.assert.deepEqual(await t.before(member, helper, t.topic(), { qos: 1 }), []);
    },
  },
  {
    name: 'a member that leaves leaves its share to the others',
    5: ['4.8.2-1', '3.10.4-1', '3.10.4-2'],
    run: async (t) => {
      const clientId = t.clientId('leaving');
      const members = [await t.client(), await t.client({ clientId }), await t.client()], helper = await t.client();
      for (const member of members) await member.subscribe({ filter: share(t), qos: 1 });
      t.assert.deepEqual((await members[0].unsubscribe(share(t))).reasons, [0]);
      await members[1].disconnectCleanly();
      await t.client({ clientId, clean: true }); // its CONNACK says that the old session is gone
      for (const number of numbers(10)) await helper.publish(t.topic(), number, { qos: 1 });
      t.assert.deepEqual((await members[2].messages(10)).map(text), numbers(10));
      await members[0].ping();
      t.assert.deepEqual(members[0].packets, []);
    },
  },
  {
    name: 'a QoS 1 message that a lost member did not acknowledge still reaches somebody',
    5: ['4.8.2-1', '4.5.0-1'],
    run: async (t) => {
      const helper = await t.client(), clientId = t.clientId('lost');
      const lost = await t.client({ stored: true, clientId, auto: false });
      await lost.subscribe({ filter: share(t), qos: 1 });
      await helper.publish(t.topic(), 'precious', { qos: 1 });
      await lost.message();
      const other = await t.client();
      await other.subscribe({ filter: share(t), qos: 1 });
      lost.drop();
      const back = await t.client({ stored: true, clientId });
      // Either the session of the lost member gets it again, or another member.
      t.assert.equal(text(await Promise.any([other.message(), back.message()])), 'precious');
    },
  },
  {
    name: 'a QoS 2 message that has begun at a member is finished there and nowhere else',
    5: ['4.8.2-4', '4.8.2-5'],
    run: async (t) => {
      const helper = await t.client(), clientId = t.clientId('lost'), stays = t.clientId('stays');
      for (const [id, comesBack] of [[clientId, true], [stays, false]]) {
        const group = share(t, comesBack ? 'g1' : 'g2', id);
        const lost = await t.client({ stored: true, clientId: id, auto: false });
        await lost.subscribe({ filter: group, qos: 2 });
        await helper.publish(t.topic(id), 'only here', { qos: 2 });
        const message = await lost.message();
        const other = await t.client();
        await other.subscribe({ filter: group, qos: 2 });
        lost.drop();
        if (comesBack) {
          const back = await t.client({ stored: true, clientId: id });
          const again = await back.message();
          t.assert.deepEqual([again.id, again.dup, text(again)], [message.id, true, 'only here']);
          await back.expect('pubrel', (packet) => packet.id === message.id);
          await back.unsubscribe(group); // the mark is not for it
        } else await (await t.client({ clientId: id, clean: true })).disconnectCleanly();
        t.assert.deepEqual(await t.before(other, helper, t.topic(id), { qos: 2 }), []);
      }
    },
  },
  {
    name: 'a member that refuses a message ends it for the group',
    5: ['4.8.2-6'],
    run: async (t) => {
      const helper = await t.client();
      for (const qos of [1, 2]) {
        const refusing = await t.client({ auto: false }), topic = t.topic(`q${qos}`);
        await refusing.subscribe({ filter: share(t, `g${qos}`, `q${qos}`), qos });
        await helper.publish(topic, 'unwanted', { qos });
        const message = await refusing.message();
        const other = await t.client();
        await other.subscribe({ filter: share(t, `g${qos}`, `q${qos}`), qos });
        refusing.acknowledge(message, { reason: 0x83 });
        await refusing.unsubscribe(share(t, `g${qos}`, `q${qos}`)); // the mark is not for it
        t.assert.deepEqual(await t.before(other, helper, topic, { qos }), []);
      }
    },
  },
  {
    name: 'a shared subscription carries its identifier',
    5: ['3.3.4-3'],
    run: async (t) => {
      const member = await t.client();
      await member.subscribe({ filter: share(t), qos: 1 }, { subscriptionId: 77 });
      await member.publish(t.topic(), 'x', { qos: 1 });
      t.assert.deepEqual((await member.message()).props.subscriptionId, [77]);
    },
  },
];
