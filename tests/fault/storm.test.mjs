// Half-open handshakes and a fleet that connects again and again leave live devices alone: every message is acknowledged,
// nobody is dropped, and newcomers still get in. Nothing is said about time; bench/storm measures it.
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { eventually, Server } from '../lib/server.mjs';
import { connect, makeDevice, makeProject } from '../lib/warehouse.mjs';

const HALF_OPEN = 600, HANDSHAKES_MAX = 400, LIVE = 6, FLEET = 12, ROUNDS = 4;

let server, token;
before(async () => {
  server = await (await Server.create({ options: ['--handshakes-max', String(HANDSHAKES_MAX), '--metrics-open', '1'] })).start();
  token = await makeProject(server);
});
after(() => server?.close());

async function metric(name) {
  const { text } = await server.call('GET', '/metrics', { token });
  return Number(new RegExp(`^gatehouse_${name} (\\d+)$`, 'm').exec(text)[1]);
}

// The first flight of a real client.
const clientHello = () => new Promise((done) => {
  const wire = new Duplex({ read() {}, write(chunk) { done(chunk); } });
  tls.connect({ socket: wire, servername: 'localhost' }).on('error', () => {});
});

test('live devices are served while handshakes stay half-open and a fleet reconnects', async () => {
  const devices = await Promise.all(Array.from({ length: LIVE + FLEET }, (_, i) => makeDevice(server, token, `storm-${i}`)));
  const live = await Promise.all(devices.slice(0, LIVE).map((device) => connect(server, device)));
  const dropped = [];
  live.forEach((client, i) => client.on('close', () => dropped.push(i)));
  const publishAll = (round) => Promise.all(live.map((client, i) =>
    client.publishAsync(`/devices/storm-${i}/events`, `${round}`, { qos: 1 })));
  await publishAll('before');

  const hello = await clientHello();
  const beginnings = [Buffer.alloc(0), Buffer.from([0x16, 3, 1, 2]), hello];
  const half = [], begin = (count) => {
    for (let i = 0; i < count; i++) {
      const socket = net.connect(server.port, '127.0.0.1', () => socket.write(beginnings[i % beginnings.length]));
      socket.on('error', () => {});
      half.push(socket.resume());
    }
  };
  begin(HALF_OPEN);
  await eventually(async () => {
    if ((await metric('handshakes_evicted_total')) >= HALF_OPEN - HANDSHAKES_MAX) return true;
    begin(30); // on a slow machine the time of some was over before those above the ceiling came
    return false;
  }, 20000, 'those above the ceiling go');
  assert.ok((await metric('handshakes_open')) <= HANDSHAKES_MAX, 'and the others are within it');

  for (let round = 0; round < ROUNDS; round++) {
    const storm = Promise.all(devices.slice(LIVE).map((device) => connect(server, device)));
    await publishAll(round);
    await Promise.all((await storm).map((client) => client.endAsync(true)));
  }
  assert.deepEqual(dropped, []);
  half.forEach((socket) => socket.destroy());
  await eventually(async () => (await metric('handshakes_open')) <= 1, 20000, 'what was half-open is given back');
  live.forEach((client) => client.removeAllListeners('close'));
  await Promise.all(live.map((client) => client.endAsync()));
});
