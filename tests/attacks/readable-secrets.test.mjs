// The attack: somebody gets hold of the disk, a backup, the logs, a core dump or the wire, and reads secrets there.
// 200 secrets of every kind go through a whole life of devices and operators; then everything that the server left behind is
// searched for them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { deviceKey, deviceToken, eventually, Server } from '../lib/server.mjs';
import { Planted } from '../lib/planted.mjs';
import { slowness } from '../lib/sanitizer.mjs';

const REGISTRY = '/api/v1/tenants/acme/registries/hall';
const DEVICES = 40;
const planted = new Planted();
let server, admin, capture, captured;

const root = process.getuid() === 0;
const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0;

before(async () => {
  server = await (await Server.create()).start();
  planted.add('the first operator\'s password', server.password);
  if (root && hasTcpdump) {
    captured = join(server.folder, 'wire.pcap');
    capture = spawn('tcpdump', ['-i', 'lo', '-U', '-Z', 'root', '-w', captured, 'port', String(server.port)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    capture.stderr.on('data', (chunk) => { said += chunk; });
    await eventually(() => said.includes('listening on'), 20000, 'the capture listens');
  }
});
after(async () => {
  capture?.kill();
  await server?.close();
});

const call = async (method, path, options, status) => {
  const answer = await server.call(method, path, options);
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer.body;
};
const signIn = (username, password, clientId) => new Promise((done, fail) => {
  const session = mqtt.connect({ host: '127.0.0.1', port: server.port, protocol: 'mqtts', ca: server.ca, protocolVersion: 5,
    username, password, clientId, reconnectPeriod: 0, connectTimeout: 20000 });
  session.once('connect', () => { session.removeListener('error', fail); session.on('error', () => {}); done(session); });
  session.once('error', (error) => { session.end(true); fail(error); });
});
// A shared access signature of the device, as docs/protocols/native.md says.
function sas(name, key) {
  const expiry = Math.floor(Date.now() / 1000) + 3600, resource = encodeURIComponent(name);
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${expiry}`).digest('base64');
  return { signature, token: `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}` };
}
const tokenOf = (name, password) => server.call('POST', '/oauth2/token', { body: 'grant_type=client_credentials', headers: {
  'content-type': 'application/x-www-form-urlencoded',
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(name)}:${encodeURIComponent(password)}`).toString('base64')}` } });

// A life: made, signed in by each of its secrets, sends and is told, gets an access token, gets a new secret.
async function live(i) {
  const id = `device-${i}`, name = `acme/hall/${id}`;
  const password = planted.add(`password of ${id}`, randomBytes(24).toString('base64url'));
  const given = planted.add(`given symmetric key of ${id}`, randomBytes(32).toString('base64'));
  const key = deviceKey('ES256'), signer = `signer-${i}`;
  planted.add(`private key of ${signer}`, Buffer.from(key.privateKey.export({ format: 'jwk' }).d, 'base64url').toString('base64'));
  const made = await call('POST', `${REGISTRY}/devices`, { token: admin, body: { id,
    credentials: [{ password }, { symmetric_key: given }, { symmetric_key: true }] } }, 201);
  await call('POST', `${REGISTRY}/devices`, { token: admin, body: { id: signer, credentials: [{ pem: key.pem }] } }, 201);
  const other = planted.add(`made symmetric key of ${id}`, made.credentials.find(({ symmetric_key: made }) => made && made !== given).symmetric_key);
  const first = sas(name, given), second = sas(name, other);
  planted.add(`signature of ${id}`, first.signature);
  const jwt = deviceToken(key, 'acme', { sub: signer });
  planted.add(`token that ${signer} signed`, jwt.split('.')[2]);
  const { body } = await tokenOf(name, password);
  planted.add(`access token of ${id}`, body.access_token.split('.')[2]);
  for (const secret of [password, first.token, second.token, jwt, body.access_token]) {
    const who = secret === jwt ? `acme/hall/${signer}` : name;
    const session = await signIn(who, secret, who);
    await session.publishAsync('$gatehouse/state', JSON.stringify({ i }), { qos: 1 });
    await session.endAsync();
  }
}

async function operatorsLife() {
  admin = planted.add('a token of an administrator', await server.token());
  const session = await server.call('POST', '/api/v1/session', { body: { name: server.operator, password: server.password } });
  for (const cookie of [session.headers['set-cookie'] ?? []].flat()) planted.add('the cookie of a session', /=([^;]+)/.exec(cookie)[1]);
  if (session.body?.token) planted.add('the token of a session', session.body.token);
}

const report = (found) => found.map(({ what, where }) => `${what}: ${where}`).join('\n');

test('a life with 200 secrets and more', async () => {
  await operatorsLife();
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/hall');
  const policy = join(server.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['connect', 'publish', 'subscribe', 'receive'], Resource: ['*'] }] }));
  await server.cli('policy', 'put', 'acme/all', policy);
  await server.cli('policy', 'attach', 'acme/all', 'acme');
  for (let i = 0; i < DEVICES; i++) await live(i);
  // What is thrown away is still a secret.
  await call('DELETE', `${REGISTRY}/devices/device-0`, { token: admin }, 200);
  assert.ok(planted.secrets.length >= 200, `${planted.secrets.length} secrets`);
});

test('the search finds what is there', () => {
  const [{ secret, what }] = planted.secrets.slice(-1);
  for (const text of [secret, Buffer.from(`id:${secret}:`).toString('base64')]) assert.equal(planted.in(Buffer.from(`x${text}y`))[0]?.what, what, text);
});

test('data folder, write-ahead log, backup and log: 0 hits', async () => {
  assert.ok(statSync(join(server.data, 'registry.db-wal')).size > 0, 'the write-ahead log is not empty');
  const backup = join(server.folder, 'backup');
  mkdirSync(backup);
  await eventually(() => { // a file may go while it is copied
    try { cpSync(server.data, backup, { recursive: true, filter: (path) => !path.endsWith('.sock') }); return true; }
    catch (error) { if (error.code === 'ENOENT') return false; throw error; }
  }, 5000, 'a copy');
  assert.equal(report([...planted.inFolder(server.data), ...planted.inFolder(backup)]), '');
  assert.equal(report(planted.in(Buffer.from(server.log))), '');
});

test('the wire: 0 hits', { skip: root && hasTcpdump ? false : 'needs root and tcpdump' }, async () => {
  capture.kill('SIGTERM');
  await once(capture, 'exit');
  const bytes = readFileSync(captured);
  assert.ok(bytes.length > 100000, 'the capture holds the life');
  assert.equal(report(planted.in(bytes)), '');
});

// ThreadSanitizer brings an allocator of its own, which does not forget.
const blind = !root ? 'needs root, to look into another process' : slowness > 1 ? 'not with ThreadSanitizer' : false;
test('core dumps: 0 hits', { skip: blind }, async () => {
  const children = readFileSync(`/proc/${server.process.pid}/task/${server.process.pid}/children`, 'utf8').trim().split(' ');
  assert.equal(children.length, 2);
  for (const pid of [server.process.pid, ...children]) assert.equal(report(planted.inMemory(pid)), '', `process ${pid}`);
});

test('the folder of the stopped server: 0 hits', async () => {
  await server.stop();
  assert.equal(report(planted.inFolder(server.data)), '');
});
