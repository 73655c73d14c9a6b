// Hostile and broken peers, and broken disks: each ends in the documented way, leaves a line for the operator, and the server
// goes on serving others.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { eventually, Server } from '../lib/server.mjs';
import { connect, makeDevice, makeProject, pull } from '../lib/warehouse.mjs';

const secure = async (server) => {
  const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: server.ca });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
};
// What a raw request is answered with, until the server closes.
const raw = async (server, bytes) => {
  const socket = await secure(server);
  let answer = '';
  socket.on('data', (chunk) => { answer += chunk; });
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
};

describe('peers', () => {
  let server, token;
  before(async () => {
    server = await (await Server.create({ options: ['--log-level', 'debug'] })).start();
    token = await makeProject(server);
  });
  after(() => server?.close());

  test('bytes that no protocol begins with close the connection', async () => {
    for (const bytes of [Buffer.from([0x00]), Buffer.from([0xff, 0xff]), Buffer.from([0x30, 0x00]), Buffer.from('\r\n')]) {
      assert.equal(await raw(server, bytes), '');
    }
  });

  test('plain text on the TLS port is closed', async () => {
    const socket = net.connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise((done) => { socket.once('close', done); }); // with a reset or without
  });

  test('malformed and oversized HTTP is answered and closed', async () => {
    const cases = [
      ['GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n', /^HTTP\/1\.1 400/],
      ['GARBAGE\r\n\r\n', /^HTTP\/1\.1 400/],
      [`GET /${'a'.repeat(20000)} HTTP/1.1\r\nhost: x\r\n\r\n`, /^HTTP\/1\.1 4(14|31|00)/],
      [`GET / HTTP/1.1\r\nhost: x\r\n${'x: y\r\n'.repeat(500)}\r\n`, /^HTTP\/1\.1 431/],
      ['POST /api/v1/session HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n', /^HTTP\/1\.1 4(13|00)/],
      ['POST /api/v1/session HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', /^HTTP\/1\.1 400/],
      ['GET / HTTP/3.0\r\nhost: x\r\n\r\n', /^HTTP\/1\.1 (505|400)/],
    ];
    for (const [bytes, expected] of cases) assert.match(await raw(server, bytes), expected, bytes.slice(0, 40));
  });

  test('malformed MQTT: each is closed without an answer, or refused in CONNACK', async () => {
    const packet = (...bytes) => Buffer.from(bytes);
    const cases = [
      packet(0x10, 0xff, 0xff, 0xff, 0xff, 0x7f), // a length of five bytes
      packet(0x10, 0x80, 0x80, 0x80, 0x01), // 2 MiB of CONNECT
      packet(0x10, 0x02, 0x00, 0x04), // cut inside the protocol name
      packet(0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0x03, 0, 60, 0, 0), // the reserved flag
      packet(0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0xc0, 0, 60, 0, 0), // user name and password are missing
    ];
    for (const bytes of cases) assert.equal(await raw(server, bytes), '', bytes.toString('hex'));
    const level = await raw(server, packet(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 9, 0x02, 0, 60, 0, 1, 0x61));
    assert.equal(Buffer.from(level, 'latin1').toString('hex'), '20020001', 'an unknown level is told');
  });

  test('three hundred half-open and silent peers do not keep a device out', async () => {
    const silent = [];
    for (let i = 0; i < 200; i++) silent.push(net.connect(server.port, '127.0.0.1').on('error', () => {}));
    for (let i = 0; i < 100; i++) silent.push(await secure(server));
    const device = await makeDevice(server, token, 'punctual');
    const client = await connect(server, device);
    await client.publishAsync('/devices/punctual/events', 'here', { qos: 1 });
    await client.endAsync();
    for (const socket of silent) socket.destroy();
    await pull(server, token, 1);
  });

  test('a peer that writes and never reads costs its own connection only', async () => {
    const socket = await secure(server);
    socket.pause();
    let closed = false;
    socket.on('close', () => { closed = true; });
    const request = 'GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n';
    for (let i = 0; i < 200 && !closed; i++) socket.write(request);
    assert.equal((await server.call('GET', '/healthz')).status, 200);
    socket.destroy();
  });

  test('the operator finds each of them: lines of the log at debug, and counters', async () => {
    for (const line of [/no protocol begins with byte 0xff/, /http 127\.0\.0\.1:\d+: 400 /, /http 127\.0\.0\.1:\d+: 431 /, / io 127\.0\.0\.1:\d+: .*http request/i]) {
      await server.said(line);
    }
    const { text } = await server.call('GET', '/metrics', { token: await server.token('metrics') });
    const counted = (name) => Number(new RegExp(`^gatehouse_${name} (\\d+)$`, 'm').exec(text)[1]);
    assert.ok(counted('packets_malformed_total') >= 5, 'malformed packets');
    assert.ok(counted('tls_handshakes_failed_total') >= 1, 'handshakes that failed');
  });

  test('after all of it the server is whole', async () => {
    assert.equal((await server.call('GET', '/api/v1/status', { token })).status, 200);
    assert.doesNotMatch(server.log, /the core process ended/);
  });
});

describe('disks', () => {
  const damaged = async (damage, expected) => {
    const server = await Server.create();
    try {
      await server.start();
      const token = await makeProject(server);
      const device = await makeDevice(server, token, 'before');
      const client = await connect(server, device);
      await client.publishAsync('/devices/before/events', 'kept', { qos: 1 });
      await client.endAsync();
      await server.stop();
      await damage(server);
      await expected(server, token);
    } finally { await server.close(); }
  };
  const refuses = (code, file) => async (server) => {
    const before = readFileSync(join(server.data, file));
    await assert.rejects(server.start(), (error) => error.message.includes(code));
    assert.deepEqual(readFileSync(join(server.data, file)), before, 'nothing was overwritten');
  };

  test('a database that is no database is refused', () => damaged(
    (server) => writeFileSync(join(server.data, 'registry.db'), 'not a database, but long enough to be looked at '.repeat(300)),
    refuses('GH4002', 'registry.db')));

  test('a damaged page is refused', () => damaged((server) => {
    const file = openSync(join(server.data, 'registry.db'), 'r+');
    writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, 4096 * 3);
    closeSync(file);
  }, refuses('GH4002', 'registry.db')));

  test('a database of a newer version is refused', () => damaged((server) => {
    const file = openSync(join(server.data, 'registry.db'), 'r+');
    writeSync(file, Buffer.from([0, 0, 0x27, 0x0f]), 0, 4, 60); // user_version 9999 in the header
    closeSync(file);
  }, refuses('GH4003', 'registry.db')));

  const segments = (server) => readdirSync(join(server.data, 'log')).filter((name) => name.endsWith('.seg')).sort();

  test('a torn tail of the log is cut, and what was acknowledged is there', () => damaged((server) => {
    const path = join(server.data, 'log', segments(server).at(-1));
    const { size } = statSync(path);
    writeFileSync(path, Buffer.alloc(37, 0x5a), { flag: 'a' });
    assert.ok(statSync(path).size > size);
  }, async (server, token) => {
    await server.start();
    assert.equal((await pull(server, token, 1))[0].data, Buffer.from('kept').toString('base64'));
  }));

  test('a damaged record costs itself alone, and the operator is told where', async () => {
    const server = await Server.create();
    try {
      await server.start();
      const token = await makeProject(server);
      const client = await connect(server, await makeDevice(server, token, 'before'));
      for (const text of ['first', 'second', 'third']) await client.publishAsync('/devices/before/events', text, { qos: 1 });
      await client.endAsync();
      await server.stop();
      const path = join(server.data, 'log', segments(server).at(-1));
      const bytes = readFileSync(path);
      const file = openSync(path, 'r+');
      writeSync(file, Buffer.from('S'), 0, 1, bytes.indexOf('second'));
      closeSync(file);
      await server.start();
      const got = (await pull(server, token, 2)).map(({ data }) => Buffer.from(data, 'base64').toString());
      assert.deepEqual(got, ['first', 'third']);
      await server.said(/GH4102 .*\.seg/);
    } finally { await server.close(); }
  });

  test('a segment that is not ours is refused', () => damaged((server) => {
    const path = join(server.data, 'log', segments(server).at(-1));
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.from('something else'), 0, 14, 0);
    closeSync(file);
  }, async (server) => {
    await assert.rejects(server.start(), (error) => /GH410[12]/.test(error.message));
  }));

  test('an unknown key in the configuration is named with its line', async () => {
    const server = await Server.create();
    try {
      writeFileSync(join(server.data, 'gatehouse.conf'), '[server]\nlisten_on = 127.0.0.1:1\n');
      await assert.rejects(server.start(), (error) => /GH1006 .*gatehouse\.conf line 2/.test(error.message));
    } finally { await server.close(); }
  });

  test('a second server on the same folder is refused; a plain listener off the host too', async () => {
    const server = await (await Server.create()).start();
    try {
      const second = Object.assign(new Server(), { data: server.data, options: [] });
      await assert.rejects(second.start(), /GH5004/);
      await server.stop();
      server.options = ['--listen-plain', '0.0.0.0:0'];
      await assert.rejects(server.start(), /GH5001/);
    } finally { await server.close(); }
  });

  test('a full disk refuses new work, loses nothing acknowledged, and recovers by itself', async (t) => {
    const folder = execFileSync('mktemp', ['-d', '/tmp/gatehouse-full-XXXXXX']).toString().trim();
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'gatehouse-test', folder], { stdio: 'ignore' });
    } catch {
      rmSync(folder, { recursive: true });
      t.skip('cannot mount a small file system here');
      return;
    }
    const server = await Server.create({ folder });
    try {
      await server.start();
      const token = await makeProject(server);
      const device = await makeDevice(server, token, 'filler');
      const sent = [];
      const publish = async (client, text) => {
        await Promise.race([client.publishAsync('/devices/filler/events', text, { qos: 1 }),
          once(client, 'close').then(() => { throw new Error('closed'); })]);
        sent.push(text);
      };
      const client = await connect(server, device);
      await publish(client, 'first');
      // Somebody else fills the disk.
      const ballast = join(folder, 'ballast');
      const file = openSync(ballast, 'w');
      try { for (;;) writeSync(file, Buffer.alloc(65536)); } catch { /* full */ }
      try { for (;;) writeSync(file, Buffer.alloc(256)); } catch { /* quite full */ }
      closeSync(file);
      // New work is refused sooner or later: what the log preallocated may still be used.
      let refused = false;
      let current = client;
      const block = 'x'.repeat(200000);
      for (let i = 0; i < 600 && !refused; i++) {
        try { await publish(current, `${i}:${block}`); } catch { refused = true; }
      }
      assert.ok(refused, 'a publish was refused');
      await eventually(() => /GH4103|GH4004/.test(server.log), 5000, 'a line for the operator');
      assert.equal((await server.call('GET', '/healthz')).status, 200, 'it still serves');
      const made = await server.call('PUT', '/v1/projects/demo/topics/another', { token, body: {} });
      assert.ok([200, 503].includes(made.status), made.text);
      rmSync(ballast);
      await eventually(async () => {
        try { current = await connect(server, device); await publish(current, 'after'); return true; } catch { return false; }
      }, 20000, 'it recovers by itself');
      current.end(true);
      const got = new Set((await pull(server, token, sent.length)).map(({ data }) => Buffer.from(data, 'base64').toString()));
      for (const text of sent) assert.ok(got.has(text), `acknowledged and lost: ${text.slice(0, 20)}`);
    } finally {
      await server.stop();
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
