// Nothing acknowledged is lost and nothing of QoS 2 comes twice, whoever dies: publishers, subscribers with stored sessions
// and the members of a shared subscription work while the server is killed (SIGKILL) and connections are cut at random moments.
// At the end the history must show (lib/history.mjs):
//   1. every message whose PUBACK or PUBCOMP came reached every stored session; every such job a member of the group;
//   2. a QoS 2 message came once to each subscriber, a QoS 2 job once to the whole group;
//   3. first copies come in the publisher's order;
//   4. what is retained was never older than the last acknowledged message nor newer than the last sent;
//   5. no stored session was lost, and nothing came that was not sent.
// MQTT_KILLS (default 20) and MQTT_SEED choose the run; a failure prints the seed. Mosquitto does not promise to survive SIGKILL
// (it is ended in order there, and forgets shared subscriptions even so; MQTT_CRASH=SIGKILL shows that the checker sees the loss), and MQTT_MUTATION=swallow puts a
// forger in front of the server, who acknowledges a message and drops it: both have to turn the test red.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import mqtt from 'mqtt-packet';
import { patience } from '../lib/sanitizer.mjs';
import { check, History } from './lib/history.mjs';
import { SessionClient } from './lib/session-client.mjs';
import { startServer } from './servers.mjs';

const kills = Number(process.env.MQTT_KILLS ?? 20);
const seed = Number(process.env.MQTT_SEED ?? Math.floor(Math.random() * 2 ** 31) + 1);
const publishersCount = 4, subscribersCount = 2, workersCount = 3;
let state = seed;
const random = () => { // xorshift: the same moments for the same seed
  state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
};
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const within = (promise, ms, what) => {
  let timer;
  const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`not within ${ms * patience} ms: ${what}`)), ms * patience); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
const root = `history-${seed}`;

// Answers every fiftieth QoS 1 message of a client itself and does not pass it on.
function forge(socket) {
  let count = 0;
  const write = socket.write.bind(socket);
  socket.write = (bytes, ...rest) => {
    if ((bytes[0] & 0xf6) === 0x32 && ++count % 50 === 0) {
      const parser = mqtt.parser({ protocolVersion: 5 });
      parser.once('packet', ({ messageId }) => socket.emit('data', mqtt.generate({ cmd: 'puback', messageId }, { protocolVersion: 5 })));
      parser.parse(bytes);
      return true;
    }
    return write(bytes, ...rest);
  };
  return socket;
}

class World {
  history = new History();
  clients = [];
  numbers = new Map(); // lane -> next number
  last = new Map(); // publisher -> { sent, acknowledged } of its retained message

  constructor(server, { jobs }) { Object.assign(this, { server, jobs }); }

  client(id, more = {}) {
    const connect = () => {
      const socket = this.server.socket();
      return process.env.MQTT_MUTATION === 'swallow' && id.startsWith('publisher') ? forge(socket) : socket;
    };
    const client = new SessionClient(connect, { id: `${root}-${id}`, identity: this.server.identity(this.clients.length), ...more,
      onWrong: (text) => { this.history.wrong.push(text); } });
    this.clients.push(client);
    return client;
  }

  async start() {
    const { history } = this;
    this.marks = new Map(); // receiver -> marks that came
    const receive = (who, keep) => ({ topic, payload, retain }) => {
      const rest = topic.slice(root.length + 1);
      if (rest.startsWith('mark/')) this.marks.set(who, (this.marks.get(who) ?? 0) + 1);
      else if (!retain) keep(`${rest} ${payload}`);
    };
    for (let i = 0; i < subscribersCount; i++) {
      const who = `subscriber-${i}`, list = [];
      history.delivered.set(who, list);
      await this.client(who, { subscriptions: [`${root}/data/+`, `${root}/mark/all`], onMessage: receive(who, (key) => list.push(key)) }).start();
    }
    for (let i = 0; i < workersCount; i++) {
      const who = `worker-${i}`;
      await this.client(who, { subscriptions: [`$share/crew/${root}/jobs`, `${root}/mark/all`],
        onMessage: receive(who, (key) => history.jobs.push(key)) }).start();
    }
    this.publishers = [];
    for (let i = 0; i < publishersCount; i++) {
      this.publishers.push(this.client(`publisher-${i}`));
      await this.publishers[i].start();
    }
  }

  // One message of a publisher to data, jobs or state.
  async publish(publisher, topic, qos, retain = false) {
    const lane = `${topic} ${publisher} ${qos}`, number = this.numbers.get(lane) ?? 0;
    this.numbers.set(lane, number + 1);
    const key = this.history.send(topic, publisher, qos, number);
    const now = this.last.get(publisher) ?? { sent: -1, acknowledged: -1 };
    if (retain) this.last.set(publisher, Object.assign(now, { sent: number }));
    await this.publishers[publisher].publish(`${root}/${topic}`, `${publisher} ${qos} ${number}`, { qos, retain });
    this.history.acknowledged.add(key);
    if (retain) now.acknowledged = Math.max(now.acknowledged, number);
  }

  // A publisher works until it is told to stop, a few messages of each kind at a time.
  async work(publisher) {
    while (!this.stopping) {
      await Promise.all([this.publish(publisher, `data/${publisher}`, 1), this.publish(publisher, `data/${publisher}`, 2),
        this.publish(publisher, `data/${publisher}`, 1), this.publish(publisher, `data/${publisher}`, 2),
        this.publish(publisher, `state/${publisher}`, 1, true),
        ...(this.jobs ? [this.publish(publisher, 'jobs', 1), this.publish(publisher, 'jobs', 2)] : [])]);
      await pause(5);
    }
  }

  // What a dashboard that opens now is shown. What was acknowledged before must be there; what is sent meanwhile may.
  async look() {
    const before = new Map([...this.last].map(([publisher, { acknowledged }]) => [publisher, acknowledged]));
    const seen = new Map(), id = `dashboard-${this.looks = (this.looks ?? 0) + 1}`;
    let done;
    const marked = new Promise((resolve) => { done = resolve; });
    const client = this.client(id, { subscriptions: [`${root}/state/+`, `${root}/mark/${id}`], onMessage: ({ topic, payload, retain }) => {
      if (topic.includes('/mark/')) done();
      else if (retain) seen.set(Number(topic.split('/').pop()), Number(payload.split(' ')[2]));
    } });
    await within(client.start(), 20000, `${id} subscribes`);
    await within(Promise.all([client.publish(`${root}/mark/${id}`, 'mark', { qos: 1 }), marked]), 20000, `${id} sees its mark`);
    for (const [publisher, atLeast] of before) {
      this.history.retained.push({ publisher, atLeast, atMost: this.last.get(publisher).sent, got: seen.get(publisher) });
    }
    await client.stop();
    this.clients.splice(this.clients.indexOf(client), 1);
  }

  async finish() {
    this.stopping = true;
    await within(Promise.all(this.working), 30000, 'everything sent is acknowledged');
    const receivers = subscribersCount + workersCount;
    // Every publisher's mark goes the way of its messages; after all of them only jobs may still be on their way.
    await within((async () => {
      for (let round = 1; ; round++) {
        for (const publisher of this.publishers) await publisher.publish(`${root}/mark/all`, 'mark', { qos: 2 });
        while ([...this.marks.values()].filter((count) => count >= round * publishersCount).length < receivers) await pause(20);
        const there = new Set(this.history.jobs);
        if (round > 1 && [...this.history.acknowledged].every((key) => !key.startsWith('jobs ') || there.has(key))) return;
        if (round === 20) return; // the checker says what is missing
        await pause(100);
      }
    })(), 40000, `marks reach everybody: ${[...this.marks].map(String)}`);
  }

  async stop() { await Promise.all(this.clients.map((client) => client.stop())); }
}

async function run(context, { ofServer }) {
  const server = await startServer();
  const jobs = !ofServer || !server.forgetsShared;
  if (!jobs) context.diagnostic(`without shared subscriptions: ${server.name} forgets them when it restarts`);
  const world = new World(server, { jobs });
  try {
    await within(world.start(), 30000, 'all clients are there');
    world.working = world.publishers.map((_, i) => world.work(i));
    for (let i = 0; i < kills; i++) {
      await pause(50 + random() * 400);
      if (ofServer && random() < 0.6) {
        await (process.env.MQTT_CRASH ? server.stop(process.env.MQTT_CRASH) : server.crash());
        await server.start();
      } else for (const client of world.clients) if (random() < 0.5) client.cut();
      if (i % 4 === 3) await world.look();
    }
    await world.finish();
    await world.look();
    const found = check(world.history);
    assert.deepEqual(found.slice(0, 20), [], `${found.length} findings`);
    assert.ok(world.history.acknowledged.size > 10 * kills, `only ${world.history.acknowledged.size} messages were acknowledged`);
    context.diagnostic(`${world.history.acknowledged.size} acknowledged, ${kills} kills, ${world.history.retained.length} looks at what is retained`);
  } catch (error) {
    error.message += ` (MQTT_SEED=${seed}; ${check(world.history).slice(0, 10).join('; ')})`;
    throw error;
  } finally {
    await world.stop();
    await server.close();
  }
}

test(`${kills} kills of the server and of connections, seed ${seed}`, { timeout: 5 * 60 * 1000 * patience }, (context) => run(context, { ofServer: true }));
test(`${kills} cuts of connections alone, seed ${seed}`, { timeout: 5 * 60 * 1000 * patience }, (context) => run(context, { ofServer: false }));

// Who checks the checker: a history in which all is well, and each way to spoil it.
test('the checker finds each kind of wrong', () => {
  const sound = () => {
    const history = new History();
    for (const topic of ['data/0', 'jobs', 'state/0']) {
      for (const qos of [1, 2]) {
        for (let number = 0; number < 5; number++) history.acknowledged.add(history.send(topic, 0, qos, number));
      }
    }
    history.send('data/0', 0, 1, 5); // sent, not acknowledged
    const all = [...history.sent.keys()];
    history.delivered.set('subscriber', all.filter((key) => key.startsWith('data/')));
    history.delivered.get('subscriber').push('data/0 0 1 4'); // QoS 1 may come twice
    history.jobs = all.filter((key) => key.startsWith('jobs '));
    history.retained = [{ publisher: 0, atLeast: 3, atMost: 5, got: 4 }, { publisher: 1, atLeast: -1, atMost: 2 }];
    return history;
  };
  assert.deepEqual(check(sound()), []);
  const list = (history) => history.delivered.get('subscriber');
  const spoiled = {
    'an acknowledged QoS 1 message is missing': (history) => list(history).splice(2, 1),
    'an acknowledged QoS 2 message is missing': (history) => list(history).splice(list(history).indexOf('data/0 0 2 3'), 1),
    'a QoS 2 message comes twice': (history) => list(history).push('data/0 0 2 1'),
    'an older message comes first': (history) => list(history).unshift(list(history).splice(2, 1)[0]),
    'a message comes that nobody sent': (history) => list(history).push('data/0 0 1 77'),
    'a job reaches nobody': (history) => history.jobs.shift(),
    'a QoS 2 job reaches two': (history) => history.jobs.push('jobs 0 2 0'),
    'retained is older than acknowledged': (history) => { history.retained[0].got = 2; },
    'retained is newer than sent': (history) => { history.retained[0].got = 6; },
    'retained is gone': (history) => { delete history.retained[0].got; },
    'a session is lost': (history) => history.wrong.push('a session is lost'),
  };
  for (const [what, spoil] of Object.entries(spoiled)) {
    const history = sound();
    spoil(history);
    assert.notDeepEqual(check(history), [], what);
  }
});
