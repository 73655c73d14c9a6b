// A tenant that is disabled: nobody of it is let in, by any door, and whoever is inside is put out; nothing of it is lost, and the
// house's own administrators can still see to it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { assertSoon, eventually, Server } from '../lib/server.mjs';

let server, house;
const secretOf = (tenant) => `a-password-of-${tenant}-alone`;
const call = (token, method, path, body) => server.call(method, path, { token, body });
const disable = async (disabled) => {
  const answer = await call(house, 'PATCH', '/api/v1/tenants/acme', { disabled });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.disabled, disabled);
};

before(async () => {
  server = await (await Server.create()).start();
  house = await server.token();
  for (const tenant of ['acme', 'other']) {
    await server.cli('tenant', 'create', tenant, '--google-project', `${tenant}-project`);
    await server.cli('registry', 'create', `${tenant}/plant`);
    const made = await call(house, 'POST', `/api/v1/tenants/${tenant}/registries/plant/devices`, { id: 'pump', credentials: [{ password: secretOf(tenant) }] });
    assert.equal(made.status, 201, made.text);
    const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['connect'], Resource: ['*'] }] };
    assert.equal((await call(house, 'PUT', `/api/v1/tenants/${tenant}/policies/all`, { document: everything })).status, 201);
    await server.cli('policy', 'attach', `${tenant}/all`, tenant);
  }
});
after(() => server?.close());

function connect(tenant, password = secretOf(tenant)) {
  return new Promise((done, fail) => {
    const client = mqtt.connect(`mqtts://127.0.0.1:${server.port}`, { ca: server.ca, protocolVersion: 5, reconnectPeriod: 0,
      username: `${tenant}/plant/pump`, password, clientId: '' });
    client.closed = new Promise((gone) => client.once('close', () => gone(performance.now())));
    client.once('connect', () => done(client));
    client.once('error', (error) => { client.end(true); fail(error); });
  });
}

test('its sessions end within a second, and nobody comes in until it is enabled', async () => {
  const post = (fields, headers) => server.call('POST', '/oauth2/token', { body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });
  const ask = () => post({ grant_type: 'client_credentials' },
    { authorization: `Basic ${Buffer.from(`acme%2Fplant%2Fpump:${secretOf('acme')}`).toString('base64')}` });
  const { body: { access_token: jwt } } = await ask();
  assert.equal((await call(jwt, 'GET', '/api/v1/device')).status, 200);
  const [session, neighbour] = [await connect('acme'), await connect('other')];
  const began = performance.now();
  await disable(true);
  assertSoon(began, 'the session ends', await session.closed);
  session.end(true);
  await assert.rejects(connect('acme'));
  assert.equal((await call(jwt, 'GET', '/api/v1/device')).status, 401, 'its token neither');
  const { status, body } = await ask();
  assert.deepEqual([status, body], [401, { error: 'invalid_client' }], 'the peer is told nothing');
  for (const of of ['disconnect', 'refusal'])
    await eventually(async () => (await call(house, 'GET', '/api/v1/tenants/acme/registries/plant/devices/pump/log')).body.entries
      .some(({ kind, reason }) => kind === of && reason === 'TENANT_DISABLED'), 5000, `the log has the ${of}`);
  assert.equal(neighbour.connected, true);
  await neighbour.endAsync();
  await disable(false);
  await eventually(async () => (await ask()).status === 200); // who was refused waits a second
  await (await connect('acme')).endAsync();
});

test('operators, programs and members of it are told that it is disabled', async () => {
  const own = await server.token('administrator', '--tenant', 'acme');
  const member = await server.cli('token', '--member', 'serviceAccount:climate');
  const bindings = { bindings: [{ role: 'viewer', members: ['serviceAccount:climate'] }] };
  for (const tenant of ['acme', 'other'])
    assert.equal((await call(house, 'PUT', `/api/v1/tenants/${tenant}/bindings`, bindings)).status, 200);
  const paths = ['/api/v1/tenants/acme/registries', '/v1/projects/acme-project/locations/any/registries', '/v1/projects/acme-project/topics'];
  for (const path of paths) assert.equal((await call(own, 'GET', path)).status, 200, path);
  assert.equal((await call(member, 'GET', paths[0])).status, 200);
  await disable(true);
  for (const path of paths) assert.equal((await call(own, 'GET', path)).status, 403, path);
  const { body } = await call(own, 'GET', '/api/v1/status');
  assert.equal(body.error.message, 'the tenant acme is disabled');
  assert.equal((await call(own, 'PATCH', '/api/v1/tenants/acme', { disabled: false })).status, 403);
  assert.equal((await call(member, 'GET', paths[0])).status, 403);
  assert.equal((await call(member, 'GET', '/api/v1/tenants/other/registries')).status, 200);
  for (const path of paths) assert.equal((await call(house, 'GET', path)).status, 200, path);
  assert.match(await server.cli('tenant', 'enable', 'acme'), /acme/);
  for (const path of paths) assert.equal((await call(own, 'GET', path)).status, 200, path);
  assert.equal((await call(own, 'PATCH', '/api/v1/tenants/acme', { disabled: true })).status, 403, 'nobody locks himself out');
  assert.equal((await call(house, 'PATCH', '/api/v1/tenants/acme', {})).status, 400);
});

test('it stays disabled over a restart', async () => {
  await server.cli('tenant', 'disable', 'acme');
  await server.stop();
  await server.start();
  await assert.rejects(connect('acme'));
  assert.equal(JSON.parse(await server.cli('tenant', 'show', 'acme', '--json')).disabled, true);
  await server.cli('tenant', 'enable', 'acme');
  await (await connect('acme')).endAsync();
});
