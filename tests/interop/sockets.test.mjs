// Sockets that a service manager hands over (LISTEN_FDS, LISTEN_FDNAMES), and what comes through a load balancer: the
// launcher here does what systemd does, the balancer what haproxy's send-proxy-v2 does.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { bin, eventually, Server } from '../lib/server.mjs';
import { connect, connectOptions, makeDevice, makeProject, project } from '../lib/warehouse.mjs';

// Starts `server` with listening sockets on these hosts as descriptors 3 and up. A shell sets LISTEN_PID to the process
// that it becomes. Resolves with the ports once it serves; rejects with what it said when it ends.
async function startWith(server, sockets, options = []) {
  const listening = await Promise.all(sockets.map(async ([, host]) => {
    const socket = net.createServer().listen(0, host);
    await once(socket, 'listening');
    return socket;
  }));
  const ports = listening.map((socket) => socket.address().port);
  const child = spawn('sh', ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', join(bin, 'gatehoused'), '--data', server.data, ...options], {
    stdio: ['ignore', 'pipe', 'pipe', ...listening.map((socket) => socket._handle.fd)],
    env: { ...process.env, LISTEN_FDS: String(sockets.length), LISTEN_FDNAMES: sockets.map(([name]) => name).join(':') },
  });
  listening.forEach((socket) => socket.close());
  await server.ready(child);
  return ports;
}

const healthz = (server, port) => { server.url = `https://127.0.0.1:${port}`; return server.call('GET', '/healthz'); };
const listeners = (server) => readFileSync(join(server.data, 'listeners'), 'utf8').trim().split('\n').map((line) => line.split(' '));

let server;
before(async () => { server = await Server.create(); });
after(() => server?.close());

test('inherited sockets serve by their names, instead of the defaults', async () => {
  const [first, plain, other] = await startWith(server, [['tls', '127.0.0.1'], ['plain', '127.0.0.1'], ['gatehoused.socket', '127.0.0.1']]);
  assert.deepEqual(listeners(server).slice(0, 3), [['tls', `127.0.0.1:${first}`], ['plain', `127.0.0.1:${plain}`], ['tls', `127.0.0.1:${other}`]]);
  assert.equal(listeners(server).length, 4, 'and the door of the command line');
  for (const port of [first, other]) assert.equal((await healthz(server, port)).status, 200);
  const socket = net.connect(plain, '127.0.0.1');
  socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.match((await once(socket, 'data'))[0].toString(), /^HTTP\/1\.1 200 /);
  socket.destroy();

  // The process that holds the keys has none of them; core has. Only root sees the descriptors of either.
  const children = readFileSync(`/proc/${server.process.pid}/task/${server.process.pid}/children`, 'utf8').trim().split(' ');
  const nameOf = (pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  if (process.getuid() === 0) {
    for (const pid of children) assert.equal(socketsOf(pid, [first, plain, other]), nameOf(pid) === 'gatehoused:core' ? 3 : 0);
  }

  // Core is killed: its successor listens on the same sockets.
  const core = children.find((pid) => nameOf(pid) === 'gatehoused:core');
  process.kill(Number(core), 'SIGKILL');
  await eventually(async () => (await healthz(server, first).catch(() => ({}))).status === 200 &&
    !readFileSync(`/proc/${server.process.pid}/task/${server.process.pid}/children`, 'utf8').trim().split(' ').includes(core), 20000, 'served again');
  assert.equal((await server.stop()).code, 0);
});

// How many of the listening sockets of these ports `pid` has open.
function socketsOf(pid, ports) {
  const inodes = new Set(readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1).map((line) => line.trim().split(/\s+/))
    .filter((row) => row[3] === '0A' && ports.includes(parseInt(row[1].split(':')[1], 16))).map((row) => row[9]));
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)).filter((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1])).length;
}

test('they come in addition to what --listen names', async () => {
  const [port] = await startWith(server, [['tls', '127.0.0.1']], ['--listen', '127.0.0.1:0']);
  assert.equal(listeners(server).filter(([kind]) => kind === 'tls').length, 2);
  assert.equal((await healthz(server, port)).status, 200);
  await server.stop();
});

test('a plain socket that is not loopback is refused', async () => {
  await assert.rejects(startWith(server, [['plain', '0.0.0.0']]), /GH5001 0\.0\.0\.0:\d+: without TLS only loopback/);
});

test('a descriptor that is no listening socket is refused', async () => {
  const child = spawn('sh', ['-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3</dev/null', join(bin, 'gatehoused'), '--data', server.data], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => { said += chunk; });
  assert.equal((await once(child, 'close'))[0], 1);
  assert.match(said, /descriptor 3 .* no listening stream socket/);
});

// A balancer: takes a connection and passes it on behind a header that names `source`.
async function balancer(port, source) {
  const sockets = new Set();
  const front = net.createServer((client) => {
    const back = net.connect(port, '127.0.0.1');
    const head = Buffer.alloc(28);
    Buffer.from('\r\n\r\n\0\r\nQUIT\n').copy(head);
    head.set([0x21, 0x11, 0, 12, ...source, 127, 0, 0, 1], 12);
    head.writeUInt16BE(40000, 24);
    head.writeUInt16BE(port, 26);
    back.write(head);
    client.pipe(back).pipe(client);
    for (const socket of [client, back]) { sockets.add(socket); socket.on('error', () => socket.destroy()); }
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  return { port: front.address().port, close: () => { front.close(); sockets.forEach((socket) => socket.destroy()); } };
}

test('behind a balancer the device is seen where it is', async () => {
  server.options = ['--listen', '127.0.0.1:0,proxy', '--proxy-from', '127.0.0.0/8'];
  await server.start();
  const [open, proxied] = listeners(server).filter(([kind]) => kind === 'tls').map(([, address]) => Number(address.split(':').pop()));
  server.port = open;
  server.url = `https://127.0.0.1:${open}`;
  const token = await makeProject(server);
  const device = await makeDevice(server, token, 'far-away');
  const front = await balancer(proxied, [198, 51, 100, 23]);
  const client = await connect({ ...server, port: front.port, ca: server.ca }, device);
  const session = await server.call('GET', `/api/v1/tenants/${project}/registries/warehouse/devices/far-away`, { token });
  assert.match(session.text, /198\.51\.100\.23:40000/);
  await client.endAsync();
  const entries = JSON.parse(await server.cli('device', 'log', `${project}/warehouse/far-away`, '--json')).entries;
  assert.ok(entries.some((entry) => JSON.stringify(entry).includes('198.51.100.23:40000')), 'and in its log');

  // Without the header there is no handshake.
  const bare = tls.connect({ port: proxied, host: '127.0.0.1', ca: server.ca });
  await assert.rejects(once(bare, 'secureConnect'));
  // WebSocket through the same balancer.
  const web = mqtt.connect({ ...connectOptions(server, device), protocol: 'wss', path: '/mqtt', port: front.port });
  await once(web, 'connect');
  await web.endAsync();
  front.close();
  await server.stop();
});

const hasLoopback6 = Object.values(networkInterfaces()).flat().some(({ address }) => address === '::1');
test('a device over IPv6', { skip: hasLoopback6 ? false : 'this machine has no ::1' }, async () => {
  server.options = ['--listen', '[::1]:0'];
  await server.start();
  const port = Number(listeners(server).find(([, address]) => address.startsWith('[::1]:'))[1].split(':').pop());
  const open = Number(listeners(server)[0][1].split(':').pop());
  server.url = `https://127.0.0.1:${open}`;
  const token = await server.token();
  const device = await makeDevice(server, token, 'over-ip6');
  const client = mqtt.connect({ ...connectOptions(server, device), host: '::1', port });
  await once(client, 'connect');
  const session = await server.call('GET', `/api/v1/tenants/${project}/registries/warehouse/devices/over-ip6`, { token });
  assert.match(session.text, /\[::1\]:\d+/);
  await client.endAsync();
});
