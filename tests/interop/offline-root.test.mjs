// The root of the built-in CA, taken offline: its key is nowhere in the data folder, and everything goes on. What needs it is
// done with its file, while the server runs and while it does not. Other people's tools check the paths: openssl and curl.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Pki } from '../lib/pki.mjs';
import { Planted } from '../lib/planted.mjs';
import { slowness } from '../lib/sanitizer.mjs';
import { Server } from '../lib/server.mjs';

const run = promisify(execFile);
const PASSPHRASE = 'a passphrase of the safe';
const planted = new Planted(), leaves = [];
let server, pki, rootFile, passphrase;
const openssl = (args, input) => execFileSync('openssl', args, { input, stdio: ['pipe', 'pipe', 'pipe'] }).toString();

before(async () => {
  pki = new Pki();
  server = await Server.create();
  rootFile = join(server.folder, 'root.key');
  passphrase = join(server.folder, 'passphrase');
  writeFileSync(passphrase, `${PASSPHRASE}\n`, { mode: 0o400 });
  await server.start();
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/plant');
  await server.cli('device', 'create', 'acme/plant/first');
});
after(async () => { await server?.close(); pki?.close(); });

const root = (...args) => ['ca', ...args, '--passphrase-file', passphrase];
// What a handshake shows, and what openssl says of it with nothing but the root: { chain: [subject], text }.
async function handshake(of = server, anchor = of.caFile) {
  const { stdout } = await run('sh', ['-c', `openssl s_client -connect 127.0.0.1:${of.port} -CAfile ${anchor} -verify_return_error -x509_strict -status -showcerts </dev/null 2>/dev/null`]);
  return { chain: [...stdout.matchAll(/^ *\d+ s:(.*)$/gm)].map(([, subject]) => subject), text: stdout };
}
async function trusted(of = server, anchor = of.caFile) {
  const shown = await handshake(of, anchor);
  assert.match(shown.text, /Verify return code: 0 \(ok\)/);
  assert.match(shown.text, /OCSP Response Status: successful[\s\S]*Cert Status: good/);
  assert.equal(shown.chain.length, 2);
  return shown.chain[1];
}
// A device enrols over EST with its token, by curl: the file of its certificate.
async function enrol(name) {
  const key = pki.key(name.replaceAll('/', '-')), id = name.split('/')[2];
  const { token } = JSON.parse(await server.cli('device', 'enrol', name, '--json'));
  const request = pki.file(`${id}.b64`, openssl(['req', '-new', '-key', key, '-subj', `/CN=${id}`]).replace(/-----[^\n]*\n/g, ''));
  const { stdout } = await run('curl', ['-sS', '--fail', '--cacert', server.caFile, '-u', `${name}:${token}`, '-H', 'Content-Type: application/pkcs10',
    '--data-binary', `@${request}`, `https://127.0.0.1:${server.port}/.well-known/est/simpleenroll`]);
  return pki.file(`${id}.crt`, openssl(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(stdout, 'base64')));
}
// What the CA publishes: the certificates of cacerts, and each list, which openssl takes for a path from end to end.
async function verifies(tenant, leaf) {
  const { text } = await server.call('GET', `/.well-known/est/${tenant}/cacerts`);
  const all = pki.file(`${tenant}-all.crt`, openssl(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(text, 'base64')));
  const lists = [];
  for (const path of ['root.crl', 'intermediate.crl', `${tenant}/ca.crl`]) {
    const file = pki.file(path.replace('/', '-'));
    await run('curl', ['-sS', '--fail', '--cacert', server.caFile, '-o', file, `https://127.0.0.1:${server.port}/pki/${path}`]);
    lists.push('-CRLfile', pki.file(`${path.replace('/', '-')}.pem`, openssl(['crl', '-inform', 'DER', '-in', file])));
  }
  const { stdout } = await run('openssl', ['verify', '-x509_strict', '-CAfile', server.caFile, '-untrusted', all, '-crl_check_all', ...lists, '-purpose', 'sslclient', leaf]);
  assert.match(stdout, /: OK/);
  return all;
}
// ThreadSanitizer brings an allocator of its own, which does not forget.
const canLook = process.getuid() === 0 && slowness === 1;
const inProcesses = () => readFileSync(`/proc/${server.process.pid}/task/${server.process.pid}/children`, 'utf8').trim().split(' ')
  .flatMap((pid) => planted.inMemory(Number(pid)));
const status = async () => server.cli('ca', 'status');

test('the root certifies an intermediate CA, which certifies everything else', async () => {
  assert.match(await trusted(), /^CN = Gatehouse intermediate CA [0-9a-f]{8}$/);
  leaves.push(await enrol('acme/plant/first'));
  await verifies('acme', leaves[0]);
  assert.match(await status(), /Root +online[\s\S]*Intermediate until +20\d\d-\d\d-\d\d\nRoot's list until +20\d\d-\d\d-\d\d$/);
  const { body } = await server.call('GET', '/api/v1/ca', { token: await server.token('viewer') });
  assert.equal(body.root_online, true);
  assert.equal(body.warning, null);
  assert.equal(body.root_pem, server.ca.toString());
});

test('its key is exported under a passphrase, and what is wrong with that is refused', async () => {
  const refused = async (words, ...args) => {
    const { code, stderr } = await server.tryCli(args);
    assert.equal(code, 1, stderr);
    assert.match(stderr, words);
  };
  const short = join(server.folder, 'short');
  writeFileSync(short, 'too short\n', { mode: 0o400 });
  await refused(/at least 12 bytes/, 'ca', 'export-root', '--out', rootFile, '--passphrase-file', short);
  writeFileSync(join(server.folder, 'open'), `${PASSPHRASE}\n`);
  chmodSync(join(server.folder, 'open'), 0o444);
  await refused(/others can read it/, 'ca', 'export-root', '--out', rootFile, '--passphrase-file', join(server.folder, 'open'));
  planted.add('the root\'s key', (await server.cli('keys', 'export', 'ca.key')).split('\n').slice(1, -1).join(''));
  await server.cli(...root('export-root', '--out', rootFile));
  assert.equal(statSync(rootFile).mode & 0o777, 0o400);
  assert.match(readFileSync(rootFile, 'utf8'), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  openssl(['pkey', '-in', rootFile, '-passin', `pass:${PASSPHRASE}`, '-noout']); // no format of our own
  await refused(/File exists/, ...root('export-root', '--out', rootFile));
  const wrong = join(server.folder, 'wrong');
  writeFileSync(wrong, 'another passphrase\n', { mode: 0o400 });
  await refused(/the passphrase is another one/, 'ca', 'remove-root', '--root', rootFile, '--passphrase-file', wrong);
  const other = pki.file('other.key', openssl(['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', `pass:${PASSPHRASE}`, '-in', pki.key('other')]));
  await refused(/its key is another one/, ...root('remove-root', '--root', other));
  assert.match(await status(), /Root +online/);
});

test('it is taken away while the server runs, and nothing of it is left', async () => {
  const der = openssl(['pkey', '-in', rootFile, '-passin', `pass:${PASSPHRASE}`, '-text', '-noout']);
  planted.add('the root\'s number', /priv:\n([0-9a-f:\s]+)pub:/.exec(der)[1].replace(/[^0-9a-f]/g, '').replace(/^00/, ''));
  assert.match(await server.cli(...root('remove-root', '--root', rootFile)), /The root is offline[\s\S]*Sealed anew/);
  assert.match(await status(), /Root +offline/);
  assert.doesNotMatch(await server.cli('keys', 'status'), /ca\.key/);
  assert.equal((await server.tryCli(['keys', 'export', 'ca.key'])).code, 1);
  assert.deepEqual(planted.inFolder(server.data), []);
  if (canLook) assert.deepEqual(inProcesses(), [], 'nor in the memory of the processes');
  await server.stop();
  assert.deepEqual(planted.inFolder(server.data), []);
  const { code, stderr } = await server.tryCli(root('remove-root', '--root', rootFile));
  assert.equal(code, 1);
  assert.match(stderr, /offline already/);
});

test('everything goes on without it: restart, the server, devices, a new tenant, revoking, rotation', async () => {
  await server.start();
  await trusted();
  await server.cli('tenant', 'create', 'later');
  await server.cli('registry', 'create', 'later/plant');
  for (const name of ['acme/plant/second', 'later/plant/third']) await server.cli('device', 'create', name);
  const leaf = await enrol('later/plant/third');
  const all = await verifies('later', leaf);
  await verifies('acme', await enrol('acme/plant/second'));
  const issuer = pki.file('later-ca.crt', (await server.call('GET', '/pki/later/ca.crt')).text);
  const [request, answer] = [pki.file('request.der'), pki.file('answer.der')];
  openssl(['ocsp', '-issuer', issuer, '-cert', leaf, '-no_nonce', '-reqout', request]);
  await run('curl', ['-sS', '--fail', '--cacert', server.caFile, '-o', answer, '-H', 'Content-Type: application/ocsp-request', '--data-binary', `@${request}`,
    `https://127.0.0.1:${server.port}/pki/later/ocsp`]);
  const ocsp = await run('openssl', ['ocsp', '-issuer', issuer, '-cert', leaf, '-respin', answer, '-reqin', request, '-no_nonce', '-verify_other', all, '-CAfile', server.caFile]);
  assert.match(ocsp.stderr, /Response verify OK/);
  assert.match(ocsp.stdout, /: good/);
  await server.cli('keys', 'rotate');
  await server.cli('keys', 'rotate', '--tenant', 'later');
  await server.cli('device', 'create', 'later/plant/fourth');
  await verifies('later', await enrol('later/plant/fourth'));
  const { code, stderr } = await server.tryCli(['ca', 'renew']);
  assert.equal(code, 1);
  assert.match(stderr, /the root is offline[\s\S]*gatehouse ca renew --root FILE/);
});

// Until the server shows another one, which it does within a quarter of a minute.
async function renewed(before_) {
  for (let i = 0; i < 1200; i++) {
    const shown = await trusted();
    if (shown !== before_) return shown;
    await new Promise((done) => { setTimeout(done, 50); });
  }
  throw new Error('the server goes on with the intermediate CA of before');
}

test('with its file the intermediate CA is renewed, while the server runs', async () => {
  const before_ = await trusted(), ca = JSON.parse(await server.cli('tenant', 'ca', 'acme', '--json'));
  await server.cli(...root('renew', '--root', rootFile, '--list-only'));
  assert.equal(await trusted(), before_);
  assert.match(await server.cli(...root('renew', '--root', rootFile)), /Root +offline/);
  const now = await renewed(before_);
  assert.notEqual(now, before_);
  await verifies('acme', leaves[0]); // its tenant's CA is renewed over its key: the leaf of before is as good
  await server.cli('device', 'create', 'acme/plant/fifth');
  await verifies('acme', await enrol('acme/plant/fifth'));
  assert.equal(JSON.parse(await server.cli('tenant', 'ca', 'acme', '--json')).id, ca.id, 'with the same id');
  const token = await server.token('operator');
  assert.equal((await server.call('POST', '/api/v1/ca/request', { token })).status, 403);
  assert.equal((await server.call('POST', '/api/v1/ca/install', { token: await server.token(), body: { crl_base64: 'AAAA', remove_root: true } })).status, 400);
  const unclear = await server.call('POST', '/api/v1/ca/install', { token: await server.token(), body: { crl_base64: 'AAAA', remove_root: 'yes' } });
  assert.equal(unclear.status, 400);
  assert.match(JSON.stringify(unclear.body), /remove_root/);
  const { body } = await server.call('GET', '/api/v1/ca', { token });
  const replayed = await server.call('POST', '/api/v1/ca/install', { token: await server.token(), body: { crl_base64: body.crl_base64 } });
  assert.equal(replayed.status, 400);
  assert.match(replayed.text, /no newer/);
});

test('and while it does not; one that is revoked stands in the list of the root', async () => {
  const before_ = await trusted();
  const { body } = await server.call('GET', '/api/v1/ca', { token: await server.token() });
  const serial = openssl(['x509', '-noout', '-serial'], body.intermediate_pem).split('=')[1].trim();
  await server.stop();
  await server.cli(...root('renew', '--root', rootFile, '--revoke', 'key_compromise'));
  await server.start();
  assert.notEqual(await trusted(), before_);
  const crl = pki.file('revoked.crl');
  await run('curl', ['-sS', '--fail', '--cacert', server.caFile, '-o', crl, `https://127.0.0.1:${server.port}/pki/root.crl`]);
  const list = openssl(['crl', '-inform', 'DER', '-in', crl, '-noout', '-text']);
  assert.match(list, new RegExp(`Serial Number: ${serial}[\\s\\S]*Key Compromise`));
  assert.deepEqual(planted.inFolder(server.data), []);
  const { rows } = (await server.call('GET', '/api/v1/audit?limit=500', { token: await server.token() })).body;
  for (const action of ['keys.export', 'ca.install', 'keys.rotate']) assert.ok(rows.some((row) => row.action === action), action);
});

test('a folder of before there were intermediate CAs is taken over; who trusts its root goes on', async () => {
  const old = await Server.create();
  const kept = resolve(import.meta.dirname, '..', 'data', 'shallow-root');
  try {
    const keys = join(old.data, 'keys');
    for (const name of readdirSync(keys)) rmSync(join(keys, name));
    for (const [from, to] of [['ca.key', join(keys, 'ca.key')], ['ca.crt', old.caFile]]) {
      rmSync(to, { force: true });
      copyFileSync(join(kept, from), to);
    }
    chmodSync(join(keys, 'ca.key'), 0o600);
    old.ca = readFileSync(old.caFile);
    await old.start();
    await trusted(old, join(kept, 'ca.crt'));
    await trusted(old, old.caFile);
    assert.match(openssl(['x509', '-in', old.caFile, '-noout', '-text']), /pathlen:2/);
    assert.equal(openssl(['x509', '-in', old.caFile, '-noout', '-pubkey']), openssl(['x509', '-in', join(kept, 'ca.crt'), '-noout', '-pubkey']));
  } finally {
    await old.close();
  }
});

test('a key-encryption key in a file of the operator\'s own: the command says what is to be done, and that helps', async () => {
  const own = await Server.create();
  try {
    const [first, second, exported] = ['kek-1', 'kek-2', 'root.key'].map((name) => join(own.folder, name));
    await own.cli('keys', 'migrate', '--to', `file:${first}`);
    await own.cli('ca', 'export-root', '--out', exported, '--passphrase-file', passphrase);
    const before_ = readFileSync(join(own.data, 'keys', 'keyring'));
    const said = await own.cli('ca', 'remove-root', '--root', exported, '--passphrase-file', passphrase);
    assert.match(said, /The root is offline/);
    assert.ok(said.includes(`the key-encryption key\nin ${first}. `) && said.includes(`remove ${first} and its copies`), said);
    assert.match(said, /stop the server[\s\S]*gatehouse keys migrate --to file:PATH/);
    await own.cli('keys', 'migrate', '--to', `file:${second}`);
    rmSync(first);
    writeFileSync(join(own.data, 'keys', 'keyring'), before_); // a copy from before
    const { code, stderr } = await own.tryCli(['keys', 'export', 'ca.key']);
    assert.equal(code, 1);
    assert.match(stderr, /kek-1: No such file/);
  } finally {
    await own.close();
  }
});
