// The authentication service with clients that we did not write: openid-client, oauth4webapi and jose, unmodified, in
// oauth.client.mjs, which needs a process of its own: Node reads NODE_EXTRA_CA_CERTS when it starts. What the libraries
// hide is looked at here, on the wire.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { patience } from '../lib/sanitizer.mjs';
import { assertSoon, deviceKey, deviceToken, eventually, Server } from '../lib/server.mjs';

const client = fileURLToPath(new URL('oauth.client.mjs', import.meta.url));
const secret = 'q8Zt0bWc5vYk2nLr7xHd';
const secretOf = (name) => (name === 'probe-1' ? secret : `${secret}-${name}`);
const key = deviceKey('ES256');
let server;

async function addDevice(name, ...options) {
  await server.cli('device', 'create', `acme/hall/${name}`, ...options);
}

before(async () => {
  server = await (await Server.create()).start();
  await server.cli('tenant', 'create', 'acme', '--google-project', 'acme-project');
  await server.cli('registry', 'create', 'acme/hall');
  const file = (name, text) => { writeFileSync(join(server.folder, name), text); return join(server.folder, name); };
  const rsa = deviceKey('RS256');
  server.rsaKey = rsa;
  file('rsa.key', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  file('ec.key', key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const password = (i) => ['--password-file', file(`secret-${i}`, secretOf(`probe-${i}`))];
  const own = deviceKey('ES256');
  file('ec-8.key', own.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const ec = (i) => ['--public-key', file('ec.pem', { 1: key, 8: own }[i]?.pem ?? deviceKey().pem)];
  for (let i = 1; i < 10; i++) await addDevice(`probe-${i}`, ...password(i), ...ec(i));
  await addDevice('probe-rsa', '--public-key', file('rsa.pem', rsa.pem));
  await addDevice('probe-sas', '--symmetric-key-file', file('sas.key', randomBytes(32).toString('base64')));
  await server.cli('policy', 'put', 'acme/all', file('policy.json', JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: ['connect', 'publish', 'subscribe', 'receive'], Resource: ['*'] }],
  })));
  await server.cli('policy', 'attach', 'acme/all', 'acme');
});
after(() => server?.close());

const form = (fields) => new URLSearchParams(fields).toString();
const basic = (name, password = secretOf(name)) =>
  ({ authorization: `Basic ${Buffer.from(`${encodeURIComponent(`acme/hall/${name}`)}:${encodeURIComponent(password)}`).toString('base64')}` });
const post = (path, fields, headers = {}) => server.call('POST', path, {
  body: form(fields), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });
const ask = (name, fields = {}, headers = basic(name)) =>
  post('/oauth2/token', { grant_type: 'client_credentials', ...fields }, headers);

async function token(name, fields) {
  const { status, body, text } = await ask(name, fields);
  assert.equal(status, 200, text);
  return body.access_token;
}

const part = (jwt, index) => JSON.parse(Buffer.from(jwt.split('.')[index], 'base64url'));

// Connects to MQTT; resolves with the client, rejects with the reason of the CONNACK.
function connect(name, password, more = {}) {
  return new Promise((done, fail) => {
    const session = mqtt.connect(`mqtts://127.0.0.1:${server.port}`, {
      ca: server.ca, protocolVersion: 5, reconnectPeriod: 0, username: `acme/hall/${name}`, password, clientId: '', ...more });
    session.once('connect', () => done(session));
    session.once('error', (error) => { session.end(true); fail(error); });
  });
}
const refusal = async (name) => {
  const { body } = await server.call('GET', `/api/v1/tenants/acme/registries/hall/devices/${name}/log?kind=refusal`,
    { token: await server.token() });
  return body.entries[0]?.reason;
};

test('openid-client, oauth4webapi and jose, unmodified', async (t) => {
  if (Number(process.versions.node.split('.')[0]) < 20) return t.skip('the libraries need Node 20');
  const environment = {
    ...process.env, NODE_TEST_CONTEXT: undefined, NODE_EXTRA_CA_CERTS: server.caFile, GATEHOUSE_URL: server.url,
    GATEHOUSE_FOLDER: server.folder, GATEHOUSE_SECRET: secret, GATEHOUSE_TOKEN: await server.token(),
  };
  const { code, output } = await new Promise((done) => {
    execFile(process.execPath, ['--test', client], { env: environment, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => done({ code: error?.code ?? 0, output: stdout + stderr }));
  });
  assert.equal(code, 0, output);
  assert.match(output, /pass [1-9]/, 'something ran');
});

test('a token lets its device in at MQTT and at the API, and no other device', async () => {
  const jwt = await token('probe-1');
  assert.deepEqual(Object.keys(part(jwt, 0)).sort(), ['alg', 'kid', 'typ']);
  assert.equal(part(jwt, 0).typ, 'at+jwt');
  assert.equal(part(jwt, 1).sub, 'acme/hall/probe-1');
  const session = await connect('probe-1', jwt);
  await session.publishAsync('a/b', 'hello', { qos: 1 });
  await session.endAsync();
  const self = await server.call('GET', '/api/v1/device', { token: jwt });
  assert.equal(self.status, 200, self.text);
  assert.equal(self.body.id, 'probe-1');
  assert.equal((await server.call('GET', '/api/v1/tenants/acme/registries', { token: jwt })).status, 403, 'no binding, no right');
  await assert.rejects(connect('probe-2', jwt));
  await eventually(async () => await refusal('probe-2') === 'SUBJECT');
});

test('what a device may at the clouds\' API is what a binding gives it', async () => {
  const jwt = await token('probe-1'), other = await token('probe-9');
  const registry = '/v1/projects/acme-project/locations/any/registries/hall';
  assert.equal((await server.call('GET', `${registry}/devices/probe-2`, { token: jwt })).status, 403);
  const { status, text } = await server.call('POST', `${registry}:setIamPolicy`, { token: await server.token(), body: {
    policy: { bindings: [{ role: 'roles/cloudiot.viewer', members: ['device:acme/hall/probe-1'] }] } } });
  assert.equal(status, 200, text);
  assert.equal((await server.call('GET', `${registry}/devices/probe-2`, { token: jwt })).status, 200);
  assert.equal((await server.call('GET', `${registry}/devices/probe-2`, { token: other })).status, 403);
  assert.equal((await server.call('DELETE', `${registry}/devices/probe-2`, { token: jwt })).status, 403);
});

test('a scope narrows what a token is good for', async () => {
  const api = await token('probe-1', { scope: 'api' }), both = await ask('probe-1', { scope: 'api mqtt' });
  assert.equal(both.body.scope, 'mqtt api');
  await assert.rejects(connect('probe-1', api));
  await eventually(async () => await refusal('probe-1') === 'SCOPE');
  const only = await token('probe-1', { scope: 'mqtt' });
  const refused = await server.call('GET', '/api/v1/device', { token: only });
  assert.equal(refused.status, 401);
  assert.match(refused.headers['www-authenticate'], /error="invalid_token"/);
});

test('a token of one kind is not taken as another', async () => {
  const jwt = await token('probe-1'); // shown as probe-6's below, so that probe-1 does not have to wait
  const own = deviceToken(key, 'acme', { sub: 'probe-1' });
  assert.equal((await server.call('GET', '/api/v1/device', { token: own })).status, 401, 'a sign-in token at the API');
  const forged = deviceToken(key, server.url, part(jwt, 1), { typ: 'at+jwt', kid: part(jwt, 0).kid });
  await assert.rejects(connect('probe-1', forged));
  await eventually(async () => await refusal('probe-1') === 'SIGNATURE');
  const [head, body, signature] = jwt.split('.');
  const plain = `${Buffer.from(JSON.stringify({ ...part(jwt, 0), typ: 'JWT' })).toString('base64url')}.${body}.${signature}`;
  assert.ok(head);
  await assert.rejects(connect('probe-1', plain));
  const exchanged = await post('/oauth2/token', { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client_id: 'acme/hall/probe-6', subject_token: jwt, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' });
  assert.equal(exchanged.status, 400);
});

test('revoking a token ends the sessions that it made, and those alone', async () => {
  const first = await token('probe-3'), second = await token('probe-3');
  const one = await connect('probe-3', first, { clientId: 'one' });
  const two = await connect('probe-3', second, { clientId: 'two' });
  const closed = new Promise((done) => { one.once('close', () => done(performance.now())); });
  const began = performance.now();
  assert.equal((await post('/oauth2/revoke', { token: first }, basic('probe-3'))).status, 200);
  assertSoon(began, 'the session of a revoked token ends', await closed);
  assert.equal((await post('/oauth2/revoke', { token: first }, basic('probe-3'))).status, 200, 'again');
  assert.equal((await post('/oauth2/revoke', { token: 'nonsense' }, basic('probe-3'))).status, 200);
  await assert.rejects(connect('probe-3', first));
  await eventually(async () => await refusal('probe-3') === 'TOKEN_REVOKED');
  assert.equal(two.connected, true);
  assert.equal((await post('/oauth2/revoke', { token: second }, basic('probe-2'))).body.error, 'unauthorized_client');
  assert.deepEqual((await post('/oauth2/introspect', { token: second }, basic('probe-2'))).body, { active: false });
  assert.equal((await post('/oauth2/introspect', { token: second }, basic('probe-3'))).body.active, true);
  one.end(true);
  await two.endAsync();
});

test('an operator takes a token back by its id in the log, without having it', async () => {
  const first = await token('probe-3'), second = await token('probe-3');
  const one = await connect('probe-3', first, { clientId: 'one' });
  const closed = new Promise((done) => { one.once('close', () => done(performance.now())); });
  const id = part(first, 1).jti, log = await server.cli('device', 'log', 'acme/hall/probe-3', '--json');
  assert.ok(JSON.parse(log).entries.some(({ reason, detail }) => reason === 'TOKEN_ISSUED' && detail.includes(`token ${id},`)));
  const { code, stderr } = await server.tryCli(['device', 'revoke-token', 'acme/hall/probe-3', 'short']);
  assert.equal(code, 1);
  assert.match(stderr, /no such access token/);
  const path = `/api/v1/tenants/acme/registries/hall/devices/probe-3/tokens/${id}`;
  assert.equal((await server.call('DELETE', path, { token: await server.token('viewer') })).status, 403);
  const operator = await server.token(), elsewhere = ['acme/hall/probe-2', 'acme/yard/probe-3', 'other/hall/probe-3'];
  await server.cli('tenant', 'create', 'other');
  for (const registry of ['acme/yard', 'other/hall']) await server.cli('registry', 'create', registry);
  for (const name of elsewhere.slice(1)) await server.cli('device', 'create', name);
  for (const name of elsewhere) {
    const [tenant, registry, device] = name.split('/');
    const answer = await server.call('DELETE', `/api/v1/tenants/${tenant}/registries/${registry}/devices/${device}/tokens/${id}`, { token: operator });
    assert.equal(answer.status, 404, name);
    assert.match(answer.body.error.message, /no such access token/, name);
  }
  assert.equal((await post('/oauth2/introspect', { token: first }, basic('probe-3'))).body.active, true, 'nobody else took it');
  assert.equal(one.connected, true);
  const began = performance.now();
  await server.cli('device', 'revoke-token', 'acme/hall/probe-3', id);
  assert.ok(await closed > began);
  await assert.rejects(connect('probe-3', first));
  assert.equal((await post('/oauth2/introspect', { token: first }, basic('probe-3'))).body.active, false);
  assert.equal((await post('/oauth2/introspect', { token: second }, basic('probe-3'))).body.active, true);
  await server.cli('device', 'revoke-token', 'acme/hall/probe-3', id); // again
  one.end(true);
});

test('how soon a session ends when its token is revoked', async (t) => {
  const tokens = [], sessions = [];
  for (let first = 0; first < 100; first += 10) { // a few at a time: handshakes have an end
    const some = await Promise.all(Array.from({ length: 10 }, () => token('probe-9')));
    sessions.push(...await Promise.all(some.map((jwt, i) => connect('probe-9', jwt, { clientId: `r-${first + i}` }))));
    tokens.push(...some);
  }
  const times = [];
  for (const [i, session] of sessions.entries()) {
    const closed = new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error('the session goes on')), 5000 * patience);
      session.once('close', () => { clearTimeout(timer); done(performance.now()); });
    });
    const began = performance.now();
    const { status } = await post('/oauth2/revoke', { token: tokens[i] }, basic('probe-9'));
    assert.equal(status, 200);
    times.push(await closed - began);
    session.end(true);
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(1);
  t.diagnostic(`100 revocations, from the request to the closed connection: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`);
  assert.ok(times.at(-1) < 1000 * patience);
});

test('a blocked device, a credential taken away: its tokens are worth nothing', async () => {
  const jwt = await token('probe-4');
  const session = await connect('probe-4', jwt);
  const closed = new Promise((done) => { session.once('close', done); });
  await server.cli('device', 'block', 'acme/hall/probe-4');
  await closed;
  session.end(true);
  assert.equal((await server.call('GET', '/api/v1/device', { token: jwt })).status, 401);
  assert.equal((await ask('probe-4')).status, 401);
  await eventually(async () => await refusal('probe-4') === 'BLOCKED');
  const operator = await server.token();
  const other = await token('probe-5');
  const live = await connect('probe-5', other);
  const gone = new Promise((done) => { live.once('close', done); });
  const { status } = await server.call('PATCH', '/api/v1/tenants/acme/registries/hall/devices/probe-5',
    { token: operator, body: { credentials: [{ pem: deviceKey().pem }] } });
  assert.equal(status, 200);
  await gone;
  live.end(true);
  await assert.rejects(connect('probe-5', other));
  await eventually(async () => await refusal('probe-5') === 'NO_CREDENTIAL');
});

test('errors are the words of the standard and no more', async () => {
  const cases = [
    ['no proof', {}, {}, 401, 'invalid_client'],
    ['two proofs', { client_assertion: 'x', client_assertion_type: 'y' }, basic('probe-2'), 400, 'invalid_request'],
    ['an unknown grant', { grant_type: 'password' }, basic('probe-2'), 400, 'unsupported_grant_type'],
    ['an unknown scope', { scope: 'admin' }, basic('probe-2'), 400, 'invalid_scope'],
    ['another resource', { resource: 'https://example.com' }, basic('probe-2'), 400, 'invalid_target'],
    ['a secret in the body', { client_id: 'acme/hall/probe-2', client_secret: secret }, {}, 401, 'invalid_client'],
    ['an id that is none', {}, { authorization: `Basic ${Buffer.from('x:y').toString('base64')}` }, 401, 'invalid_client'],
  ];
  for (const [claim, fields, headers, status, error] of cases) {
    const answer = await ask('probe-2', fields, headers);
    assert.equal(answer.status, status, claim);
    assert.deepEqual(answer.body, { error }, claim);
    assert.equal(answer.headers['cache-control'], 'no-store', claim);
    if (status === 401) assert.match(answer.headers['www-authenticate'], /^Basic /, claim);
  }
  const twice = await server.call('POST', '/oauth2/token', { body: 'grant_type=client_credentials&scope=api&scope=api',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic('probe-2') } });
  assert.deepEqual(twice.body, { error: 'invalid_request' });
  const json = await server.call('POST', '/oauth2/token', { body: { grant_type: 'client_credentials' }, headers: basic('probe-2') });
  assert.equal(json.status, 400);
});

test('wrong secrets are slowed down, for who guesses', async () => {
  // The wait is a second: a right one that needs longer on its way is let in, and the wrong one comes again.
  const next = await eventually(async () => {
    const wrong = await ask('probe-2', {}, basic('probe-2', 'wrong-secret-of-some-size'));
    assert.equal(wrong.status, 401);
    const right = await ask('probe-2');
    return right.status === 429 && right;
  }, 15000, 'a wait');
  assert.ok(Number(next.headers['retry-after']) >= 1);
  assert.equal((await ask('probe-1')).status, 200, 'another device from the same address');
  await eventually(async () => (await ask('probe-2')).status === 200);
});

test('token keys rotate: tokens of before stay good, new ones are by the key that was announced', async () => {
  const published = async () => (await server.call('GET', '/oauth2/jwks')).body.keys.filter((one) => one.alg === 'ES256');
  const before = await published();
  const old = await token('probe-1');
  const list = JSON.parse(await server.cli('token-key', 'list', '--json')).keys.filter((one) => one.alg === 'ES256');
  assert.deepEqual(list.map((one) => one.state), ['current', 'next']);
  assert.equal(part(old, 0).kid, list[0].kid);
  await server.cli('token-key', 'rotate');
  const now = await published();
  assert.equal(now.length, 3);
  for (const one of before) assert.ok(now.some((two) => two.kid === one.kid));
  const fresh = await token('probe-1');
  assert.equal(part(fresh, 0).kid, list[1].kid);
  assert.equal((await server.call('GET', '/api/v1/device', { token: old })).status, 200);
  await server.cli('token-key', 'rotate');
  assert.equal((await server.call('GET', '/api/v1/device', { token: old })).status, 401, 'two generations ago');
  assert.equal((await server.call('GET', '/api/v1/device', { token: fresh })).status, 200);
});

test('token keys that lie beside the keyring are not chosen from, and left alone', async () => {
  const file = join(server.data, 'keys', 'token.keys');
  await server.stop();
  writeFileSync(file, 'nonsense', { mode: 0o600 });
  await assert.rejects(server.start(), /GH5005 .*token\.keys: the keyring holds another key of this name/);
  assert.equal(readFileSync(file, 'utf8'), 'nonsense');
  writeFileSync(file, await server.cli('keys', 'export', 'token.keys') + '\n', { mode: 0o600 });
  await server.start();
  assert.ok(!existsSync(file), 'the same ones were a crash between saving and removing');
  assert.equal((await ask('probe-1')).status, 200);
});

test('tokens, keys and revocations outlive a restart', async () => {
  const address = `127.0.0.1:${server.port}`;
  const good = await token('probe-1'), bad = await token('probe-1');
  await post('/oauth2/revoke', { token: bad }, basic('probe-1'));
  await server.stop('SIGKILL');
  server.options = ['--token-issuer', server.url];
  await server.start();
  assert.ok(address);
  assert.equal((await server.call('GET', '/api/v1/device', { token: good })).status, 200);
  assert.equal((await server.call('GET', '/api/v1/device', { token: bad })).status, 401);
});
