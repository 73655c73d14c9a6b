// Access tokens by client certificate (RFC 8705): the token endpoint over mutual TLS with openid-client, oauth4webapi and
// jose, unmodified, and the token that is bound to the certificate at every door, with MQTT.js and over HTTPS.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import https from 'node:https';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { Pki } from '../lib/pki.mjs';
import { patience } from '../lib/sanitizer.mjs';
import { assertSoon, eventually, Server } from '../lib/server.mjs';

const secret = 'q8Zt0bWc5vYk2nLr7xHd';
const base = '/api/v1/tenants/acme/registries/hall';
let server, pki, ca, caId, operator, own, issued;

before(async () => {
  pki = new Pki();
  server = await (await Server.create()).start();
  operator = await server.token();
  await server.cli('tenant', 'create', 'acme', '--google-project', 'acme-project');
  await server.cli('registry', 'create', 'acme/hall');
  await server.cli('policy', 'put', 'acme/all', pki.file('policy.json', JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: ['connect', 'publish', 'subscribe', 'receive'], Resource: ['*'] }],
  })));
  await server.cli('policy', 'attach', 'acme/all', 'acme');
  own = pki.leaf('own-1'); // signed by itself
  await server.cli('device', 'create', 'acme/hall/own-1', '--certificate', own.certFile, '--password-file', pki.file('secret', secret));
  ({ ca, id: caId } = await addCa('Hall root'));
  issued = pki.leaf('ca-1', ca);
  for (const id of ['ca-1', 'ca-2', 'ca-3', 'ca-4', 'ca-5', 'ca-6', 'ca-7', 'ca-8']) await server.cli('device', 'create', `acme/hall/${id}`);
});
after(async () => { await server?.close(); pki?.close(); });

async function addCa(name) {
  const made = pki.ca(name);
  const added = await server.call('POST', `${base}/cas`, { token: operator, body: { pem: made.cert } });
  const proof = pki.leaf('proof', made, { subject: `/CN=${added.body.verification_code}` });
  const { status, text } = await server.call('POST', `${base}/cas/${added.body.id}/verify`, { token: operator, body: { pem: proof.cert } });
  assert.equal(status, 200, text);
  return { ca: made, id: added.body.id };
}

// The certificate in the handshake; each call a connection of its own.
const shows = (leaf) => new https.Agent({ ca: server.ca, ...(leaf ? { cert: leaf.cert, key: leaf.key } : {}), keepAlive: false });
const post = (path, fields, leaf, headers = {}) => server.call('POST', path, { agent: shows(leaf),
  body: new URLSearchParams(fields).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });
const ask = (name, leaf, fields = {}) =>
  post('/oauth2/token', { grant_type: 'client_credentials', client_id: `acme/hall/${name}`, ...fields }, leaf);
async function token(name, leaf, fields) {
  const { status, body, text } = await ask(name, leaf, fields);
  assert.equal(status, 200, text);
  return body.access_token;
}
const self = (jwt, leaf) => server.call('GET', '/api/v1/device', { token: jwt, agent: shows(leaf) });
const thumbprint = (leaf) => createHash('sha256').update(new X509Certificate(leaf.cert).raw).digest('base64url');
const claims = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const basic = { authorization: `Basic ${Buffer.from(`acme%2Fhall%2Fown-1:${secret}`).toString('base64')}` };

function connect(name, password, leaf, more = {}) {
  return new Promise((done, fail) => {
    const session = mqtt.connect(`mqtts://127.0.0.1:${server.port}`, { ca: server.ca, protocolVersion: 5, reconnectPeriod: 0,
      username: `acme/hall/${name}`, password, clientId: '', ...(leaf ? { cert: leaf.cert, key: leaf.key } : {}), ...more });
    session.once('connect', () => done(session));
    session.once('error', (error) => { session.end(true); fail(error); });
  });
}
// When it was closed; rejects when it stays open.
const closing = (session) => new Promise((done, fail) => {
  const timer = setTimeout(() => fail(new Error('the session goes on')), 5000 * patience);
  session.once('close', () => { clearTimeout(timer); done(performance.now()); });
});
const refusal = async (name) => (await server.call('GET', `${base}/devices/${name}/log?kind=refusal`, { token: operator })).body.entries[0]?.reason;
const refusedFor = (name, reason) => eventually(async () => await refusal(name) === reason, 5000, `${name} ${reason}`);

// fetch as the libraries want it, with a certificate in the handshake.
const fetchAs = (leaf) => (url, { method = 'GET', headers = {}, body } = {}) => new Promise((done, fail) => {
  const request = https.request(url, { method, agent: shows(leaf), headers: Object.fromEntries(new Headers(headers)) }, (response) => {
    const chunks = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('end', () => done(new Response(Buffer.concat(chunks), { status: response.statusCode, headers: response.headers })));
    response.on('error', fail);
  });
  request.on('error', fail);
  request.end(body === undefined || body === null ? undefined : String(body));
});
const skip = Number(process.versions.node.split('.')[0]) < 20 && 'the libraries need Node 20';

test('openid-client: tls_client_auth, a bound token that jose verifies, introspection, revocation', { skip }, async () => {
  const [openid, jose] = [await import('openid-client'), await import('jose')];
  for (const [name, leaf] of [['ca-1', issued], ['own-1', own]]) {
    const config = await openid.discovery(new URL(server.url), `acme/hall/${name}`, { use_mtls_endpoint_aliases: true },
      openid.TlsClientAuth(), { [openid.customFetch]: fetchAs(leaf) });
    const metadata = config.serverMetadata();
    assert.equal(metadata.tls_client_certificate_bound_access_tokens, true);
    for (const endpoint of ['token', 'introspection', 'revocation']) {
      assert.deepEqual(metadata[`${endpoint}_endpoint_auth_methods_supported`],
        ['client_secret_basic', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']);
      assert.equal(metadata.mtls_endpoint_aliases[`${endpoint}_endpoint`], metadata[`${endpoint}_endpoint`]);
    }
    const tokens = await openid.clientCredentialsGrant(config);
    const set = jose.createRemoteJWKSet(new URL(metadata.jwks_uri), { [jose.customFetch]: fetchAs() });
    const { payload } = await jose.jwtVerify(tokens.access_token, set, { issuer: server.url, audience: server.url, typ: 'at+jwt' });
    assert.deepEqual(payload.cnf, { 'x5t#S256': thumbprint(leaf) });
    const active = await openid.tokenIntrospection(config, tokens.access_token);
    assert.equal(active.active, true);
    assert.deepEqual(active.cnf, payload.cnf);
    assert.equal((await openid.fetchProtectedResource(config, tokens.access_token, new URL(`${server.url}/api/v1/device`), 'GET')).status, 200);
    await openid.tokenRevocation(config, tokens.access_token);
    assert.deepEqual(await openid.tokenIntrospection(config, tokens.access_token), { active: false });
  }
});

test('oauth4webapi: tls_client_auth, ES256 and RS256', { skip }, async () => {
  const oauth = await import('oauth4webapi');
  const options = { [oauth.customFetch]: fetchAs(issued) }, issuer = new URL(server.url);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }));
  const client = { client_id: 'acme/hall/ca-1', use_mtls_endpoint_aliases: true };
  for (const alg of ['ES256', 'RS256']) {
    const response = await oauth.clientCredentialsGrantRequest(as, client, oauth.TlsClientAuth(), new URLSearchParams({ token_signing_alg: alg }), options);
    const { access_token: jwt } = await oauth.processClientCredentialsResponse(as, client, response);
    assert.equal(JSON.parse(Buffer.from(jwt.split('.')[0], 'base64url')).alg, alg);
    assert.equal((await self(jwt, issued)).status, 200);
  }
});

test('a bound token is worth nothing without its certificate, at every door', async () => {
  const registry = '/v1/projects/acme-project/locations/any/registries/hall';
  const bound = await server.call('POST', `${registry}:setIamPolicy`, { token: operator, body: {
    policy: { bindings: [{ role: 'roles/cloudiot.viewer', members: ['device:acme/hall/ca-1', 'device:acme/hall/own-1'] }] } } });
  assert.equal(bound.status, 200, bound.text);
  for (const [name, leaf, other] of [['ca-1', issued, own], ['own-1', own, issued]]) {
    const jwt = await token(name, leaf);
    assert.deepEqual(claims(jwt).cnf, { 'x5t#S256': thumbprint(leaf) });
    const session = await connect(name, jwt, leaf);
    await session.publishAsync('a/b', 'hello', { qos: 1 });
    await session.endAsync();
    const over5 = await connect(name, undefined, leaf, { properties: { authenticationMethod: 'JWT', authenticationData: Buffer.from(jwt) } });
    await over5.endAsync();
    for (const wrong of [undefined, other, pki.leaf(name, ca)]) {
      await assert.rejects(connect(name, jwt, wrong));
      await refusedFor(name, 'TOKEN_BINDING');
      assert.equal((await self(jwt, wrong)).status, 401);
      assert.equal((await server.call('GET', `${registry}/devices/${name}`, { token: jwt, agent: shows(wrong) })).status, 401);
    }
    assert.equal((await self(jwt, leaf)).status, 200);
    assert.equal((await server.call('GET', `${registry}/devices/${name}`, { token: jwt, agent: shows(leaf) })).status, 200);
  }
});

test('over gRPC a bound token is taken with its certificate, and with no other and none', async () => {
  const grpc = await import('@grpc/grpc-js');
  const name = Buffer.from('projects/acme-project/locations/any/registries/hall/devices/ca-1');
  const request = Buffer.concat([Buffer.from([0x0a, name.length]), name]); // GetDeviceRequest: field 1
  const ask = (jwt, leaf) => new Promise((done) => {
    const channel = grpc.credentials.createSsl(server.ca, ...(leaf ? [Buffer.from(leaf.key), Buffer.from(leaf.cert)] : []));
    const client = new grpc.Client(`127.0.0.1:${server.port}`, channel), metadata = new grpc.Metadata();
    metadata.set('authorization', `Bearer ${jwt}`);
    client.makeUnaryRequest('/google.cloud.iot.v1.DeviceManager/GetDevice', (bytes) => bytes, (bytes) => bytes, request, metadata,
      (error, answer) => { client.close(); done(error ? error.code : answer); });
  });
  const jwt = await token('ca-1', issued);
  const device = await ask(jwt, issued);
  assert.ok(Buffer.isBuffer(device) && device.includes('ca-1'), String(device));
  for (const wrong of [undefined, own]) assert.equal(await ask(jwt, wrong), grpc.status.UNAUTHENTICATED);
});

test('a token that was asked for by secret over mutual TLS is bound too; one that was not is not', async () => {
  const { body } = await post('/oauth2/token', { grant_type: 'client_credentials' }, own, basic);
  assert.equal(claims(body.access_token).cnf['x5t#S256'], thumbprint(own));
  const plain = await post('/oauth2/token', { grant_type: 'client_credentials' }, undefined, basic);
  assert.equal(claims(plain.body.access_token).cnf, undefined);
  assert.equal((await self(plain.body.access_token, issued)).status, 200, 'whatever certificate comes with it');
  await (await connect('own-1', plain.body.access_token, own)).endAsync();
});

test('a certificate that does not prove the device gets no token, and nobody is told why', async () => {
  const stranger = pki.ca('Stranger');
  const rows = [
    ['ca-2', undefined, 'NO_CREDENTIAL'], ['ca-2', issued, 'CERTIFICATE_NAME'], ['ca-3', pki.leaf('ca-3', stranger), 'CERTIFICATE_UNKNOWN'],
    ['ca-4', pki.leaf('ca-4', ca, { days: -1 }), 'CERTIFICATE_EXPIRED'], ['own-1', issued, 'CERTIFICATE_NAME'],
  ];
  for (const [name, leaf, reason] of rows) {
    const answer = await ask(name, leaf);
    assert.equal(answer.status, 401, `${name} ${reason}`);
    assert.deepEqual(answer.body, { error: 'invalid_client' });
    if (leaf) await refusedFor(name, reason);
  }
  assert.equal((await post('/oauth2/token', { grant_type: 'client_credentials' }, issued)).body.error, 'invalid_client', 'no client_id');
});

test('a token lives no longer than the certificate', async () => {
  const short = pki.leaf('own-2', undefined, { days: 1 });
  await server.cli('device', 'create', 'acme/hall/own-2', '--certificate', short.certFile);
  const soon = new Date(Date.now() + 600_000).toISOString();
  assert.equal((await server.call('PATCH', `${base}/devices/own-2`, { token: operator,
    body: { credentials: [{ pem: short.cert, expires_at: soon }] } })).status, 200);
  const { body } = await ask('own-2', short);
  assert.ok(body.expires_in > 500 && body.expires_in <= 600, body.expires_in);
});

test('revoking the certificate, disabling and removing its CA: the token ends with them, and its session', async () => {
  const { ca: root, id } = await addCa('Revoker');
  const api = (method, path, body) => server.call(method, `${base}/cas/${id}${path}`, { token: operator, body });
  const steps = [
    ['ca-5', 'CERTIFICATE_REVOKED', (leaf) => server.cli('certificate', 'revoke', `acme/hall/${id}`, leaf.serial)],
    ['ca-6', 'CA_DISABLED', async () => assert.equal((await api('PATCH', '', { enabled: false })).status, 200),
      () => server.cli('ca', 'enable', `acme/hall/${id}`)],
    ['ca-7', 'NO_CREDENTIAL', () => server.cli('ca', 'remove', `acme/hall/${id}`)],
  ];
  for (const [name, reason, act, undo] of steps) {
    const leaf = pki.leaf(name, root), jwt = await token(name, leaf);
    const session = await connect(name, jwt, leaf), closed = closing(session);
    const inspect = async () => (await post('/oauth2/introspect', { token: jwt }, undefined, { authorization: `Bearer ${operator}` })).body.active;
    assert.equal(await inspect(), true);
    const began = performance.now();
    await act(leaf);
    assertSoon(began, reason, await closed);
    session.end(true);
    await assert.rejects(connect(name, jwt, leaf));
    await refusedFor(name, reason);
    assert.equal((await self(jwt, leaf)).status, 401);
    assert.equal(await inspect(), false);
    await undo?.();
  }
});

test('revoking a bound token ends its session', async () => {
  const leaf = pki.leaf('ca-8', ca), first = await token('ca-8', leaf), second = await token('ca-8', leaf);
  const one = await connect('ca-8', first, leaf), two = await connect('ca-8', second, leaf), three = await connect('ca-8', undefined, leaf);
  const closed = closing(one);
  const began = performance.now();
  assert.equal((await post('/oauth2/revoke', { token: first, client_id: 'acme/hall/ca-8' }, leaf)).status, 200);
  assertSoon(began, 'the session of a revoked token ends', await closed);
  await assert.rejects(connect('ca-8', first, leaf));
  await refusedFor('ca-8', 'TOKEN_REVOKED');
  assert.deepEqual([two.connected, three.connected], [true, true]);
  one.end(true);
  await two.endAsync();
  await three.endAsync();
});
