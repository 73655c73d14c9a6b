// Credentials of devices, as a client and an operator see them: shared access signatures, what is disabled or not valid yet,
// one key for one device. The defects of every kind of credential are in refusals.test.mjs.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { assertSoon, deviceKey, deviceToken, eventually, inTime, Server } from '../lib/server.mjs';

let server, token;
const base = '/api/v1/tenants/acme/registries/plant/devices';
const call = (method, path, body) => server.call(method, path, { token, body });
const file = (name, text) => { const path = join(server.folder, name); writeFileSync(path, text); return path; };

before(async () => {
  server = await (await Server.create()).start();
  token = await server.token();
  for (const tenant of ['acme', 'other']) {
    await server.cli('tenant', 'create', tenant);
    await server.cli('registry', 'create', `${tenant}/plant`);
    await server.cli('policy', 'put', `${tenant}/all`, file('all.json',
      '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}'));
    await server.cli('policy', 'attach', `${tenant}/all`, `${tenant}/plant`);
  }
});
after(() => server?.close());

export function sas(key, resource, ttlS = 600, encode = encodeURIComponent) {
  const sr = encode(resource), se = Math.floor(Date.now() / 1000) + ttlS;
  const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}`;
}

const connect = (name, password, options = {}) => new Promise((done, fail) => {
  const client = mqtt.connect({ protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: server.ca, username: name, password,
    clientId: name.split('/').pop(), reconnectPeriod: 0, protocolVersion: 5, ...options });
  client.once('connect', () => done(client));
  client.once('error', (error) => { client.end(true); fail(error); });
});
const gone = (client) => new Promise((done) => { client.once('close', done); });
const credentialsOf = async (id) => (await call('GET', `${base}/${id}/credentials`)).body.credentials;

test('a device signs in with either of its symmetric keys, made here or given', async () => {
  const made = JSON.parse(await server.cli('device', 'create', 'acme/plant/sas-1', '--symmetric-key', '--json'));
  const keys = made.credentials.map(({ symmetric_key: key }) => key);
  assert.equal(keys.length, 2);
  for (const key of keys) await (await connect('acme/plant/sas-1', sas(key, 'acme/plant/sas-1'))).endAsync();
  const given = randomBytes(32).toString('base64');
  await server.cli('device', 'create', 'acme/plant/sas-2', '--symmetric-key-file', file('key', `${given}\n`));
  const plain = (text) => text;
  await (await connect('acme/plant/sas-2', sas(given, 'acme/plant/sas-2', 600, plain), { protocolVersion: 4 })).endAsync();
  const pair = [1, 2].map(() => randomBytes(32).toString('base64'));
  await server.cli('device', 'import', file('import', `${JSON.stringify({ tenant: 'acme', registry: 'plant', id: 'sas-3', symmetric_key: pair })}\n`));
  for (const key of pair) await (await connect('acme/plant/sas-3', sas(key, 'acme/plant/sas-3'))).endAsync();
  const list = await credentialsOf('sas-3');
  assert.deepEqual(list.map(({ form, state }) => [form, state]), [['symmetric_key', 'enabled'], ['symmetric_key', 'enabled']]);
  assert.ok(list.every(({ last_used_at: at }) => at !== null));
  assert.ok(!JSON.stringify(list).includes(pair[0]) && !server.log.includes('sig='));
});

test('the connection ends when the token does', async () => {
  const [{ symmetric_key: key }] = JSON.parse(await server.cli('device', 'create', 'acme/plant/sas-4', '--symmetric-key', '--json')).credentials;
  const client = await inTime((seconds) => connect('acme/plant/sas-4', sas(key, 'acme/plant/sas-4', seconds - 300)) // the skew is 300 s
    .catch(() => undefined), 'a connection');
  await gone(client);
  await eventually(async () => (await call('GET', base + '/sas-4/log')).body.entries
    .some(({ kind, reason }) => kind === 'disconnect' && /EXPIRED/.test(reason)), 5000, 'the log says why');
});

test('a credential is disabled, its session ends, and is enabled again', async () => {
  const key = deviceKey();
  await server.cli('device', 'create', 'acme/plant/dis-1', '--public-key', file('dis.pem', key.pem), '--password-file', file('dis.secret', 'Zq3vYb8mKx1tRw6nLd9s\n'));
  const jwt = () => deviceToken(key, 'acme', { sub: 'dis-1' });
  const [jwtId, secretId] = (await credentialsOf('dis-1')).map(({ id }) => id);
  const first = await connect('acme/plant/dis-1', jwt(), { clientId: 'one' });
  const second = await connect('acme/plant/dis-1', 'Zq3vYb8mKx1tRw6nLd9s', { clientId: 'two' });
  const ended = gone(first), started = performance.now();
  const shown = JSON.parse(await server.cli('credential', 'disable', 'acme/plant/dis-1', jwtId, '--json'));
  assert.equal(shown.state, 'disabled');
  await ended;
  assertSoon(started, 'the session ends');
  await assert.rejects(connect('acme/plant/dis-1', jwt()));
  assert.equal((await call('GET', `${base}/dis-1/log?kind=refusal`)).body.entries[0].reason, 'CREDENTIAL_DISABLED');
  await second.publishAsync('a', 'b', { qos: 1 }); // the other one carries on
  await second.endAsync();
  assert.match(await server.cli('device', 'credentials', 'acme/plant/dis-1'), new RegExp(`${jwtId}.*disabled`));
  await server.cli('credential', 'enable', 'acme/plant/dis-1', jwtId);
  await (await connect('acme/plant/dis-1', jwt())).endAsync();
  await server.cli('credential', 'limit', 'acme/plant/dis-1', secretId, '--from', '2100-01-01T00:00:00Z');
  await assert.rejects(connect('acme/plant/dis-1', 'Zq3vYb8mKx1tRw6nLd9s'));
  assert.equal((await call('GET', `${base}/dis-1/log?kind=refusal`)).body.entries[0].reason, 'CREDENTIAL_NOT_YET_VALID');
  await server.cli('credential', 'limit', 'acme/plant/dis-1', secretId, '--from', 'never');
  await (await connect('acme/plant/dis-1', 'Zq3vYb8mKx1tRw6nLd9s')).endAsync();
  await server.cli('credential', 'remove', 'acme/plant/dis-1', secretId);
  await assert.rejects(connect('acme/plant/dis-1', 'Zq3vYb8mKx1tRw6nLd9s'));
  assert.equal((await call('PATCH', `${base}/dis-1/credentials/absent`, { disabled: true })).status, 404);
  assert.equal((await call('PATCH', `${base}/dis-1/credentials/${jwtId}`, {})).status, 400);
  const deeds = (await call('GET', `${base}/dis-1/log?kind=operator`)).body.entries.map(({ reason }) => reason);
  assert.deepEqual(deeds.slice(0, 5).reverse(), ['CREDENTIAL_DISABLED', 'CREDENTIAL_ENABLED', 'CREDENTIAL_CHANGED', 'CREDENTIAL_CHANGED', 'CREDENTIAL_REMOVED']);
});

test('an enrolment token is listed, and disabled', async () => {
  await server.cli('device', 'create', 'acme/plant/enrol-1');
  await server.cli('device', 'enrol', 'acme/plant/enrol-1');
  const [{ id, kind, state }] = await credentialsOf('enrol-1');
  assert.deepEqual([kind, state], ['enrolment_token', 'enabled']);
  await server.cli('credential', 'disable', 'acme/plant/enrol-1', id);
  assert.equal((await credentialsOf('enrol-1'))[0].state, 'disabled');
});

test('one key or secret is one device\'s alone, and who may not know is not told whose', async () => {
  const pem = deviceKey().pem, shared = randomBytes(32).toString('base64'), secret = 'Kq3vYb8mKx1tRw6nLd9s';
  const given = [{ pem }, { symmetric_key: shared }, { password: secret }];
  for (const [i, credential] of given.entries()) {
    assert.equal((await call('POST', base, { id: `own-${i}`, credentials: [credential] })).status, 201);
    const same = await call('POST', base, { id: `copy-${i}`, credentials: [credential] });
    assert.equal(same.status, 409, same.text);
    assert.match(same.text, new RegExp(`plant/own-${i}`), 'who may read the device is told');
    const foreign = await call('POST', '/api/v1/tenants/other/registries/plant/devices', { id: `copy-${i}`, credentials: [credential] });
    assert.equal(foreign.status, 409, foreign.text);
    assert.doesNotMatch(foreign.text, /own-/);
  }
  const many = await call('POST', '/api/v1/tenants/acme/registries/plant/import', { devices: [{ id: 'many-1', credentials: [{ pem: deviceKey().pem }] }, { id: 'many-2', credentials: [{ pem }] }] });
  assert.equal(many.status, 409);
  assert.match(many.text, /devices\[1\]/);
});
