// Keys at rest: where they are, that nothing else is readable in the data folder, and what the server says when its
// key-encryption key is not what it was. A real PKCS#11 token (softhsm2) and a real TPM (swtpm), both in software.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import mqtt from 'mqtt';
import { deviceKey, eventually, Server } from '../lib/server.mjs';

const SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so';
const PLANTED = 'cGxhbnRlZCBzZWNyZXQsIG5vd2hlcmUgaW4gY2xlYXI=';
const SECRET = 'password-of-a-device-planted-too';
const has = (program) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status === 0;
let server;
let keysOf;

before(async () => { server = await Server.create(); keysOf = join(server.data, 'keys'); });
afterEach(() => server?.process && server.stop()); // also of a test that failed half-way
after(() => server?.close());

const files = (folder) => readdirSync(folder, { withFileTypes: true, recursive: false }).flatMap((entry) => {
  const path = join(folder, entry.name);
  return entry.isDirectory() ? files(path) : entry.isFile() ? [path] : [];
});
// No file of the folder has any of the texts, nor their bytes.
function scan(folder, texts) {
  const found = files(folder);
  assert.ok(found.some((path) => path.endsWith('registry.db')), 'the database is among them');
  for (const path of found) {
    const bytes = readFileSync(path);
    for (const text of texts)
      for (const form of [Buffer.from(text), Buffer.from(text, 'base64')])
        assert.ok(!bytes.includes(form), `${path} holds a planted secret`);
  }
}
const keyFiles = (folder) => readdirSync(folder);
const kids = async (from) => (await from.call('GET', '/oauth2/jwks')).body.keys.map(({ kid }) => kid);
const kek = () => join(keysOf, readdirSync(keysOf).find((name) => name.startsWith('kek-')));
async function refusesToStart(words) {
  await assert.rejects(server.start(), (error) => {
    assert.match(error.message, words);
    return true;
  });
}
async function serves() {
  await server.start();
  const token = await server.token();
  const answer = await server.call('GET', '/api/v1/tenants/acme/registries/hall/devices/given', { token });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.credentials.length, 3);
  return token;
}

test('symmetric keys are made, shown once and never again', async () => {
  assert.deepEqual(keyFiles(keysOf).map((name) => name.replace(/-[0-9a-f]{8}/, '-ID')).sort(), ['kek-ID.key', 'keyring']);
  assert.equal(statSync(kek()).mode & 0o777, 0o400);
  assert.equal(statSync(join(keysOf, 'keyring')).mode & 0o777, 0o600);
  await server.start();
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/hall');
  const made = JSON.parse(await server.cli('device', 'create', 'acme/hall/made', '--symmetric-key', '--json'));
  assert.deepEqual(made.credentials.map(({ kind, form }) => [kind, form]), [['HS256', 'symmetric_key'], ['HS256', 'symmetric_key']]);
  const secrets = made.credentials.map(({ symmetric_key: key }) => key);
  for (const key of secrets) assert.equal(Buffer.from(key, 'base64').length, 32);
  assert.notEqual(secrets[0], secrets[1]);
  assert.ok(!(await server.cli('device', 'show', 'acme/hall/made', '--json')).includes(secrets[0]));

  const token = await server.token();
  const given = await server.call('POST', '/api/v1/tenants/acme/registries/hall/devices', { token,
    body: { id: 'given', credentials: [{ symmetric_key: PLANTED }, { symmetric_key: true }, { password: SECRET }] } });
  assert.equal(given.status, 201, given.text);
  assert.equal(given.body.credentials[0].symmetric_key, PLANTED);
  for (const [credentials, why] of [
    [[{ symmetric_key: false }], /true or a key in base64/],
    [[{ symmetric_key: 'AAAA' }], /16 to 64 bytes/],
    [[{ symmetric_key: true }, { symmetric_key: true }, { symmetric_key: true }], /at most 2 symmetric keys/],
  ]) {
    const refused = await server.call('POST', '/api/v1/tenants/acme/registries/hall/devices', { token, body: { id: 'refused', credentials } });
    assert.equal(refused.status, 400, refused.text);
    assert.match(refused.text, why);
  }
  const planted = [PLANTED, SECRET, ...secrets];
  scan(server.data, planted); // write-ahead log and all
  const backup = join(server.folder, 'backup');
  execFileSync('cp', ['-a', server.data, backup]);
  assert.equal((await server.tryCli(['keys', 'migrate', '--to', 'file'])).code, 1, 'not while the server runs');
  assert.match(await server.cli('keys', 'status'), /at file\nSecrets +ca\.key issuing\.key password\.key ca\.crl intermediate\.crt intermediate\.key token\.keys audit\.key$/);
  await server.stop();
  scan(server.data, planted);
  scan(backup, planted);
  rmSync(backup, { recursive: true });
});

test('the server refuses to start with the exact reason', async () => {
  const path = kek(), key = readFileSync(path), ring = join(keysOf, 'keyring'), sealed = readFileSync(ring);
  chmodSync(path, 0o440);
  await refusesToStart(/GH5005 .*kek-[0-9a-f]{8}\.key: others can read it \(mode 0440\); set 0400/);
  chmodSync(path, 0o600);
  writeFileSync(path, Buffer.alloc(32, 7));
  chmodSync(path, 0o400);
  await refusesToStart(/GH5005 .*is not the key-encryption key/);
  rmSync(path);
  await refusesToStart(/GH5005 .*kek-[0-9a-f]{8}\.key: No such file/);
  writeFileSync(path, key, { mode: 0o400 });
  const changed = Buffer.from(sealed);
  changed[changed.length - 1] ^= 1;
  writeFileSync(ring, changed);
  await refusesToStart(/GH5005 keyring secret audit\.key cannot be opened: it was changed/);
  writeFileSync(ring, sealed);
  await serves();
  await server.stop();
});

test('keys are rotated, of the server and of a tenant', async () => {
  const before_ = kek();
  assert.match(await server.cli('keys', 'rotate'), /Sealed anew +8 of the keyring, 1 data keys of tenants/);
  assert.ok(!existsSync(before_));
  assert.match(await server.cli('keys', 'rotate', '--tenant', 'acme'), /Sealed anew +4 secrets of tenant acme/);
  const { code, stderr } = await server.tryCli(['keys', 'rotate', '--tenant', 'nobody']);
  assert.equal(code, 1);
  assert.match(stderr, /GH2002/);
  scan(server.data, [PLANTED, SECRET]);
  await serves();
  await server.stop();
});

// A certificate of the tenant's own CA, whose key is sealed under the tenant's data key: it opens, or why it does not.
const issue = (name, token) => server.call('POST', `/api/v1/tenants/${name.split('/')[0]}/registries/${name.split('/')[1]}/devices/${name.split('/')[2]}/certificates`,
  { token, body: { pem: deviceKey('ES256').pem } });

test('and while the server serves: nobody notices, and the old keys are gone', async () => {
  await server.start();
  const token = await server.token();
  const signIn = () => new Promise((done, fail) => {
    const session = mqtt.connect(`mqtts://127.0.0.1:${server.port}`, { ca: server.ca, username: 'acme/hall/given', password: SECRET,
      clientId: 'given', reconnectPeriod: 0 });
    session.once('connect', () => done(session));
    session.once('error', (error) => { session.end(true); fail(error); });
  });
  const policy = join(server.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['connect'], Resource: ['*'] }] }));
  await server.cli('policy', 'put', 'acme/all', policy);
  await server.cli('policy', 'attach', 'acme/all', 'acme');
  const session = await signIn();
  assert.equal((await issue('acme/hall/made', token)).status, 201);
  const [first, before_] = [kek(), await kids(server)];
  assert.match(await server.cli('keys', 'rotate', '--tenant', 'acme'), /Sealed anew +5 secrets of tenant acme/, 'four keys and a CA');
  assert.equal((await issue('acme/hall/made', token)).status, 201, 'the CA opens under the new key');
  assert.match(await server.cli('keys', 'rotate'), /Sealed anew +1 data keys of tenants/);
  assert.ok(!existsSync(first) && kek() !== first);
  assert.equal(keyFiles(keysOf).length, 2);
  assert.equal((await issue('acme/hall/made', token)).status, 201, 'and under the new key-encryption key');
  // Many at once, with devices made meanwhile: each key that was shown opens afterwards.
  const makes = Array.from({ length: 20 }, (_, i) => server.call('POST', '/api/v1/tenants/acme/registries/hall/devices',
    { token, body: { id: `meanwhile-${i}`, credentials: [{ symmetric_key: true }] } }));
  for (let i = 0; i < 5; i++) {
    await server.cli('keys', 'rotate', '--tenant', 'acme');
    await server.cli('keys', 'rotate');
  }
  for (const { status, text } of await Promise.all(makes)) assert.equal(status, 201, text);
  assert.match(await server.cli('keys', 'rotate', '--tenant', 'acme'), /Sealed anew +25 secrets/);
  assert.deepEqual(await kids(server), before_, 'the keys of access tokens are the same');
  assert.equal(session.connected, true);
  await session.endAsync();
  await (await signIn()).endAsync();
  assert.equal((await server.call('POST', '/api/v1/keys/rotate', { token: await server.token('operator') })).status, 403);
  assert.equal((await server.call('POST', '/api/v1/tenants/acme/keys/rotate', { token: await server.token('operator') })).status, 403);
  assert.equal((await server.call('POST', '/api/v1/tenants/nobody/keys/rotate', { token })).status, 404);
  scan(server.data, [PLANTED, SECRET]);
  await server.stop('SIGKILL'); // all of it was durable
  await serves();
  await server.stop();
});

test('a tenant that is deleted is shredded: nothing of it opens, not even out of a copy', async () => {
  await server.start();
  const token = await server.token();
  await server.cli('tenant', 'create', 'gone');
  await server.cli('registry', 'create', 'gone/hall');
  await server.cli('device', 'create', 'gone/hall/dev-1', '--symmetric-key');
  assert.equal((await issue('gone/hall/dev-1', token)).status, 201);
  await server.stop();
  const copy = join(server.folder, 'copy'), keptKek = readFileSync(kek());
  execFileSync('cp', ['-a', server.data, copy]);
  await server.start();
  for (const [noun, name] of [['device', 'gone/hall/dev-1'], ['registry', 'gone/hall'], ['tenant', 'gone']]) await server.cli(noun, 'delete', name);
  await server.cli('keys', 'rotate');
  await server.stop();
  scan(server.data, [keptKek.toString('base64')]);
  // Somebody has kept the database, and brings it to the server of today.
  const today = join(server.folder, 'today');
  renameSync(server.data, today);
  execFileSync('cp', ['-a', copy, server.data]);
  rmSync(keysOf, { recursive: true });
  execFileSync('cp', ['-a', join(today, 'keys'), keysOf]);
  await server.start();
  const again = await server.token();
  const answer = await issue('gone/hall/dev-1', again);
  assert.equal(answer.status, 500);
  assert.match(answer.text, /GH5005/);
  const { code, stderr } = await server.tryCli(['keys', 'rotate', '--tenant', 'gone']);
  assert.equal(code, 1);
  assert.match(stderr, /GH5005.*sealed under key-encryption key [0-9a-f]{8}, which is not here/);
  await server.stop();
  rmSync(server.data, { recursive: true });
  renameSync(today, server.data);
  await serves(); // whoever was not deleted goes on
  await server.stop();
});

test('the key-encryption key moves into a PKCS#11 token', { skip: !existsSync(SOFTHSM) || !has('softhsm2-util') }, async () => {
  const tokens = join(server.folder, 'tokens'), pin = join(server.folder, 'pin');
  mkdirSync(tokens);
  writeFileSync(join(server.folder, 'softhsm2.conf'), `directories.tokendir = ${tokens}\nobjectstore.backend = file\n`);
  process.env.SOFTHSM2_CONF = join(server.folder, 'softhsm2.conf');
  writeFileSync(pin, '4321\n', { mode: 0o400 });
  execFileSync('softhsm2-util', ['--init-token', '--free', '--label', 'gatehouse', '--pin', '4321', '--so-pin', '8765'], { stdio: 'ignore' });
  await server.cli('keys', 'migrate', '--to', `pkcs11:token=gatehouse?module-path=${SOFTHSM}&pin-source=file:${pin}`);
  assert.deepEqual(keyFiles(keysOf), ['keyring'], 'no key in a file any more');
  await serves();
  await server.stop();
  chmodSync(pin, 0o600);
  writeFileSync(pin, '1234\n');
  await refusesToStart(/GH5005 PKCS#11: the token refuses the PIN/);
  writeFileSync(pin, '4321\n');
  renameSync(tokens, `${tokens}-away`);
  mkdirSync(tokens);
  await refusesToStart(/GH5005 pkcs11:token=gatehouse.*there is no such token/);
  rmSync(tokens, { recursive: true });
  renameSync(`${tokens}-away`, tokens);
  await server.cli('keys', 'rotate');
  await serves();
  assert.match(await server.cli('keys', 'rotate'), /Sealed anew +1 data keys/, 'and while it serves');
  await server.stop('SIGKILL');
  await serves();
  await server.stop();
});

test('and into a TPM', { skip: !has('swtpm') }, async () => {
  const state = join(server.folder, 'tpm'), socket = join(state, 'sock');
  mkdirSync(state);
  const tpm = spawn('swtpm', ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--server', `type=unixio,path=${socket}`, '--ctrl',
    `type=unixio,path=${socket}.ctrl`, '--flags', 'not-need-init,startup-clear'], { stdio: 'ignore' });
  const ended = once(tpm, 'exit');
  try {
    await eventually(() => existsSync(`${socket}.ctrl`) && existsSync(socket), 5000, 'the TPM listens');
    await server.cli('keys', 'migrate', '--to', `tpm:pcrs=7;tcti=swtpm:path=${socket}`);
    assert.deepEqual(keyFiles(keysOf), ['keyring']);
    await serves();
    assert.match(await server.cli('keys', 'rotate'), /Sealed anew +1 data keys/);
    await server.stop();
    await serves();
    await server.stop();
  } finally {
    tpm.kill();
    await ended;
  }
  await refusesToStart(/GH5005 TPM swtpm:path=.*: no way to it/);
});

test('a folder of an older version is taken over', async () => {
  const old = await Server.create();
  try {
    const folder = join(old.data, 'keys');
    await old.start();
    const before_ = await kids(old);
    await old.stop();
    const [ca, tokens] = [await old.cli('keys', 'export', 'ca.key'), await old.cli('keys', 'export', 'token.keys')];
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    writeFileSync(join(folder, 'ca.key'), `${ca}\n`, { mode: 0o600 });
    writeFileSync(join(folder, 'password.key'), Buffer.alloc(32, 9), { mode: 0o400 });
    writeFileSync(join(folder, 'token.keys'), `${tokens}\n`, { mode: 0o640 });
    await assert.rejects(old.start(), /GH5005 .*token\.keys: others can read it \(mode 0640\)/);
    chmodSync(join(folder, 'token.keys'), 0o600);
    await old.start();
    assert.deepEqual(await kids(old), before_, 'the same keys sign');
    assert.equal((await old.call('GET', '/healthz')).status, 200);
    assert.deepEqual(keyFiles(folder).map((name) => name.replace(/-[0-9a-f]{8}/, '-ID')).sort(), ['kek-ID.key', 'keyring']);
    for (const path of files(old.data))
      assert.ok(!readFileSync(path).includes(Buffer.alloc(32, 9)) && !readFileSync(path).includes('PRIVATE KEY'), path);
  } finally {
    await old.close();
  }
});
