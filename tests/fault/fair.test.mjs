// Who is slow or hostile costs himself only: while somebody reads nothing, while one message goes to ten thousand, while
// filters and topics come by the thousand, pairs of other devices lose nothing and go on, and every bound holds. Nothing is
// said about time; bench/fair measures it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { eventually, Server } from '../lib/server.mjs';
import { Peer } from '../mqtt/lib/peer.mjs';

const PAIRS = 20, CROWD = 10000, DEVICES = 40, BIG = Buffer.alloc(8192, 'x');
const SUBSCRIPTIONS_MAX = 10000, RETAINED_MAX = 100000, TOPICS = 100000, MIB = 2 ** 20;
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

let server, token;
before(async () => {
  // What the sanitizer keeps of freed memory would hide whether the server's own is bounded.
  process.env.ASAN_OPTIONS = [process.env.ASAN_OPTIONS, 'quarantine_size_mb=4', 'thread_local_quarantine_size_kb=64'].filter(Boolean).join(':');
  server = await (await Server.create({ options: ['--listen-plain', '127.0.0.1:0', '--log-level', 'error'] })).start();
  const lines = Array.from({ length: DEVICES }, (_, i) => JSON.stringify({ tenant: 'fair', registry: 'hall', id: `d-${i}`, password: `a long secret of device ${i}` }));
  const [devices, policy] = ['devices.jsonl', 'all.json'].map((name) => join(server.folder, name));
  writeFileSync(devices, `${lines.join('\n')}\n`);
  writeFileSync(policy, JSON.stringify(everything));
  await server.cli('tenant', 'create', 'fair');
  await server.cli('registry', 'create', 'fair/hall');
  await server.cli('device', 'import', devices);
  await server.cli('policy', 'put', 'fair/all', policy);
  await server.cli('policy', 'attach', 'fair/all', 'fair/hall');
  token = await server.token();
});
after(() => server?.close());

let made = 0;
async function client({ stored = false, auto = true, clientId = `c-${++made}` } = {}) {
  const peer = new Peer(net.connect({ host: '127.0.0.1', port: server.plainPort, noDelay: true }), 5), device = made++ % DEVICES;
  peer.auto = auto;
  peer.send({ type: 'connect', clientId, username: `fair/hall/d-${device}`, password: `a long secret of device ${device}`,
    keepAlive: 0, clean: true, props: { sessionExpiry: stored ? 300 : 0 } });
  const connack = await peer.expect('connack', undefined, { within: 60000 * patience });
  assert.equal(connack.reason, 0);
  return peer;
}

// `count` of something, `at` a time.
async function many(count, at, make) {
  const all = [];
  while (all.length < count) all.push(...await Promise.all(Array.from({ length: Math.min(at, count - all.length) }, (_, i) => make(all.length + i))));
  return all;
}

async function metric(name) {
  const { text } = await server.call('GET', '/metrics', { token });
  return Number(new RegExp(`^gatehouse_${name} (\\d+)$`, 'm').exec(text)[1]);
}

function resident() {
  const { pid } = server.process;
  const family = [pid, ...readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean))];
  return family.reduce((sum, each) => sum + 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))[1]), 0);
}

// Pairs of devices that speak to each other, one message at a time, for as long as `work` goes on and `least` rounds.
async function beside(work, least = 20) {
  const pairs = await many(PAIRS, PAIRS, async (i) => {
    const [from, to] = [await client(), await client()], topic = `live/${i}`;
    await to.subscribe({ filter: topic, qos: 1 });
    return { from, to, topic, rounds: 0 };
  });
  let over = false;
  const working = work().finally(() => { over = true; });
  await Promise.all([working, ...pairs.map(async (pair) => {
    for (; !over || pair.rounds < least; pair.rounds++) {
      const [message] = await Promise.all([pair.to.message(undefined, { within: 60000 * patience }), pair.from.publish(pair.topic, `${pair.rounds}`, { qos: 1 })]);
      assert.equal(message.payload.toString(), `${pair.rounds}`, 'every message, in order');
    }
  })]);
  for (const { from, to } of pairs) {
    assert.deepEqual([...from.packets, ...to.packets], [], 'and nothing else');
    from.drop();
    to.drop();
  }
}

async function flood(publisher, topic, bytes, qos) {
  for (let sent = 0; sent < bytes;) {
    const answers = [];
    for (let i = 0; i < 100; i++, sent += BIG.length) answers.push(publisher.publish(topic, BIG, { qos }));
    await Promise.all(answers);
    await publisher.ping();
  }
}

test('subscribers that read nothing cost their own queues, which have a bound', async () => {
  const slow = await many(4, 4, async (i) => {
    const peer = await client({ stored: i >= 2 });
    await peer.subscribe({ filter: 'flood', qos: i % 2 });
    peer.transport.pause();
    return peer;
  });
  const publisher = await client();
  const before = await metric('messages_dropped_total');
  await beside(async () => {
    await flood(publisher, 'flood', 16 * MIB, 1); // within every bound of the two that get it at QoS 1
    await flood(publisher, 'flood', 32 * MIB, 0); // beyond the bound of QoS 0: 8 MiB, and what the sockets take
    const dropped = await metric('messages_dropped_total');
    assert.ok(dropped > before, 'what the slow ones lose is counted');
    const held = resident();
    await flood(publisher, 'flood', 96 * MIB, 0);
    assert.ok(await metric('messages_dropped_total') > dropped + 96 * MIB / BIG.length, 'all of them lose all the rest');
    assert.ok(resident() < held + 32 * MIB, `memory grows no more: ${(resident() - held) / MIB} MiB`);
  });
  slow.forEach((peer) => peer.drop());
  publisher.drop();
});

test('one message for ten thousand reaches them all while others are served', async () => {
  const crowd = await many(CROWD, 200, async () => {
    const peer = await client();
    await peer.subscribe({ filter: 'news', qos: 1 });
    return peer;
  });
  const publisher = await client();
  await beside(async () => {
    for (const news of ['first', 'second']) {
      const got = Promise.all(crowd.map((peer) => peer.message(undefined, { within: 120000 * patience })));
      await publisher.publish('news', news, { qos: 1 });
      for (const message of await got) assert.equal(message.payload.toString(), news);
    }
  });
  for (const peer of crowd) {
    assert.deepEqual(peer.packets, [], 'once each');
    peer.drop();
  }
  publisher.drop();
});

test('thousands of filters with wildcards and 128 levels are held to their bound', async () => {
  const hostile = await client(), publisher = await client();
  // Every path of 13 levels that a topic of letters `a` takes, and then a wildcard for each level down to 128.
  const filter = (n) => [...Array.from({ length: 14 }, (_, i) => (n >> i & 1 ? '+' : 'a')), ...Array(113).fill('+'), '#'].join('/');
  const topic = Array(128).fill('a').join('/');
  let granted = 0;
  await beside(async () => {
    for (let first = 0; first < SUBSCRIPTIONS_MAX + 200; first += 200) {
      const { reasons } = await hostile.subscribe(Array.from({ length: 200 }, (_, i) => ({ filter: filter(first + i), qos: 1 })), { subscriptionId: 1 });
      granted += reasons.filter((reason) => reason < 0x80).length;
      assert.ok(reasons.every((reason) => reason === 1 || reason === 0x97));
    }
    assert.equal(granted, SUBSCRIPTIONS_MAX);
    for (let i = 0; i < 20; i++) {
      const [message, { reason }] = await Promise.all([hostile.message(), publisher.publish(topic, `${i}`, { qos: 1 })]);
      assert.deepEqual([message.payload.toString(), reason], [`${i}`, 0], 'one message, whatever number of filters match');
      assert.ok(message.props.subscriptionId.length > 1000, 'with the identifiers of all that do');
    }
  });
  hostile.drop();
  publisher.drop();
  await eventually(async () => (await metric('connections_open')) <= 2, 20000, 'they are gone');
});

test('topics without end and retained floods are held to their bounds', async () => {
  const publisher = await client(), watcher = await client();
  await watcher.subscribe({ filter: 'many/#', qos: 0 });
  watcher.transport.pause();
  await beside(async () => {
    for (let sent = 0; sent < TOPICS;) {
      for (let i = 0; i < 1000; i++, sent++) publisher.send({ type: 'publish', topic: `many/${sent}`, payload: 'x' });
      await publisher.ping();
    }
    const held = resident();
    for (let sent = 0; sent < TOPICS;) {
      for (let i = 0; i < 1000; i++, sent++) publisher.send({ type: 'publish', topic: `many/more/${sent}`, payload: 'x' });
      await publisher.ping();
    }
    assert.ok(resident() < held + 32 * MIB, `topics that were published to are not kept: ${(resident() - held) / MIB} MiB`);
    let refused = 0;
    for (let sent = 0; sent < RETAINED_MAX + 500; sent += 500) {
      const answers = await Promise.all(Array.from({ length: 500 }, (_, i) =>
        publisher.publish(`kept/${sent + i}`, 'x', { qos: 1, retain: true, id: i + 1 })));
      refused += answers.filter(({ reason }) => reason === 0x97).length;
    }
    assert.equal(refused, 500, 'beyond 100,000 of a tenant nothing more is retained');
  });
  publisher.drop();
  watcher.drop();
});
