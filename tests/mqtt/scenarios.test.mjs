// One list of scenarios, as devices and back ends live them, run by every client library against the server that MQTT_SERVER
// names. What a library cannot do shows as skipped, with the reason. MQTT_CLIENT and MQTT_SCENARIO (regular expressions) pick.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { adapters } from './clients/all.mjs';
import { chosen, startServer } from './servers.mjs';

let server, runs = 0;
const limitMs = Number(process.env.MQTT_LIMIT_MS ?? 20000 * patience);
const wantedClient = new RegExp(process.env.MQTT_CLIENT ?? ''), wanted = new RegExp(process.env.MQTT_SCENARIO ?? '');
const abilities = { v5: 'speaks MQTT 3.1.1', noLocal: 'has no such option' };
const text = ({ payload }) => payload.toString();
const numbers = (count) => Array.from({ length: count }, (_, i) => `${i}`);

before(async () => { server = await startServer(); });
after(() => server?.close());

// What a scenario is given: clients of the library under test, and one of MQTT.js to stand at the other end.
class Stage {
  constructor(adapter) {
    this.adapter = adapter;
    this.name = `s${++runs}x${process.pid}`;
    this.clients = [];
  }
  topic(rest = 't') { return `${this.name}/${rest}`; }
  async open(options = {}) { return this.keep(await this.adapter.open(server, { id: this.id(options.name), ...options })); }
  async resume(client) { return this.keep(await this.adapter.resume(server, client)); }
  // A client of MQTT.js in the other version than the library's, or in the one that is asked for.
  async other(version = this.adapter.version === 5 ? 4 : 5, options = {}) {
    const adapter = adapters.find((one) => one.name.startsWith('MQTT.js') && one.version === version);
    return this.keep(await adapter.open(server, { id: this.id(), ...options }));
  }
  id(name = 'c') { return `${name}${this.clients.length}${this.name}`; }
  keep(client) { this.clients.push(client); return client; }
  async close() { await Promise.allSettled(this.clients.map((client) => client.drop())); }

  // What `client` got until a mark came through `topic`.
  async until(client, publisher, topic, qos = 1) {
    const mark = `mark ${++runs}`, got = [];
    await publisher.publish(topic, mark, { qos });
    for (;;) {
      const message = await client.message();
      if (text(message) === mark) return got;
      got.push(message);
    }
  }
}

const scenarios = [
  ...[0, 1, 2].map((qos) => ({
    name: `telemetry of QoS ${qos} reaches the back end`,
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe(s.topic('+/telemetry'), qos);
      for (const number of numbers(5)) {
        await device.publish(s.topic('pump/telemetry'), number, { qos });
        const got = await backEnd.message();
        assert.deepEqual([got.topic, text(got), got.qos, got.retain], [s.topic('pump/telemetry'), number, qos, false]);
      }
    },
  })),
  {
    name: 'a command reaches its device and no other',
    run: async (s) => {
      const devices = await Promise.all(numbers(4).map((i) => s.open({ name: `d${i}` }))), backEnd = await s.open();
      for (const [i, device] of devices.entries()) await device.subscribe(s.topic(`${i}/commands/#`), 1);
      for (const [i] of devices.entries()) await backEnd.publish(s.topic(`${i}/commands/open`), `for ${i}`, { qos: 1 });
      for (const [i, device] of devices.entries()) {
        assert.equal(text(await device.message()), `for ${i}`);
        assert.deepEqual(await s.until(device, backEnd, s.topic(`${i}/commands/mark`)), []);
      }
    },
  },
  {
    name: 'a dashboard that opens sees the last value of every room',
    run: async (s) => {
      const sensor = await s.open();
      for (const room of numbers(5)) {
        await sensor.publish(s.topic(`room/${room}`), 'old', { qos: 1, retain: true });
        await sensor.publish(s.topic(`room/${room}`), `${room} degrees`, { qos: 1, retain: true });
      }
      await sensor.publish(s.topic('room/3'), '', { qos: 1, retain: true }); // the room is gone
      const dashboard = await s.open();
      await dashboard.subscribe(s.topic('room/+'), 1);
      const got = await dashboard.messages(4);
      assert.deepEqual(got.map(text).sort(), ['0 degrees', '1 degrees', '2 degrees', '4 degrees']);
      assert.ok(got.every(({ retain }) => retain));
      await sensor.publish(s.topic('room/0'), 'now', { qos: 1, retain: true });
      assert.deepEqual((await dashboard.messages(1)).map((message) => [text(message), message.retain]), [['now', false]]);
    },
  },
  {
    name: 'a device that loses power is reported by its will',
    run: async (s) => {
      const watcher = await s.other();
      await watcher.subscribe(s.topic('status'), 1);
      const device = await s.open({ will: { topic: s.topic('status'), payload: 'offline', qos: 1, retain: true } });
      await device.publish(s.topic('status'), 'online', { qos: 1, retain: true });
      assert.equal(text(await watcher.message()), 'online');
      await device.drop();
      assert.equal(text(await watcher.message()), 'offline');
      const later = await s.open();
      await later.subscribe(s.topic('status'), 1);
      const kept = await later.message();
      assert.deepEqual([text(kept), kept.retain], ['offline', true]);
    },
  },
  {
    name: 'a device that signs off in order is not reported',
    needs: ['signOff'],
    run: async (s) => {
      const watcher = await s.other();
      await watcher.subscribe(s.topic('status'), 1);
      const device = await s.open({ will: { topic: s.topic('status'), payload: 'offline', qos: 1 } });
      await device.end();
      assert.deepEqual(await s.until(watcher, watcher, s.topic('status')), []);
    },
  },
  ...[1, 2].map((qos) => ({
    name: `what came for a device that was away waits for it, QoS ${qos}`,
    needs: ['resume'],
    run: async (s) => {
      const backEnd = await s.other();
      const device = await s.open({ stored: true });
      await device.subscribe(s.topic('orders'), qos);
      await device.end();
      for (const number of numbers(10)) await backEnd.publish(s.topic('orders'), number, { qos });
      const back = await s.resume(device);
      assert.deepEqual((await back.messages(10)).map(text), numbers(10));
      assert.deepEqual(await s.until(back, backEnd, s.topic('orders'), qos), []);
    },
  })),
  {
    name: 'a device without a session is sent nothing of what it missed',
    run: async (s) => {
      const backEnd = await s.other();
      const first = await s.open();
      await first.subscribe(s.topic('orders'), 1);
      await first.end();
      await backEnd.publish(s.topic('orders'), 'missed', { qos: 1 });
      const second = await s.open({ id: first.options.id });
      await second.subscribe(s.topic('orders'), 1);
      assert.deepEqual(await s.until(second, backEnd, s.topic('orders')), []);
    },
  },
  ...[1, 2].map((qos) => ({
    name: `a subscriber killed in a stream of QoS ${qos} goes on where it was`,
    needs: ['resume', `handsOver${qos}`],
    run: async (s) => {
      const backEnd = await s.other(5), all = numbers(180), seen = [];
      let device = await s.open({ stored: true });
      await device.subscribe(s.topic('stream'), qos);
      for (let part = 0; part < 3; part++) {
        const published = backEnd.publishMany(s.topic('stream'), all.slice(part * 60, part * 60 + 60), qos);
        seen.push(...(await device.messages(10)).map(text));
        await device.drop();
        seen.push(...device.unread.splice(0).map(text));
        device = await s.resume(device);
        await published;
      }
      seen.push(...(await s.until(device, backEnd, s.topic('stream'), qos)).map(text));
      assert.deepEqual(all.filter((one) => !seen.includes(one)), [], 'nothing is missing');
      // What a library hands over twice after a kill is its own affair: it may have died before it wrote that down.
      const firsts = seen.filter((one, i) => seen.indexOf(one) === i);
      assert.deepEqual(firsts, [...firsts].sort((a, b) => a - b), 'in order');
    },
  })),
  {
    name: 'a thousand messages of each publisher come in order',
    run: async (s) => {
      const backEnd = await s.other();
      await backEnd.subscribe(s.topic('+/log'), 1);
      const devices = await Promise.all(numbers(2).map((i) => s.open({ name: `p${i}` })));
      await Promise.all(devices.map((device, i) => device.publishMany(s.topic(`${i}/log`), numbers(1000), 1)));
      const got = await backEnd.messages(2000);
      for (const i of devices.keys()) assert.deepEqual(got.filter(({ topic }) => topic === s.topic(`${i}/log`)).map(text), numbers(1000));
    },
  },
  {
    name: 'a thousand messages reach a subscriber of the library in order',
    run: async (s) => {
      const device = await s.open(), backEnd = await s.other();
      await device.subscribe(s.topic('feed'), 1);
      await backEnd.publishMany(s.topic('feed'), numbers(1000), 1);
      assert.deepEqual((await device.messages(1000)).map(text), numbers(1000));
    },
  },
  {
    name: 'two hundred messages of QoS 2 come in order and once',
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe(s.topic('bill'), 2);
      await device.publishMany(s.topic('bill'), numbers(200), 2);
      assert.deepEqual((await backEnd.messages(200)).map(text), numbers(200));
      assert.deepEqual(await s.until(backEnd, device, s.topic('bill'), 2), []);
    },
  },
  {
    name: 'an image of 200 KiB arrives byte for byte',
    needs: ['binary'],
    run: async (s) => {
      const backEnd = await s.open(), camera = await s.open();
      await backEnd.subscribe(s.topic('image'), 1);
      const image = Buffer.alloc(200 * 1024).map((_, i) => (i * 7919) >> 3 & 0xff);
      await camera.publish(s.topic('image'), image, { qos: 1 });
      assert.ok((await backEnd.message()).payload.equals(image));
    },
  },
  {
    name: 'an empty message and one of zero bytes arrive as they are',
    needs: ['binary'],
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe(s.topic('raw'), 1);
      for (const payload of [Buffer.alloc(0), Buffer.from([0, 0, 255, 10, 13])]) {
        await device.publish(s.topic('raw'), payload, { qos: 1 });
        assert.ok((await backEnd.message()).payload.equals(payload));
      }
    },
  },
  {
    name: 'topics and texts of any script arrive',
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe(s.topic('日本/+/ñ'), 1);
      await device.publish(s.topic('日本/🌡/ñ'), 'θερμός', { qos: 1 });
      const got = await backEnd.message();
      assert.deepEqual([got.topic, text(got)], [s.topic('日本/🌡/ñ'), 'θερμός']);
    },
  },
  {
    name: 'one message reaches ten subscribers',
    run: async (s) => {
      const readers = await Promise.all(numbers(10).map((i) => s.open({ name: `r${i}` }))), device = await s.open();
      await Promise.all(readers.map((reader) => reader.subscribe(s.topic('news'), 1)));
      await device.publish(s.topic('news'), 'to all', { qos: 1 });
      for (const reader of readers) assert.equal(text(await reader.message()), 'to all');
    },
  },
  {
    name: 'ten publishers reach one subscriber',
    run: async (s) => {
      const backEnd = await s.open();
      await backEnd.subscribe(s.topic('#'), 1);
      const devices = await Promise.all(numbers(10).map((i) => s.open({ name: `p${i}` })));
      await Promise.all(devices.map((device, i) => device.publish(s.topic(`d/${i}`), `${i}`, { qos: 1 })));
      assert.deepEqual((await backEnd.messages(10)).map(text).sort(), numbers(10));
    },
  },
  {
    name: 'a hundred filters each get their own',
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe(numbers(100).map((i) => s.topic(`${i}/+/x`)), 1);
      const some = ['0', '7', '42', '99'];
      for (const i of some) await device.publish(s.topic(`${i}/y/x`), i, { qos: 1 });
      await device.publish(s.topic('100/y/x'), 'not wanted', { qos: 1 });
      assert.deepEqual((await backEnd.messages(4)).map(text), some);
      assert.deepEqual(await s.until(backEnd, device, s.topic('1/mark/x')), []);
    },
  },
  {
    name: 'overlapping filters bring a message at least once, at the highest QoS',
    needs: ['many'],
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe(s.topic('a/b'), 1);
      await backEnd.subscribe(s.topic('a/#'), 0);
      await device.publish(s.topic('a/b'), 'x', { qos: 1 });
      const got = [await backEnd.message(), ...await s.until(backEnd, device, s.topic('a/b'))];
      assert.ok(got.length <= 3);
      if (!(chosen === 'mosquitto' && s.adapter.version === 4)) assert.equal(Math.max(...got.map(({ qos }) => qos)), 1);
    },
  },
  {
    name: 'what is unsubscribed stays away',
    needs: ['unsubscribe', 'many'],
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe([s.topic('a'), s.topic('b')], 1);
      await backEnd.unsubscribe(s.topic('a'));
      await device.publish(s.topic('a'), 'no', { qos: 1 });
      assert.deepEqual(await s.until(backEnd, device, s.topic('b')), []);
    },
  },
  {
    name: 'workers that share a subscription get each job once among them',
    needs: ['shared'],
    run: async (s) => {
      const workers = await Promise.all(numbers(3).map((i) => s.open({ name: `w${i}` }))), boss = await s.other();
      for (const worker of workers) await worker.subscribe(`$share/crew/${s.topic('jobs')}`, 1);
      for (const number of numbers(30)) await boss.publish(s.topic('jobs'), number, { qos: 1 });
      const all = [];
      await new Promise((done, fail) => {
        const timer = setTimeout(() => fail(new Error(`${all.length} of 30 jobs came`)), limitMs);
        for (const worker of workers) {
          (async () => {
            while (all.length < 30) {
              all.push(text(await worker.message()));
              if (all.length === 30) { clearTimeout(timer); done(); }
            }
          })().catch(() => {}); // those that wait when all is done
        }
      });
      assert.deepEqual(all.sort((a, b) => a - b), numbers(30));
    },
  },
  {
    name: 'a request is answered where it asks to be',
    needs: ['v5'],
    run: async (s) => {
      const client = await s.open(), service = await s.open();
      await client.subscribe(s.topic('answers'), 1);
      await service.subscribe(s.topic('requests'), 1);
      await client.publish(s.topic('requests'), '6*7', { qos: 1, responseTopic: s.topic('answers'), correlationData: 'c-1' });
      const request = await service.message();
      assert.equal(request.responseTopic, s.topic('answers'));
      await service.publish(request.responseTopic, '42', { qos: 1, correlationData: request.correlationData.toString() });
      const answer = await client.message();
      assert.deepEqual([text(answer), answer.correlationData.toString()], ['42', 'c-1']);
    },
  },
  {
    name: 'a request by topic is answered in MQTT 3.1.1 as well',
    run: async (s) => {
      const client = await s.open(), service = await s.open();
      await client.subscribe(s.topic('twin/res/#'), 1);
      await service.subscribe(s.topic('twin/get/#'), 1);
      await client.publish(s.topic('twin/get/17'), '', { qos: 1 });
      const request = await service.message();
      await service.publish(s.topic(`twin/res/200/${request.topic.split('/').pop()}`), '{}', { qos: 1 });
      assert.equal((await client.message()).topic, s.topic('twin/res/200/17'));
    },
  },
  {
    name: 'content type and user properties arrive',
    needs: ['v5'],
    run: async (s) => {
      const backEnd = await s.open(), device = await s.open();
      await backEnd.subscribe(s.topic('event'), 1);
      await device.publish(s.topic('event'), '{}', { qos: 1, contentType: 'application/json', user: ['unit', 'kelvin'] });
      const got = await backEnd.message();
      assert.deepEqual([got.contentType, got.user], ['application/json', ['unit', 'kelvin']]);
    },
  },
  {
    name: 'a message that is too old is not delivered any more',
    needs: ['v5', 'resume'],
    run: async (s) => {
      const device = await s.open({ stored: true }), backEnd = await s.open();
      await device.subscribe(s.topic('orders'), 1);
      await device.end();
      await backEnd.publish(s.topic('orders'), 'brief', { qos: 1, expiry: 1 });
      await backEnd.publish(s.topic('orders'), 'lasting', { qos: 1, expiry: 600 });
      await new Promise((done) => { setTimeout(done, 2500); }); // the standard counts expiry in seconds
      assert.equal(text(await (await s.resume(device)).message()), 'lasting');
    },
  },
  {
    name: 'a short loss of power is not reported when the will waits',
    needs: ['v5', 'resume'],
    run: async (s) => {
      const watcher = await s.other(5);
      await watcher.subscribe(s.topic('status'), 1);
      const delay = 2 * patience; // within which it is back
      const device = await s.open({ stored: true, will: { topic: s.topic('status'), payload: 'offline', qos: 1, delay } });
      await device.drop();
      const back = await s.resume(device);
      await new Promise((done) => { setTimeout(done, 1000 * delay + 1500); });
      assert.deepEqual(await s.until(watcher, watcher, s.topic('status')), []);
      await back.drop();
      assert.equal(text(await watcher.message()), 'offline');
    },
  },
  {
    name: 'a client that does not want its own messages gets only those of others',
    needs: ['v5', 'noLocal'],
    run: async (s) => {
      const bridge = await s.open(), device = await s.open();
      await bridge.subscribe(s.topic('both'), 1, { noLocal: true });
      await bridge.publish(s.topic('both'), 'mine', { qos: 1 });
      await device.publish(s.topic('both'), 'yours', { qos: 1 });
      assert.equal(text(await bridge.message()), 'yours');
    },
  },
  ...[4, 5].map((version) => ({
    name: `messages pass between the library and MQTT ${version === 5 ? '5' : '3.1.1'} both ways`,
    run: async (s) => {
      const mine = await s.open(), other = await s.other(version);
      await mine.subscribe(s.topic('to-mine'), 2);
      await other.subscribe(s.topic('to-other'), 2);
      for (const qos of [0, 1, 2]) {
        await mine.publish(s.topic('to-other'), `${qos}`, { qos, contentType: 'text/plain' });
        const there = await other.message();
        assert.deepEqual([text(there), there.qos], [`${qos}`, qos]);
        await other.publish(s.topic('to-mine'), `${qos}`, { qos, contentType: 'text/plain' });
        const here = await mine.message();
        assert.deepEqual([text(here), here.qos], [`${qos}`, qos]);
      }
    },
  })),
  {
    name: 'the same client in a second place takes over from the first',
    run: async (s) => {
      const first = await s.open({ will: undefined });
      await first.subscribe(s.topic('orders'), 1);
      const second = await s.open({ id: first.options.id });
      await second.subscribe(s.topic('orders'), 1);
      await first.lost;
    },
    needs: ['many'],
  },
  {
    name: 'a quiet client with a short keep alive stays',
    run: async (s) => {
      const keepAlive = 2 * patience; // a library that is late by half of it is cut off, whatever kept it
      const device = await s.open({ keepAlive }), backEnd = await s.other();
      await device.subscribe(s.topic('orders'), 1);
      await new Promise((done) => { setTimeout(done, 1750 * keepAlive); }); // longer than one and a half keep alives
      await backEnd.publish(s.topic('orders'), 'still there?', { qos: 1 });
      assert.equal(text(await device.message()), 'still there?');
    },
  },
];

for (const adapter of adapters) {
  if (!wantedClient.test(adapter.name)) continue;
  describe(`scenarios by ${adapter.name}`, { concurrency: 4 }, () => {
    for (const { name, needs = [], run } of scenarios) {
      if (!wanted.test(name)) continue;
      const lacking = needs.find((ability) => !adapter.can.has(ability));
      const skip = adapter.missing ?? (lacking ? adapter.cannot?.[lacking] ?? abilities[lacking] : false);
      test(name, { skip }, async () => {
        const stage = new Stage(adapter);
        let timer;
        // Not the runner's own limit: the clients of a scenario that hangs have to be ended too.
        const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`not within ${2 * limitMs} ms`)), 2 * limitMs); });
        try {
          await Promise.race([run(stage), late]);
        } finally {
          clearTimeout(timer);
          await stage.close();
        }
      });
    }
  });
}
