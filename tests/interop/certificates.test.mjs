// Devices that sign in by X.509: registered certificates, CAs of a registry, revocation.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import mqtt from 'mqtt';
import { Pki } from '../lib/pki.mjs';
import { Server, assertSoon, eventually } from '../lib/server.mjs';

const run = promisify(execFile);
let server, pki, root, token;
const base = '/api/v1/tenants/acme/registries/plant';
const api = (method, path, body) => server.call(method, `${base}${path}`, { token, body });
const refusals = async (device) => (await server.call('GET', `${base}/devices/${device}/log?kind=refusal`, { token })).body.entries;

before(async () => {
  pki = new Pki();
  root = pki.ca('Plant root');
  server = await (await Server.create({ options: ['--crl-fetch-s', '1', '--crl-private', '1'] })).start();
  token = await server.token();
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/plant');
  const policy = pki.file('all.json', JSON.stringify({ Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: ['connect', 'publish', 'subscribe', 'receive'], Resource: ['client/*', 'topic/*', 'filter/*'] }] }));
  await server.cli('policy', 'put', 'acme/all', policy);
  await server.cli('policy', 'attach', 'acme/all', 'acme');
});
after(async () => { await server?.close(); pki?.close(); });

// Resolves with the connected client; rejects with what CONNACK said.
function connect(device, { cert, key, chain = '' } = {}, more = {}) {
  return new Promise((done, fail) => {
    const client = mqtt.connect({ protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: server.ca, username: `acme/plant/${device}`,
      ...(cert ? { cert: cert + chain, key } : {}), clientId: device, reconnectPeriod: 0, connectTimeout: 15000, ...more });
    client.once('connect', () => done(client));
    client.once('error', (error) => { client.end(true); fail(error); });
  });
}
const ended = (client) => new Promise((done) => { client.once('close', done); });
// Refused by CONNACK, and the operator reads why.
async function refused(device, leaf, reason, words = /./) {
  const before = (await refusals(device)).length;
  await assert.rejects(connect(device, leaf), /Not authorized|Bad username|Connection refused/i, `${device} ${reason}`);
  const last = (await eventually(async () => { const all = await refusals(device); return all.length > before && all; }, 5000, 'an entry'))[0];
  assert.equal(last.reason, reason, last.detail);
  assert.match(last.detail, words);
}
async function addCa(ca, verified = true) {
  const added = await api('POST', '/cas', { pem: ca.cert });
  assert.equal(added.status, 201, added.text);
  if (verified) {
    const proof = pki.leaf('proof', ca, { subject: `/CN=${added.body.verification_code}` });
    const { status, text } = await api('POST', `/cas/${added.body.id}/verify`, { pem: proof.cert });
    assert.equal(status, 200, text);
  }
  return added.body.id;
}

test('a registered certificate opens the door for its device alone', async () => {
  const own = pki.leaf('pump-1'); // signed by itself
  await server.cli('device', 'create', 'acme/plant/pump-1', '--certificate', own.certFile);
  const client = await connect('pump-1', own);
  const shown = (await api('GET', '/devices/pump-1')).body;
  assert.equal(shown.connection.credential, shown.credentials[0].id);
  await client.publishAsync('a/b', 'hello', { qos: 1 });
  await client.endAsync();
  await refused('pump-1', pki.leaf('pump-1'), 'CERTIFICATE_UNKNOWN', /none of the device's 1 credentials/);
  await assert.rejects(connect('pump-1'), /Not authorized|Bad username/i);
  const [last] = (await server.call('GET', '/api/v1/refusals', { token })).body.entries; // it is nobody's: no proof, no device
  assert.equal(last.reason, 'NO_TOKEN');
  assert.match(last.detail, /neither a password nor a client certificate/);
});

test('two generations stand side by side; the one that is taken away ends its session', async () => {
  const old = pki.leaf('pump-2'), fresh = pki.leaf('pump-2', undefined, { kind: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'] });
  await server.cli('device', 'create', 'acme/plant/pump-2', '--certificate', old.certFile, '--certificate', fresh.certFile);
  const [first, second] = [await connect('pump-2', old, { clientId: 'one' }), await connect('pump-2', fresh, { clientId: 'two' })];
  const { credentials } = (await api('GET', '/devices/pump-2')).body;
  const gone = ended(first), started = performance.now();
  assert.equal((await api('PATCH', '/devices/pump-2', { credentials: [{ id: credentials[1].id }] })).status, 200);
  await gone;
  assertSoon(started, 'the session ends');
  assert.equal(second.connected, true);
  await second.endAsync();
});

test('a CA has to be proven before its certificates count', async () => {
  const ca = pki.ca('Unproven');
  const leaf = pki.leaf('dev-unproven', ca);
  await server.cli('device', 'create', 'acme/plant/dev-unproven');
  await refused('dev-unproven', leaf, 'CERTIFICATE_UNKNOWN', /the registry has no CA|issuer/);
  const id = await addCa(ca, false);
  await refused('dev-unproven', leaf, 'CA_NOT_VERIFIED');
  const { verification_code: code } = (await api('GET', `/cas/${id}`)).body;
  for (const [proof, words] of [
    [pki.leaf('x', ca, { subject: '/CN=something else' }), /common name/],
    [pki.leaf('x', root, { subject: `/CN=${code}` }), /not signed by this CA/],
    [pki.leaf('x', undefined, { subject: `/CN=${code}` }), /not signed by this CA/]]) {
    const answer = await api('POST', `/cas/${id}/verify`, { pem: proof.cert });
    assert.equal(answer.status, 400);
    assert.match(answer.body.error.message, words);
  }
  const proof = pki.leaf('proof', ca, { subject: `/CN=${code}` });
  const printed = await server.cli('ca', 'verify', `acme/plant/${id}`, proof.certFile);
  assert.match(printed, /active/);
  await (await connect('dev-unproven', leaf)).endAsync();
  assert.match(await server.cli('ca', 'list', 'acme/plant'), /Unproven +active/);
  assert.equal((await api('POST', '/cas', { pem: ca.cert })).status, 409);
});

test('a CA that is not sound is refused with the rule', async () => {
  const rows = [
    [pki.leaf('leaf', root), /not marked as a CA/],
    [pki.ca('No usage', { extensions: 'basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n' }), /keyUsage/],
    [pki.ca('Not critical', { extensions: 'basicConstraints=CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n' }), /critical/]];
  for (const [ca, words] of rows) {
    const answer = await api('POST', '/cas', { pem: ca.cert });
    assert.equal(answer.status, 400);
    assert.match(answer.body.error.message, words);
  }
});

test('a CA, an intermediate and a name make an identity, and nothing less', async () => {
  await addCa(root);
  const middle = pki.ca('Plant line 1', { issuer: root });
  for (const id of ['dev-1', 'dev-2', 'dev-3']) await server.cli('device', 'create', `acme/plant/${id}`);
  const leaf = pki.leaf('dev-1', root);
  await (await connect('dev-1', leaf)).endAsync();
  await (await connect('dev-1', { ...pki.leaf('dev-1', middle), chain: middle.cert })).endAsync();
  await (await connect('dev-2', pki.leaf('any', root, { subject: '/O=Acme', extensions: 'subjectAltName=URI:urn:x,DNS:dev-2\n' }))).endAsync();
  const stranger = pki.ca('Stranger');
  await refused('dev-2', leaf, 'CERTIFICATE_NAME', /"dev-1"/);
  await refused('dev-1', pki.leaf('dev-1', stranger), 'CERTIFICATE_UNKNOWN');
  await refused('dev-1', pki.leaf('dev-1', middle), 'CERTIFICATE_UNKNOWN'); // without the intermediate
  await refused('dev-1', pki.leaf('dev-1', root, { days: -1 }), 'CERTIFICATE_EXPIRED');
  await refused('dev-1', { ...pki.sign('purpose', { subject: '/CN=dev-1', issuer: root, days: 1,
    extensions: 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n' }) }, 'CERTIFICATE');
  assert.equal((await api('PATCH', '/devices/dev-3', { blocked: true })).status, 200);
  await refused('dev-3', pki.leaf('dev-3', root), 'BLOCKED');
});

test('revoking a certificate, and then its CA, ends the sessions within a second', async () => {
  const ca = pki.ca('Revoker'), id = await addCa(ca);
  const names = ['rev-1', 'rev-2', 'rev-3'], leaves = {}, clients = {};
  for (const name of names) {
    await server.cli('device', 'create', `acme/plant/${name}`);
    leaves[name] = pki.leaf(name, ca);
    clients[name] = await connect(name, leaves[name]);
  }
  let gone = ended(clients['rev-1']), started = performance.now();
  assert.match(await server.cli('certificate', 'revoke', `acme/plant/${id}`, leaves['rev-1'].serial, '--reason', 'key_compromise'), /key_compromise/);
  await gone;
  assertSoon(started, 'the session of a revoked certificate ends');
  await refused('rev-1', leaves['rev-1'], 'CERTIFICATE_REVOKED');
  gone = ended(clients['rev-2']);
  const crl = pki.crl(ca, [leaves['rev-2'].serial], 7);
  assert.match(await server.cli('ca', 'crl', `acme/plant/${id}`, crl), /1/);
  await gone;
  await refused('rev-2', leaves['rev-2'], 'CERTIFICATE_REVOKED');
  assert.match(await server.cli('ca', 'revoked', `acme/plant/${id}`), new RegExp(leaves['rev-2'].serial));
  assert.equal(clients['rev-3'].connected, true);
  const older = await server.tryCli(['ca', 'crl', `acme/plant/${id}`, pki.crl(ca, [], 6)]);
  assert.equal(older.code, 1);
  assert.match(older.stderr, /number 6, older than 7/);
  const foreign = await server.tryCli(['ca', 'crl', `acme/plant/${id}`, pki.crl(root, [], 9)]);
  assert.match(foreign.stderr, /not signed by this CA/);
  gone = ended(clients['rev-3']);
  started = performance.now();
  assert.equal((await api('PATCH', `/cas/${id}`, { enabled: false })).status, 200);
  await gone;
  assertSoon(started, 'the session of a disabled CA ends');
  await refused('rev-3', leaves['rev-3'], 'CA_DISABLED');
  await server.cli('ca', 'enable', `acme/plant/${id}`);
  await (await connect('rev-3', leaves['rev-3'])).endAsync();
  await server.cli('ca', 'remove', `acme/plant/${id}`);
  await refused('rev-3', leaves['rev-3'], 'CERTIFICATE_UNKNOWN');
});

test('a certificate by a CA is listed with its state, validity and last use', async () => {
  const ca = pki.ca('List root'), id = await addCa(ca);
  await server.cli('device', 'create', 'acme/plant/lamp');
  const list = async () => (await api('GET', '/devices/lamp/credentials')).body.credentials;
  const listed = (count) => eventually(async () => { const all = await list(); return all.length === count && all; }, 5000, `${count} certificates`);
  assert.deepEqual(await list(), []);
  const before = pki.leaf('lamp', ca), renewed = pki.leaf('lamp', ca), begun = Date.now();
  await (await connect('lamp', before)).endAsync();
  const [first] = await listed(1); // written once a second
  const { validFrom, validTo } = new X509Certificate(before.cert);
  assert.deepEqual([first.form, first.state, first.ca], ['certificate_by_ca', 'enabled', id]);
  assert.deepEqual([first.valid_from, first.expires_at].map(Date.parse), [validFrom, validTo].map(Date.parse));
  assert.equal(BigInt(`0x${first.serial}`), BigInt(`0x${before.serial}`));
  assert.ok(Date.parse(first.last_used_at) >= begun - 1000);
  await (await connect('lamp', renewed)).endAsync();
  assert.deepEqual((await listed(2)).map(({ serial }) => BigInt(`0x${serial}`)), [renewed, before].map(({ serial }) => BigInt(`0x${serial}`)));
  await server.cli('certificate', 'revoke', `acme/plant/${id}`, before.serial);
  assert.deepEqual((await list()).map(({ state }) => state), ['enabled', 'revoked']);
  await server.cli('ca', 'disable', `acme/plant/${id}`);
  assert.deepEqual((await list()).map(({ state }) => state), ['ca_disabled', 'revoked']);
  const change = await api('PATCH', `/devices/lamp/credentials/${first.id}`, { disabled: true });
  assert.match(change.body.error.message, /revoked under its CA/);
  await server.cli('ca', 'remove', `acme/plant/${id}`);
  assert.deepEqual(await list(), []);
});

test('the list of a CA is fetched from where it lies', async () => {
  const ca = pki.ca('Publisher'), leaf = pki.leaf('pub-1', ca);
  let list = pki.crl(ca, [], 1), asked = 0;
  const http = createServer((_, answer) => { asked += 1; answer.end(readFileSync(list)); });
  await new Promise((done) => { http.listen(0, '127.0.0.1', done); });
  await server.cli('device', 'create', 'acme/plant/pub-1');
  const added = await api('POST', '/cas', { pem: ca.cert, crl_url: `http://127.0.0.1:${http.address().port}/ca.crl` });
  const proof = pki.leaf('proof', ca, { subject: `/CN=${added.body.verification_code}` });
  assert.equal((await api('POST', `/cas/${added.body.id}/verify`, { pem: proof.cert })).status, 200);
  const client = await connect('pub-1', leaf), gone = ended(client);
  await eventually(async () => (await api('GET', `/cas/${added.body.id}`)).body.crl_next_update !== null, 15000, 'the first list');
  assert.equal(client.connected, true);
  list = pki.crl(ca, [leaf.serial], 2);
  await gone;
  await refused('pub-1', leaf, 'CERTIFICATE_REVOKED');
  http.close();
  http.closeAllConnections?.();
  assert.ok(asked >= 2);
});

test('the responder of a CA is asked: it answers itself or by whom it delegated that to, and nobody else does', async (t) => {
  const ca = pki.ca('Responder root'), stranger = pki.ca('Somebody else');
  const responder = (issuer, name, more = {}, use = 'extendedKeyUsage=OCSPSigning\n') => pki.sign(name, { subject: `/CN=${name}`, issuer, days: 7,
    extensions: `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n${use}subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n`, ...more });
  const signers = { 'ocsp-ca': ca, 'ocsp-delegated': responder(ca, 'delegated'), 'ocsp-leaf': responder(ca, 'no responder', {}, ''),
    'ocsp-late': responder(ca, 'expired', { days: -1 }), 'ocsp-stranger': responder(stranger, 'foreign'), 'ocsp-unknown': responder(ca, 'delegated 2'), 'ocsp-revoked': responder(ca, 'delegated 3') };
  const leaves = Object.fromEntries(Object.keys(signers).map((id) => [id, pki.leaf(id, ca)]));
  const index = pki.file('responder.index', Object.entries(leaves).filter(([id]) => id !== 'ocsp-unknown').map(([id, { serial }]) =>
    `${id === 'ocsp-revoked' ? 'R' : 'V'}\t351231235959Z\t${id === 'ocsp-revoked' ? '260101000000Z,keyCompromise' : ''}\t${serial.toUpperCase()}\tunknown\t/CN=${id}\n`).join(''));
  const asked = {};
  const http = createServer(async (question, answer) => {
    const chunks = [];
    for await (const chunk of question) chunks.push(chunk);
    const request = pki.file(`ocsp-${pki.count++}.der`, Buffer.concat(chunks)), response = `${request}.answer`;
    const { stdout } = await run('openssl', ['ocsp', '-reqin', request, '-req_text']);
    const serial = /Serial Number: ([0-9A-F]+)/.exec(stdout)[1].toLowerCase();
    const [id] = Object.entries(leaves).find(([, leaf]) => leaf.serial === serial);
    await run('openssl', ['ocsp', '-index', index, '-CA', ca.certFile, '-rsigner', signers[id].certFile, '-rkey', signers[id].keyFile,
      '-ndays', '1', '-reqin', request, '-respout', response]);
    answer.once('finish', () => { asked[id] = (asked[id] ?? 0) + 1; }); // whoever gave up before asks again
    answer.writeHead(200, { 'content-type': 'application/ocsp-response' }).end(readFileSync(response));
  });
  t.after(() => { http.close(); http.closeAllConnections(); });
  await new Promise((done) => { http.listen(0, '127.0.0.1', done); });
  const added = await api('POST', '/cas', { pem: ca.cert, ocsp_url: `http://127.0.0.1:${http.address().port}/` });
  assert.equal(added.status, 201, added.text);
  const proof = pki.leaf('proof', ca, { subject: `/CN=${added.body.verification_code}` });
  assert.equal((await api('POST', `/cas/${added.body.id}/verify`, { pem: proof.cert })).status, 200);
  for (const id of Object.keys(signers)) {
    await server.cli('device', 'create', `acme/plant/${id}`);
    await refused(id, leaves[id], 'REVOCATION_UNKNOWN', /has not said that certificate/); // nobody waits for a responder
  }
  await eventually(() => Object.keys(signers).every((id) => asked[id] >= 1), 20000, 'each was asked about');
  for (const id of ['ocsp-ca', 'ocsp-delegated']) {
    await eventually(async () => { try { await (await connect(id, leaves[id])).endAsync(); return true; } catch { return false; } }, 10000, id);
    assert.equal(asked[id], 1, 'an answer is kept as long as it holds');
  }
  await eventually(async () => (await api('GET', `/cas/${added.body.id}/revocations`)).body.revocations.some(({ serial }) => serial === leaves['ocsp-revoked'].serial), 10000, 'it is revoked');
  await refused('ocsp-revoked', leaves['ocsp-revoked'], 'CERTIFICATE_REVOKED');
  for (const id of ['ocsp-leaf', 'ocsp-late', 'ocsp-stranger', 'ocsp-unknown']) await refused(id, leaves[id], 'REVOCATION_UNKNOWN');
});

// A responder's answer with another end: a minute is the least that openssl gives one. Signed anew with the RSA key, whose signature
// is the last that stands in it (there are no certificates), as long as the one before.
function endingAt(der, end, key) {
  const answer = Buffer.from(der), basic = answer.indexOf(Buffer.from('06092b0601050507300101', 'hex')) + 11;
  const inside = (at) => at + 2 + (answer[at + 1] & 0x80 ? answer[at + 1] & 0x7f : 0); // past tag and length
  const signed = inside(inside(basic)), from = inside(signed), size = answer.readUIntBE(signed + 2, from - signed - 2);
  const next = answer.lastIndexOf(Buffer.from('a011180f', 'hex'));
  assert.ok(next > from && next < from + size);
  answer.write(`${end.toISOString().replace(/[-:T]|\.\d+/g, '')}`, next + 4, 'latin1');
  sign('sha256', answer.subarray(signed, from + size), key).copy(answer, answer.length - 256);
  return answer;
}

test('what a responder says later of a certificate ends the session that it carries', async (t) => {
  const ca = pki.sign('Late root', { subject: '/CN=Late root', days: 30, kind: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
    extensions: 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' });
  const leaf = pki.leaf('late-1', ca);
  let revoked = false, asked = 0;
  const http = createServer(async (question, answer) => {
    const chunks = [];
    for await (const chunk of question) chunks.push(chunk);
    const request = pki.file(`late-${pki.count++}.der`, Buffer.concat(chunks)), response = `${request}.answer`;
    const index = pki.file(`late-${pki.count++}.index`, `${revoked ? 'R\t351231235959Z\t260101000000Z,keyCompromise' : 'V\t351231235959Z\t'}\t${leaf.serial.toUpperCase()}\tunknown\t/CN=late-1\n`);
    await run('openssl', ['ocsp', '-index', index, '-CA', ca.certFile, '-rsigner', ca.certFile, '-rkey', ca.keyFile, '-resp_no_certs', '-nmin', '1', '-reqin', request, '-respout', response]);
    asked++;
    answer.writeHead(200, { 'content-type': 'application/ocsp-response' }).end(endingAt(readFileSync(response), new Date(Date.now() + 5000), ca.key));
  });
  t.after(() => { http.close(); http.closeAllConnections(); });
  await new Promise((done) => { http.listen(0, '127.0.0.1', done); });
  const added = await api('POST', '/cas', { pem: ca.cert, ocsp_url: `http://127.0.0.1:${http.address().port}/` });
  assert.equal(added.status, 201, added.text);
  const proof = pki.leaf('proof', ca, { subject: `/CN=${added.body.verification_code}` });
  assert.equal((await api('POST', `/cas/${added.body.id}/verify`, { pem: proof.cert })).status, 200);
  await server.cli('device', 'create', 'acme/plant/late-1');
  await refused('late-1', leaf, 'REVOCATION_UNKNOWN');
  const client = await eventually(async () => { try { return await connect('late-1', leaf); } catch { return undefined; } }, 20000, 'it is good');
  const gone = ended(client);
  revoked = true;
  await eventually(() => !client.connected, 30000, 'the session ends');
  await gone;
  assert.ok(asked >= 2);
  await refused('late-1', leaf, 'CERTIFICATE_REVOKED');
});

test("mosquitto's clients sign in by certificate", async () => {
  const leaf = pki.leaf('mosq-1', root);
  await server.cli('device', 'create', 'acme/plant/mosq-1');
  const common = ['-h', '127.0.0.1', '-p', `${server.port}`, '--cafile', server.caFile, '--cert', leaf.certFile, '--key', leaf.keyFile, '-u', 'acme/plant/mosq-1'];
  const child = spawn('mosquitto_sub', [...common, '-i', 'sub', '-t', 'hall/#', '-C', '1', '-W', '20'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  const done = new Promise((end) => { child.once('close', end); });
  await eventually(async () => { await run('mosquitto_pub', [...common, '-i', 'pub', '-t', 'hall/1', '-m', 'warm', '-q', '1']); return out !== ''; });
  await done;
  assert.equal(out, 'warm\n');
});

test('what the certificate says stands in policies, also on a live session', async () => {
  const vars = (topic) => pki.file('vars.json', JSON.stringify({ Version: '2012-10-17', Statement: [
    { Effect: 'Allow', Action: ['publish', 'receive'], Resource: `topic/${topic}` },
    { Effect: 'Allow', Action: 'connect', Resource: 'client/${iot:Certificate.Subject.CommonName}' }] }));
  await server.cli('tenant', 'create', 'vars');
  await server.cli('registry', 'create', 'vars/plant');
  const at = '/api/v1/tenants/vars/registries/plant';
  const own = pki.leaf('vary-1', undefined, { subject: '/O=Example/OU=north/OU=Night * Day/CN=vary-1', extensions: 'subjectAltName=DNS:vary-1.example.org\n' });
  await server.cli('device', 'create', 'vars/plant/vary-1', '--certificate', own.certFile, '--password-file', pki.file('secret', 'Zq3vYb8mKx1tRw6nLd9s\n'));
  await server.cli('policy', 'put', 'vars/own', vars('${certificate.Subject.OrganizationalUnit}/${iot:Certificate.Subject.AlternativeName.DNSName}'));
  await server.cli('policy', 'attach', 'vars/own', 'vars/plant');
  const client = await connect('vary-1', own, { username: 'vars/plant/vary-1', protocolVersion: 5, servername: 'gatehouse.test', checkServerIdentity: () => undefined });
  const may = async (topic) => client.publishAsync(topic, 'x', { qos: 1 }).then(() => true, () => false);
  assert.equal(await may('north/vary-1.example.org'), true);
  assert.equal(await may('south/vary-1.example.org'), false);
  // A value with a letter that could be a wildcard has no value.
  await server.cli('policy', 'put', 'vars/own', vars('${certificate.Subject.OrganizationalUnit.1}/*'));
  await eventually(async () => !(await may('north/vary-1.example.org')), 5000, 'the new policy holds');
  assert.equal(await may('Night * Day/x'), false);
  await server.cli('policy', 'put', 'vars/own', vars('${certificate.SerialNumber}/${certificate.Issuer.Organization}'));
  await eventually(async () => may(`${own.serial}/Example`), 5000, 'the serial number');
  await server.cli('policy', 'put', 'vars/own', vars('${source}/${aws:SourceIp}/${server}'));
  await eventually(async () => may('127.0.0.1/127.0.0.1/gatehouse.test'), 5000, 'from where, and to which name');
  await server.cli('policy', 'put', 'vars/own', vars('${certificate.SerialNumber}/${certificate.Issuer.Organization}'));
  await client.endAsync();
  const { credentials } = (await server.call('GET', `${at}/devices/vary-1`, { token })).body;
  const explain = (...more) => server.cli('policy', 'explain', 'vars/plant/vary-1', 'publish', `${own.serial}/Example`, ...more);
  assert.match(await explain('--credential', credentials.find(({ kind }) => kind !== 'password').id), /^allow: policy own/);
  assert.match(await explain(), /^no match.*\n(.*\n)*note: policy own, statement 1: \$\{certificate\.SerialNumber\} has no value/);
  // By another credential the same device has no such values.
  await assert.rejects(connect('vary-1', {}, { username: 'vars/plant/vary-1', password: 'Zq3vYb8mKx1tRw6nLd9s' }), /Not authorized/i);
});

test('a policy is attached to a certificate under a CA', async () => {
  const leaf = pki.leaf('signed-1', root);
  const list = (await api('GET', '/cas')).body.cas;
  if (!list.some(({ state }) => state === 'active')) await addCa(root);
  await server.cli('device', 'create', 'acme/plant/signed-1');
  const client = await connect('signed-1', leaf, { protocolVersion: 5 });
  const { credential } = (await api('GET', '/devices/signed-1')).body.connection;
  assert.match(credential, /^ca-\d+-/);
  const may = async (topic) => client.publishAsync(topic, 'x', { qos: 1 }).then(() => true, () => false);
  assert.equal(await may('a/b'), true);
  await server.cli('policy', 'put', 'acme/mute', pki.file('mute.json', JSON.stringify({ Statement: { Effect: 'Deny', Action: 'publish', Resource: '*' } })));
  await server.cli('policy', 'attach', 'acme/mute', 'acme/plant/signed-1', '--credential', credential);
  await eventually(async () => !(await may('a/b')), 5000, 'it holds');
  await server.cli('policy', 'detach', 'acme/mute', 'acme/plant/signed-1', '--credential', credential);
  await eventually(async () => may('a/b'), 5000, 'it holds no longer');
  await client.endAsync();
});
