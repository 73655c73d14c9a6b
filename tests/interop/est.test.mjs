// The built-in CA for devices: EST with curl and openssl, issuing and revoking by the operator.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import mqtt from 'mqtt';
import { Pki } from '../lib/pki.mjs';
import { Server, assertSoon } from '../lib/server.mjs';

const run = promisify(execFile);
let server, pki, token;
const base = '/api/v1/tenants/acme/registries/plant';
const openssl = (args, input) => execFileSync('openssl', args, { input, stdio: ['pipe', 'pipe', 'pipe'] }).toString();

before(async () => {
  pki = new Pki();
  server = await (await Server.create()).start();
  token = await server.token();
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/plant');
  await server.cli('policy', 'put', 'acme/all', pki.file('all.json', JSON.stringify({ Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: ['connect', 'publish'], Resource: ['client/*', 'topic/*'] }] })));
  await server.cli('policy', 'attach', 'acme/all', 'acme');
  for (const id of ['est-1', 'est-2', 'est.3', 'est-4']) await server.cli('device', 'create', `acme/plant/${id}`);
});
after(async () => { await server?.close(); pki?.close(); });

// curl as an EST client: { status, body }.
async function curl(path, { request, user, leaf } = {}) {
  const { stdout } = await run('curl', ['-sS', '--cacert', server.caFile, '-w', '\n%{http_code}', ...(user ? ['-u', user] : []),
    ...(leaf ? ['--cert', leaf.certFile, '--key', leaf.keyFile] : []),
    ...(request ? ['-H', 'Content-Type: application/pkcs10', '-H', 'Content-Transfer-Encoding: base64', '--data-binary', `@${request}`] : []),
    `https://127.0.0.1:${server.port}/.well-known/est/${path}`]);
  const at = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) };
}
// A request's body: { file, keyFile }.
function csr(name, subject, kind) {
  const keyFile = pki.key(name, kind), pem = openssl(['req', '-new', '-key', keyFile, '-subj', subject]);
  return { pem: pki.file(`${name}.csr.pem`, pem), keyFile, file: pki.file(`${name}.b64`, pem.replace(/-----[^\n]*\n/g, '')) };
}
const certificatesOf = (body) => openssl(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(body, 'base64'));
function leafOf(name, answer, keyFile) {
  assert.equal(answer.status, 200, answer.body);
  const cert = certificatesOf(answer.body);
  return { certFile: pki.file(`${name}.crt`, cert), keyFile, cert, key: readFileSync(keyFile, 'utf8') };
}
const enrolment = async (id) => JSON.parse(await server.cli('device', 'enrol', `acme/plant/${id}`, '--json')).token;
const connect = (id, leaf) => new Promise((done, fail) => {
  const client = mqtt.connect({ protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: server.ca, username: `acme/plant/${id}`,
    cert: leaf.cert, key: leaf.key, clientId: id, reconnectPeriod: 0 });
  client.once('connect', () => done(client));
  client.once('error', (error) => { client.end(true); fail(error); });
});
const lastRefusal = async (id) => (await server.call('GET', `${base}/devices/${id}/log?kind=refusal`, { token })).body.entries[0];

test('a device enrols with its token, once, connects, and enrols again with its certificate', async () => {
  const secret = await enrolment('est-1'), user = `acme/plant/est-1:${secret}`;
  const request = csr('est-1', '/CN=est-1');
  assert.equal((await curl('simpleenroll', { request: request.file })).status, 401);
  assert.equal((await curl('simpleenroll', { request: request.file, user: `acme/plant/est-2:${secret}` })).status, 401);
  assert.match((await lastRefusal('est-2')).detail, /another device's/);
  const leaf = leafOf('est-1', await curl('simpleenroll', { request: request.file, user }), request.keyFile);
  assert.equal((await curl('simpleenroll', { request: request.file, user })).status, 401, 'a token is good once');
  const text = openssl(['x509', '-noout', '-text', '-in', leaf.certFile]);
  assert.match(text, /Issuer: CN = Devices of acme/);
  assert.match(text, /URI:gatehouse:device:acme:plant:est-1/);
  assert.match(text, /TLS Web Client Authentication/);
  const client = await connect('est-1', leaf);
  await client.publishAsync('a', 'b', { qos: 1 });
  await client.endAsync();
  await assert.rejects(connect('est-2', leaf));
  assert.equal((await lastRefusal('est-2')).reason, 'CERTIFICATE_NAME');
  const next = csr('est-1-next', '/CN=est-1');
  const renewed = leafOf('est-1-next', await curl('acme/simplereenroll', { request: next.file, leaf }), next.keyFile);
  assert.notEqual(renewed.cert, leaf.cert);
  await (await connect('est-1', renewed)).endAsync();
  await (await connect('est-1', leaf)).endAsync(); // two generations
  assert.equal((await curl('simplereenroll', { request: next.file })).status, 401);
  assert.equal((await curl('other/simplereenroll', { request: next.file, leaf })).status, 401, 'another label');
});

test('what is wrong with a request is refused', async () => {
  for (const [name, subject, kind, status] of [['wrong-name', '/CN=est-1', undefined, 400], ['weak', '/CN=est-2', ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024'], 400],
    ['curve', '/CN=est-2', ['EC', '-pkeyopt', 'ec_paramgen_curve:P-192'], 400]]) {
    const answer = await curl('simpleenroll', { request: csr(name, subject, kind).file, user: `acme/plant/est-2:${await enrolment('est-2')}` });
    assert.equal(answer.status, status, name);
  }
  const forged = pki.file('forged', readFileSync(csr('good', '/CN=est-2').file, 'utf8').replace(/.{8}==?\s*$|.{8}\s*$/, 'AAAAAAAA\n'));
  assert.equal((await curl('simpleenroll', { request: forged, user: `acme/plant/est-2:${await enrolment('est-2')}` })).status, 400);
  await server.cli('device', 'block', 'acme/plant/est-4');
  assert.equal((await curl('simpleenroll', { request: csr('blocked', '/CN=est-4').file, user: `acme/plant/est-4:${await enrolment('est-4')}` })).status, 401);
});

test('cacerts and csrattrs need nobody to sign in; the issuing CA cannot make a server', async () => {
  const all = certificatesOf((await curl('acme/cacerts')).body);
  assert.equal(all.match(/BEGIN CERTIFICATE/g).length, 3, 'root, intermediate CA, issuing CA');
  assert.equal(certificatesOf((await curl('cacerts')).body).match(/BEGIN CERTIFICATE/g).length, 2);
  const attributes = openssl(['asn1parse', '-inform', 'DER'], Buffer.from((await curl('csrattrs')).body, 'base64'));
  assert.match(attributes, /ecdsa-with-SHA256[\s\S]*id-ecPublicKey[\s\S]*prime256v1/);
  const issuer = pki.file('issuing.crt', (await server.call('GET', '/pki/acme/ca.crt')).text);
  assert.match(openssl(['verify', '-CAfile', server.caFile, '-untrusted', pki.file('all.crt', all), issuer]), /OK/);
  const text = openssl(['x509', '-noout', '-text', '-in', issuer]);
  assert.match(text, /X509v3 Name Constraints: critical[\s\S]*Excluded/);
  assert.match(text, /CA:TRUE, pathlen:0/);
});

test('the operator issues, lists and revokes; the list that the CA publishes says so', async () => {
  const { pem, keyFile } = csr('issued', '/CN=est.3'), out = pki.file('issued.crt');
  const shown = JSON.parse(await server.cli('certificate', 'issue', 'acme/plant/est.3', pem, '--days', '2', '--out', out, '--json'));
  const leaf = { cert: readFileSync(out, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  assert.match(openssl(['verify', '-CAfile', server.caFile, '-untrusted', out, '-purpose', 'sslclient', out]), /OK/);
  const client = await connect('est.3', leaf);
  assert.match(await server.cli('certificate', 'list', 'acme/plant/est.3'), new RegExp(shown.serial));
  const gone = new Promise((done) => { client.once('close', done); }), started = performance.now();
  await server.cli('certificate', 'revoke', `acme/plant/${shown.ca}`, shown.serial, '--reason', 'superseded');
  await gone;
  assertSoon(started, 'the session ends');
  await assert.rejects(connect('est.3', leaf));
  assert.equal((await lastRefusal('est.3')).reason, 'CERTIFICATE_REVOKED');
  const issuer = pki.file('issuing2.crt', (await server.call('GET', '/pki/acme/ca.crt')).text);
  const crl = pki.file('acme.crl');
  await run('curl', ['-sS', '--cacert', server.caFile, '-o', crl, `https://127.0.0.1:${server.port}/pki/acme/ca.crl`]);
  const text = openssl(['crl', '-inform', 'DER', '-in', crl, '-noout', '-text', '-CAfile', issuer]);
  assert.match(text.replaceAll(':', '').toLowerCase(), new RegExp(`serial number 0?${shown.serial}`));
  assert.match(text, /Superseded/);
  assert.equal((await server.call('GET', '/pki/nobody/ca.crl')).status, 404);
});

test("openssl ocsp asks about a certificate, and s_client gets the server's stapled", async () => {
  const { pem } = csr('ocsp', '/CN=est-2'), out = pki.file('ocsp.crt');
  const shown = JSON.parse(await server.cli('certificate', 'issue', 'acme/plant/est-2', pem, '--out', out, '--json'));
  const issuer = pki.file('issuing3.crt', (await server.call('GET', '/pki/acme/ca.crt')).text);
  const request = pki.file('request.der'), answer = pki.file('answer.der');
  const ask = async (way, ...which) => {
    openssl(['ocsp', '-issuer', issuer, ...which, '-reqout', request, ...(way === 'GET' ? ['-no_nonce'] : [])]);
    const url = `https://127.0.0.1:${server.port}/pki/acme/ocsp`;
    await run('curl', ['-sS', '--fail', '--cacert', server.caFile, '-o', answer, ...(way === 'POST'
      ? ['-H', 'Content-Type: application/ocsp-request', '--data-binary', `@${request}`, url]
      : [`${url}/${encodeURIComponent(readFileSync(request).toString('base64'))}`])]);
    const verify = await run('openssl', ['ocsp', '-issuer', issuer, ...which, '-respin', answer, '-reqin', request, '-no_nonce', '-VAfile', issuer, '-CAfile', server.caFile]);
    assert.match(verify.stderr, /Response verify OK/);
    return verify.stdout;
  };
  assert.match(await ask('POST', '-cert', out), /: good/);
  assert.match(await ask('GET', '-cert', out), /: good/);
  assert.match(await ask('POST', '-serial', '0x1234'), /: unknown/);
  await server.cli('certificate', 'revoke', `acme/plant/${shown.ca}`, shown.serial, '--reason', 'key_compromise');
  assert.match(await ask('POST', '-cert', out), /: revoked[\s\S]*keyCompromise/);
  const { stdout } = await run('sh', ['-c', `openssl s_client -connect 127.0.0.1:${server.port} -CAfile ${server.caFile} -status </dev/null 2>/dev/null`]);
  assert.match(stdout, /OCSP Response Status: successful[\s\S]*Cert Status: good/);
});

test('a certificate names its issuer, its list and its responder, and openssl follows each', async (t) => {
  // Over http, where openssl goes by itself: a proxy as the operator has one, which lets in /pki/ and nothing else.
  const proxy = createServer((request, response) => {
    if (!request.url.startsWith('/pki/')) return response.writeHead(404).end();
    const { method, headers: { 'content-type': type, 'content-length': length } } = request;
    request.pipe(https.request(`${server.url}${request.url}`, { method, ca: server.ca, headers: { ...(type && { 'content-type': type }), ...(length && { 'content-length': length }) } },
      (answer) => { response.writeHead(answer.statusCode, answer.headers); answer.pipe(response); }));
  }).listen(0, '127.0.0.1');
  t.after(() => { proxy.closeAllConnections(); proxy.close(); });
  await once(proxy, 'listening');
  const place = `http://127.0.0.1:${proxy.address().port}`;
  await server.stop();
  server.options = [...server.options, '--pki-url', place];
  await server.start();
  const { pem } = csr('pointers', '/CN=est-2'), out = pki.file('pointers.crt');
  const shown = JSON.parse(await server.cli('certificate', 'issue', 'acme/plant/est-2', pem, '--out', out, '--json'));
  const text = openssl(['x509', '-in', out, '-noout', '-text']);
  for (const [what, rest] of [['CA Issuers', 'ca.cer'], ['OCSP', 'ocsp'], ['CRL Distribution Points', 'ca.crl']])
    assert.match(text, new RegExp(`${what}[^/]*URI:${place}/pki/acme/${rest}\\b`));
  assert.equal(openssl(['x509', '-in', out, '-noout', '-ocsp_uri']).trim(), `${place}/pki/acme/ocsp`);
  const issuer = pki.file('issuing4.cer'), issuerPem = pki.file('issuing4.crt');
  await run('curl', ['-sS', '--fail', '-o', issuer, `${place}/pki/acme/ca.cer`]);
  openssl(['x509', '-inform', 'DER', '-in', issuer, '-out', issuerPem]);
  const all = pki.file('all.crt', certificatesOf((await curl('acme/cacerts')).body));
  const verify = () => run('openssl', ['verify', '-CAfile', server.caFile, '-untrusted', all, '-crl_check', '-crl_download', out]);
  const ocsp = async () => (await run('openssl', ['ocsp', '-issuer', issuerPem, '-cert', out, '-url', `${place}/pki/acme/ocsp`,
    '-VAfile', issuerPem, '-CAfile', server.caFile])).stdout;
  assert.match((await verify()).stdout, /: OK/);
  assert.match(await ocsp(), /: good/);
  const request = pki.file('again.der');
  openssl(['ocsp', '-issuer', issuerPem, '-cert', out, '-no_nonce', '-reqout', request]);
  const get = `/pki/acme/ocsp/${encodeURIComponent(readFileSync(request).toString('base64'))}`;
  const [one, two] = [await server.call('GET', get), await server.call('GET', get)];
  assert.match(one.headers['cache-control'], /^max-age=(3600|35\d\d), public/);
  assert.equal(one.text, two.text, 'signed once');
  await server.cli('certificate', 'revoke', `acme/plant/${shown.ca}`, shown.serial, '--reason', 'superseded');
  await assert.rejects(verify(), /certificate revoked/);
  assert.match(await ocsp(), /: revoked/);
  assert.notEqual((await server.call('GET', get)).text, one.text, 'what was kept is not given any more');
});

test('the CA survives a restart, and its key lies nowhere in the clear', async () => {
  await server.stop();
  assert.doesNotMatch(readFileSync(`${server.data}/registry.db`).toString('latin1'), /BEGIN PRIVATE KEY/);
  await server.start();
  const { pem } = csr('later', '/CN=est-2');
  assert.match(await server.cli('certificate', 'issue', 'acme/plant/est-2', pem), /BEGIN CERTIFICATE/);
});
