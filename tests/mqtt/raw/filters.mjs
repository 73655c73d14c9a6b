// Which topics a filter takes (section 4.7): a table from the standards' text, each pair through the whole server.
import { text } from '../lib/context.mjs';

// [filter, topics it takes, topics it does not]; all below a level of the row's own.
const table = [
  ['sport/tennis/player1/#', ['sport/tennis/player1', 'sport/tennis/player1/ranking', 'sport/tennis/player1/score/wimbledon'],
    ['sport/tennis/player2', 'sport/tennis']],
  ['sport/#', ['sport', 'sport/a', 'sport//'], ['sports', 'spor']],
  ['#', ['a', 'a/b', '/', 'a//b'], []],
  ['sport/tennis/+', ['sport/tennis/player1', 'sport/tennis/player2', 'sport/tennis/'], ['sport/tennis/player1/ranking', 'sport/tennis']],
  ['sport/+', ['sport/', 'sport/x'], ['sport', 'sport/x/y']],
  ['+', ['finance', ''], ['finance/x']],
  ['+/+', ['/finance', 'a/b', '/'], ['finance', 'a/b/c']],
  ['/+', ['/finance', '/'], ['finance']],
  ['+/tennis/#', ['x/tennis', 'x/tennis/y', '/tennis'], ['tennis/y']],
  ['sport/+/player1', ['sport/tennis/player1', 'sport//player1'], ['sport/player1', 'sport/a/b/player1']],
  ['ACCOUNTS', ['ACCOUNTS'], ['Accounts', 'ACCOUNTS/', '/ACCOUNTS']],
  ['a//b', ['a//b'], ['a/b', 'a///b']],
  ['Accounts payable', ['Accounts payable'], ['Accounts  payable']],
];

export default [
  ...table.map(([filter, takes, leaves]) => ({
    name: `filter ${filter} takes what it should and no more`,
    4: ['3.3.2-3', '3.8.3-2', '4.7.1-2', '4.7.1-3', '4.7.3-4'], 5: ['3.3.2-3', '4.7.1-1', '4.7.1-2', '4.7.3-4'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      await peer.subscribe({ filter: t.topic(filter), qos: 1 });
      for (const topic of [...leaves, ...takes]) await helper.publish(t.topic(topic), topic, { qos: 1 });
      t.assert.deepEqual((await peer.messages(takes.length)).map(text), takes);
      t.assert.deepEqual(await t.before(peer, helper, t.topic(takes[0]), { qos: 1 }), []);
    },
  })),
  {
    name: 'a wildcard in front does not take topics that begin with $',
    4: ['4.7.2-1'], 5: ['4.7.2-1'],
    run: async (t) => {
      const peer = await t.client(), helper = await t.client();
      await peer.subscribe([{ filter: '#', qos: 1 }, { filter: `+/${t.prefix}/#`, qos: 1 }]);
      // Servers may keep clients from publishing there at all, so both ways out are fine.
      helper.send({ type: 'publish', topic: `$${t.prefix}/${t.prefix}/x`, payload: 'hidden', qos: 1, id: 900 });
      await Promise.race([helper.ended, helper.expect('puback').catch(() => {})]);
      const last = helper.isClosed ? await t.client() : helper;
      const got = await t.before(peer, last, t.topic('mark'), { qos: 1 });
      t.assert.ok(!got.some(({ topic }) => topic.startsWith('$')));
    },
  },
  {
    name: 'a topic of 65,535 bytes is served, or refused as a whole',
    4: ['4.7.3-3'], 5: ['4.7.3-3'],
    run: async (t) => {
      const peer = await t.client();
      const topic = t.topic('x'.repeat(65535 - t.topic('').length));
      peer.send({ type: 'subscribe', id: 1, filters: [{ filter: topic, qos: 1 }] });
      const answer = await Promise.race([peer.ended.then(() => 'closed'), peer.expect('suback').catch(() => 'closed')]);
      if (answer === 'closed' || answer.reasons[0] >= 0x80) return;
      peer.send({ type: 'publish', topic, payload: 'far', qos: 1, id: 2 });
      t.assert.equal((await peer.message()).topic, topic);
    },
  },
];
