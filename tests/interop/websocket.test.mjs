// MQTT over WebSocket: npm's ws for the handshake and the frames, MQTT.js over wss:// with devices of Google's dialect.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import mqtt from 'mqtt';
import WebSocket from 'ws';
import { deviceToken, eventually, Server } from '../lib/server.mjs';
import { connect, connectOptions, makeDevice, makeProject, project, pull, registryPath } from '../lib/warehouse.mjs';

let server, token;
before(async () => {
  server = await (await Server.create({ options: ['--listen-plain', '127.0.0.1:0', '--websocket-origin', 'https://console.example'] })).start();
  token = await makeProject(server);
});
after(() => server?.close());

const overWebSocket = (path = '/mqtt', more = {}) => ({ mqtt: { protocol: 'wss', path, ...more } });

// Opens a WebSocket; resolves with it, or rejects with the HTTP status that refused it.
function open(path, protocols, options = {}, base = `wss://127.0.0.1:${server.port}`) {
  return new Promise((done, fail) => {
    const socket = new WebSocket(`${base}${path}`, protocols, { ca: server.ca, ...options });
    socket.once('open', () => done(socket));
    socket.once('unexpected-response', (request, response) => {
      fail(Object.assign(new Error(`status ${response.statusCode}`), { status: response.statusCode, headers: response.headers }));
      request.destroy();
    });
    socket.once('error', fail);
  });
}

const refusedWith = (status) => (error) => error.status === status;

// A CONNECT of MQTT 3.1.1 for `device`, and what else makes up a short conversation.
function packet(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = [type];
  let rest = body.length;
  do { head.push((rest % 128) | (rest > 127 ? 128 : 0)); rest = Math.floor(rest / 128); } while (rest > 0);
  return Buffer.concat([Buffer.from(head), body]);
}
const field = (text) => { const bytes = Buffer.from(text); return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]); };
const connectPacket = (device) => packet(0x10, field('MQTT'), Buffer.from([4, 0xc2, 0, 60]),
  field(`${registryPath}/devices/${device.id}`), field('unused'), field(deviceToken(device.key, project)));
const publishPacket = (topic, payload, id) => packet(0x32, field(topic), Buffer.from([id >> 8, id & 255]), Buffer.from(payload));
const connack = Buffer.from([0x20, 2, 0, 0]);

// Collects the binary messages of a socket; `bytes(n)` resolves with the first n bytes.
function listen(socket) {
  let heard = Buffer.alloc(0);
  socket.on('message', (data, isBinary) => { assert.ok(isBinary); heard = Buffer.concat([heard, data]); });
  return async (count) => {
    await eventually(() => heard.length >= count, 10000, `${count} bytes`);
    const got = heard.subarray(0, count);
    heard = heard.subarray(count);
    return got;
  };
}

describe('MQTT.js over wss://', () => {
  for (const path of ['/mqtt', '/']) {
    test(`a device under ${path} publishes events, gets config and commands`, async () => {
      const device = await makeDevice(server, token, `wss-${path.length}`);
      const client = await connect(server, device, overWebSocket(path));
      const arrived = [];
      client.on('message', (topic, payload) => arrived.push([topic, payload.toString()]));
      await client.subscribeAsync({ [`/devices/${device.id}/config`]: { qos: 1 }, [`/devices/${device.id}/commands/#`]: { qos: 1 } });
      await eventually(() => arrived.length === 1, 5000, 'the first config');
      const sent = await server.call('POST', `/v1/${registryPath}/devices/${device.id}:sendCommandToDevice`,
        { token, body: { binaryData: Buffer.from('go').toString('base64') } });
      assert.equal(sent.status, 200, sent.text);
      await eventually(() => arrived.length === 2, 5000, 'the command');
      assert.deepEqual(arrived[1], [`/devices/${device.id}/commands`, 'go']);
      await client.publishAsync(`/devices/${device.id}/events`, 'over the web', { qos: 1 });
      assert.equal(Buffer.from((await pull(server, token, 1))[0].data, 'base64').toString(), 'over the web');
      await client.endAsync();
    });
  }

  test('hundreds of publications, large and small, in the order they were sent', async () => {
    const device = await makeDevice(server, token, 'wss-many');
    const client = await connect(server, device, overWebSocket());
    const payloads = Array.from({ length: 90 }, (_, i) => Buffer.alloc(i % 9 === 0 ? 70000 : i, i));
    await Promise.all(payloads.map((payload) => client.publishAsync(`/devices/${device.id}/events`, payload, { qos: 1 })));
    const got = (await pull(server, token, payloads.length)).map(({ data }) => Buffer.from(data ?? '', 'base64'));
    assert.deepEqual(got.map(({ length }) => length), payloads.map(({ length }) => length));
    assert.ok(got.every((bytes, i) => bytes.equals(payloads[i])));
    await client.endAsync();
  });

  test('a refused device gets the same code as over TLS', async () => {
    const device = await makeDevice(server, token, 'wss-refused');
    await assert.rejects(connect(server, device, { ...overWebSocket(), claims: { aud: 'other' } }), (error) => error.code === 5);
  });

  test('a plain listener serves it to a proxy on this host', async () => {
    const device = await makeDevice(server, token, 'ws-plain');
    const client = mqtt.connect({ ...connectOptions(server, device), protocol: 'ws', port: server.plainPort, path: '/mqtt' });
    await once(client, 'connect');
    await client.publishAsync(`/devices/${device.id}/events`, 'plain', { qos: 1 });
    await pull(server, token, 1);
    await client.endAsync();
  });
});

describe('the handshake, by ws', () => {
  test('the first subprotocol that is known is echoed as it was offered', async () => {
    for (const [offered, echoed] of [[['mqtt'], 'mqtt'], [['mqttv3.1'], 'mqttv3.1'], [['amqp', 'mqttv3.1', 'mqtt'], 'mqttv3.1']]) {
      const socket = await open('/mqtt', offered);
      assert.equal(socket.protocol, echoed);
      assert.equal(socket.extensions, '', 'no compression is agreed to');
      socket.close();
      const [code] = await once(socket, 'close');
      assert.equal(code, 1005, 'the close without a code is answered without one');
    }
  });

  test('what cannot be served is refused with its status', async () => {
    await assert.rejects(open('/mqtt', []), refusedWith(400));
    await assert.rejects(open('/mqtt', ['amqp']), refusedWith(400));
    await assert.rejects(open('/elsewhere', ['mqtt']), refusedWith(404));
    await assert.rejects(open('/mqtt', ['mqtt'], { protocolVersion: 8 }), (error) => error.status === 426 && error.headers['sec-websocket-version'] === '13');
    await assert.rejects(open('/mqtt', ['mqtt'], { origin: 'https://evil.example' }), refusedWith(403));
    const metrics = await server.call('GET', '/metrics', { token: await server.token('metrics') });
    assert.match(metrics.text, /gatehouse_websocket_refused_total 5\b/);
  });

  test('pages of the server itself and of a configured origin are let in', async () => {
    for (const origin of [`https://127.0.0.1:${server.port}`, 'https://console.example']) {
      (await open('/mqtt', ['mqtt'], { origin })).terminate();
    }
  });

  test('the door of the command line has no WebSocket', async () => {
    await assert.rejects(open('/mqtt', ['mqtt'], {}, `ws+unix://${server.data}/admin.sock:`), (error) => error.status !== undefined && error.status !== 101);
  });
});

describe('the frames, by ws', () => {
  test('packets across frames, several in one, pings between, in fragments', async () => {
    const device = await makeDevice(server, token, 'ws-frames');
    const socket = await open('/mqtt', ['mqtt']);
    const heard = listen(socket);
    const hello = connectPacket(device);
    for (let at = 0; at < hello.length; at += 7) socket.send(hello.subarray(at, at + 7));
    assert.deepEqual(await heard(4), connack);
    const [one, two] = [publishPacket(`/devices/${device.id}/events`, 'one', 1), publishPacket(`/devices/${device.id}/events`, 'two', 2)];
    socket.send(Buffer.concat([one, two, Buffer.from([0xc0, 0])]));
    assert.deepEqual(new Set((await heard(10)).toString('hex').match(/40020001|40020002|d000/g)), new Set(['40020001', '40020002', 'd000']));
    const three = publishPacket(`/devices/${device.id}/events`, 'three', 3);
    const pong = once(socket, 'pong');
    socket.send(three.subarray(0, 5), { fin: false });
    socket.ping('still there?');
    socket.send(three.subarray(5, 9), { fin: false });
    socket.send(three.subarray(9));
    assert.equal((await pong)[0].toString(), 'still there?');
    assert.equal((await heard(4)).toString('hex'), '40020003');
    assert.equal((await pull(server, token, 3)).length, 3);
    socket.send(Buffer.from([0xe0, 0]));
    const [code] = await once(socket, 'close');
    assert.equal(code, 1000, 'after DISCONNECT the server closes');
  });

  test('text, large frames and another protocol end the connection with their code', async () => {
    for (const [send, code] of [
      [(socket) => socket.send('text'), 1003],
      [(socket) => socket.send(Buffer.from('GET / HTTP/1.1\r\n\r\n')), 1003],
      [(socket) => socket.send(Buffer.alloc(16 * 1024 * 1024 + 1)), 1009],
    ]) {
      const socket = await open('/mqtt', ['mqtt']);
      const closed = once(socket, 'close');
      socket.on('error', () => {});
      send(socket);
      assert.equal((await closed)[0], code);
    }
  });

  test('a server that stops says that it goes away', async () => {
    const device = await makeDevice(server, token, 'ws-last');
    const socket = await open('/mqtt', ['mqtt']);
    const heard = listen(socket);
    socket.send(connectPacket(device));
    assert.deepEqual(await heard(4), connack);
    const closed = once(socket, 'close');
    await server.stop();
    assert.equal((await closed)[0], 1001);
  });
});
