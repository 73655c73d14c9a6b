// Custom roles and bindings: by the API, by the command line, and what they are worth afterwards.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bin, Server } from '../lib/server.mjs';

let server, token;
const base = '/api/v1/tenants/acme', plant = `${base}/registries/plant`, pump = `${plant}/devices/pump-1`, valve = `${plant}/devices/valve-1`;
const call = (method, path, body, as = token) => server.call(method, path, { token: as, body });
const mint = async (body, as) => {
  const made = await call('POST', '/api/v1/tokens', body, as);
  assert.equal(made.status, 201, made.text);
  return made.body.token;
};
const status = async (...args) => (await call(...args)).status;
const trail = async () => (await server.call('GET', `${pump}/log?kind=operator`, { token })).body.entries;

before(async () => {
  server = await (await Server.create()).start();
  await server.cli('tenant', 'create', 'acme', '--google-project', 'acme-project');
  await server.cli('tenant', 'create', 'other');
  await server.cli('registry', 'create', 'acme/plant', '--location', 'europe-west1');
  await server.cli('registry', 'create', 'acme/second');
  await server.cli('device', 'create', 'acme/plant/pump-1');
  await server.cli('device', 'create', 'acme/plant/valve-1');
  await server.cli('group', 'create', 'acme/north');
  await server.cli('group', 'add', 'acme/north', 'acme/plant/valve-1');
  token = await server.token();
});
after(() => server?.close());

test('a custom role is made, shown, changed and deleted', async () => {
  await server.cli('role', 'put', 'acme/care', 'devices.get', 'devices.kick', 'devices.get', '--title', 'Care');
  assert.match(await server.cli('role', 'show', 'acme/care'), /^name +custom\/care\ntitle +Care\npermissions +\["devices\.get","devices\.kick"\]/);
  await server.cli('role', 'put', 'watch', 'devices.get');
  assert.match(await server.cli('role', 'list'), /^house\/watch +house /m);
  const list = await server.cli('role', 'list', 'acme');
  assert.match(list, /^custom\/care +tenant +Care +\["devices\.get","devices\.kick"\]/m);
  assert.match(list, /^house\/watch +house /m);
  assert.match(list, /^viewer +gatehouse /m);
  assert.doesNotMatch(await server.cli('role', 'list', 'other'), /care/);
  const got = await call('GET', `${base}/roles/care`);
  assert.equal((await call('PUT', `${base}/roles/care`, { permissions: ['devices.get'], etag: got.body.etag })).status, 200);
  assert.equal((await call('PUT', `${base}/roles/care`, { permissions: ['devices.get'], etag: got.body.etag })).status, 409);
  assert.equal((await call('PUT', `${base}/roles/new`, { permissions: [] })).status, 201);
  for (const [body, why] of [
    [{ permissions: ['devices.fly'] }, /there is none "devices\.fly"/], [{ permissions: [1] }, /there is none/], [{}, /permissions/],
    [{ permissions: ['registries.setIamPolicy'] }, /bindings\.set/], [{ permissions: [], colour: 1 }, /colour/],
  ]) {
    const refused = await call('PUT', `${base}/roles/bad`, body);
    assert.equal(refused.status, 400, refused.text);
    assert.match(refused.body.error.message, why);
  }
  assert.equal(await status('PUT', `${base}/roles/no%20name`, { permissions: [] }), 400);
  await server.cli('role', 'delete', 'acme/new');
  assert.equal((await server.tryCli(['role', 'delete', 'acme/new'])).code, 1);
  assert.equal((await server.tryCli(['role', 'put', 'acme/new'])).code, 2);
});

test('a role is bound on a device and holds there, at once and no longer', async () => {
  const anna = await mint({ member: 'user:anna', tenant: 'acme' });
  assert.equal(await status('GET', pump, undefined, anna), 403);
  await server.cli('binding', 'add', 'custom/care', 'user:anna', 'acme/plant/pump-1');
  assert.equal(await status('GET', pump, undefined, anna), 200);
  assert.equal(await status('GET', valve, undefined, anna), 403);
  assert.equal(await status('GET', plant, undefined, anna), 403);
  assert.equal(await status('POST', `${pump}/kick`, undefined, anna), 403);
  await server.cli('role', 'put', 'acme/care', 'devices.get', 'devices.kick');
  assert.equal(await status('POST', `${pump}/kick`, undefined, anna), 400, 'it is not connected, which only those who may kick are told');
  assert.match(await server.cli('binding', 'list', 'acme/plant/pump-1'), /^custom\/care +user:anna +-/m);
  assert.equal(await server.cli('access', 'explain', 'user:anna', 'devices.kick', 'acme/plant/pump-1'), 'allow: a binding of the device pump-1 gives user:anna custom/care');
  assert.equal(await server.cli('access', 'explain', 'user:anna', 'devices.kick', 'acme/plant'), 'deny: no binding here gives user:anna devices.kick');
  const refused = await server.tryCli(['role', 'delete', 'acme/care']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /custom\/care is bound; take the bindings off first/);
  await server.cli('binding', 'remove', 'custom/care', 'user:anna', 'acme/plant/pump-1');
  assert.equal(await status('GET', pump, undefined, anna), 403);
  assert.equal((await server.tryCli(['binding', 'remove', 'custom/care', 'user:anna', 'acme/plant/pump-1'])).code, 1);
  const [unbound, bound] = await trail();
  assert.deepEqual([bound.reason, bound.detail, unbound.reason], ['BOUND', 'local: custom/care for user:anna', 'UNBOUND']);
});

test('bindings on a group, a registry and a tenant', async () => {
  const bob = await mint({ member: 'user:bob', tenant: 'acme' });
  await server.cli('binding', 'add', 'viewer', 'user:bob', 'acme', '--group', 'north');
  assert.deepEqual([await status('GET', valve, undefined, bob), await status('GET', pump, undefined, bob), await status('GET', `${base}/groups/north`, undefined, bob)], [200, 403, 200]);
  assert.equal(await server.cli('access', 'explain', 'user:bob', 'devices.get', 'acme/plant/valve-1'), 'allow: a binding of the group north gives user:bob viewer');
  assert.equal(await server.cli('access', 'explain', 'user:bob', 'policies.get', 'acme', '--group', 'north'), 'allow: a binding of the group north gives user:bob viewer');
  await server.cli('binding', 'add', 'house/watch', 'user:bob', 'acme/plant');
  assert.deepEqual([await status('GET', pump, undefined, bob), await status('GET', `${base}/registries/second`, undefined, bob)], [200, 403]);
  await server.cli('binding', 'add', 'viewer', 'user:bob', 'acme');
  assert.equal(await status('GET', `${base}/registries/second`, undefined, bob), 200);
  assert.equal(await status('GET', '/api/v1/status', undefined, bob), 200, 'a list asks the bindings of the tenant');
  assert.equal((await call('GET', '/api/v1/devices', undefined, bob)).body.total, 2);
  assert.match((await server.tryCli(['role', 'delete', 'watch'])).stderr, /house\/watch is bound/);
  assert.equal((await server.tryCli(['binding', 'list', 'acme/plant', '--group', 'north'])).code, 2);
  for (const [role, where] of [['viewer', ['acme']], ['house/watch', ['acme/plant']], ['viewer', ['acme', '--group', 'north']]])
    await server.cli('binding', 'remove', role, 'user:bob', ...where);
  assert.equal(await status('GET', valve, undefined, bob), 403);
  assert.equal((await call('GET', `${base}/bindings`)).body.etag, '');
  const first = () => status('PUT', `${base}/bindings`, { etag: '', bindings: [{ role: 'viewer', members: ['user:bob'] }] });
  assert.deepEqual([await first(), await first()], [200, 409]);
  assert.equal(await status('PUT', `${base}/bindings`, { bindings: [] }), 200);
  // Four at a time: each finds what the others added.
  await Promise.all(Array.from({ length: 4 }, (_, i) => server.cli('binding', 'add', 'viewer', `user:bob-${i}`, 'acme/second')));
  assert.equal((await call('GET', `${base}/registries/second/bindings`)).body.bindings[0].members.length, 4);
});

test('conditions: a time, hours, weekdays, a source', async () => {
  const cleo = await mint({ member: 'user:cleo', tenant: 'acme' });
  const explain = (...args) => server.cli('access', 'explain', 'user:cleo', 'devices.get', 'acme/plant', ...args);
  await server.cli('binding', 'add', 'viewer', 'user:cleo', 'acme/plant', '--until', '2020-01-01T00:00:00Z');
  assert.equal(await status('GET', pump, undefined, cleo), 403);
  assert.match(await explain(), /^deny: a binding of the registry would give user:cleo viewer, but for its condition: it held until 2020-01-01T00:00:00Z$/);
  assert.match(await explain('--at', '2019-12-31T23:59:59Z'), /^allow/);
  await server.cli('binding', 'remove', 'viewer', 'user:cleo', 'acme/plant');
  await server.cli('binding', 'add', 'viewer', 'user:cleo', 'acme/plant', '--source', '10.0.0.0/8', '--source', '2001:db8::/32');
  assert.equal(await status('GET', pump, undefined, cleo), 403);
  assert.match(await explain('--address', '192.0.2.1'), /it does not hold for the address 192\.0\.2\.1$/);
  assert.match(await explain('--address', '10.9.9.9'), /^allow/);
  await server.cli('binding', 'remove', 'viewer', 'user:cleo', 'acme/plant');
  await server.cli('binding', 'add', 'viewer', 'user:cleo', 'acme/plant', '--source', '127.0.0.0/8', '--from', '2020-01-01T00:00:00Z');
  assert.equal(await status('GET', pump, undefined, cleo), 200);
  await server.cli('binding', 'remove', 'viewer', 'user:cleo', 'acme/plant');
  await server.cli('binding', 'add', 'viewer', 'user:cleo', 'acme/plant', '--weekdays', 'mon,tue', '--hours', '22:00-06:00', '--title', 'nights');
  assert.match(await explain('--at', '2026-11-24T23:00:00Z'), /^allow/);
  assert.match(await explain('--at', '2026-11-25T05:00:00Z'), /^allow/);
  assert.match(await explain('--at', '2026-11-25T22:30:00Z'), /it holds on mon tue, and it is wed$/);
  assert.match(await explain('--at', '2026-11-24T12:00:00Z'), /it holds at 22:00-06:00 UTC, and it is 12:00$/);
  assert.match(await server.cli('binding', 'list', 'acme/plant'), /viewer +user:cleo +\{"title":"nights","hours":"22:00-06:00","weekdays":\["mon","tue"\]\}/);
  const bad = await server.tryCli(['binding', 'add', 'viewer', 'user:cleo', 'acme/plant', '--hours', 'always']);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /condition\.hours/);
  await server.cli('binding', 'remove', 'viewer', 'user:cleo', 'acme/plant');
});

test('nobody gives what he has not', async () => {
  await server.cli('role', 'put', 'acme/binder', 'bindings.set', 'bindings.get', 'devices.get', 'roles.put', 'tokens.create', 'operators.update', 'policies.attach');
  const binder = await mint({ role: 'custom/binder', tenant: 'acme' });
  const bind = (role, at = pump) => status('PUT', `${at}/bindings`, { bindings: [{ role, members: ['user:dora'] }] }, binder);
  assert.deepEqual([await bind('custom/binder'), await bind('house/watch'), await bind('viewer'), await bind('administrator', plant), await bind('roles/owner', base)],
    [200, 200, 403, 403, 403]);
  assert.equal(await status('PUT', `${base}/roles/mine`, { permissions: ['devices.get'] }, binder), 201);
  assert.equal(await status('PUT', `${base}/roles/mine`, { permissions: ['devices.get', 'devices.delete'] }, binder), 403);
  assert.equal(await status('PUT', `${base}/roles/binder`, { permissions: ['tenants.delete'] }, binder), 403);
  assert.equal(await status('PUT', '/api/v1/roles/mine', { permissions: ['devices.get'] }, binder), 403, 'the house is not its tenant');
  const token = (body) => status('POST', '/api/v1/tokens', { tenant: 'acme', ...body }, binder);
  assert.deepEqual([await token({ role: 'custom/mine' }), await token({ role: 'viewer' }), await token({ member: 'user:boss' }), await token({ role: 'custom/none' })], [403, 403, 403, 403], 'tokens are made on the server as a whole');
  await server.cli('role', 'put', 'minter', 'tokens.create', 'operators.update', 'devices.get');
  const minter = await mint({ role: 'house/minter' });
  const minted = async (body) => status('POST', '/api/v1/tokens', body, minter);
  assert.deepEqual([await minted({ role: 'house/watch' }), await minted({ role: 'viewer' }), await minted({ member: 'user:boss' }), await minted({ role: 'custom/mine' }), await minted({ role: 'custom/mine', tenant: 'acme' })],
    [201, 403, 403, 400, 201]);
  assert.equal(await status('POST', `/api/v1/operators/${server.operator}/password`, undefined, minter), 403, 'an operator has more than it');
  // What stood there before may stay, and what is taken off asks for nothing.
  await server.cli('binding', 'add', 'viewer', 'user:eve', 'acme/plant/pump-1');
  const { body } = await call('GET', `${pump}/bindings`, undefined, binder);
  assert.equal(await status('PUT', `${pump}/bindings`, { bindings: [...body.bindings, { role: 'custom/mine', members: ['user:f'] }], etag: body.etag }, binder), 200);
  assert.equal(await status('PUT', `${pump}/bindings`, { bindings: [], etag: body.etag }, binder), 409);
  assert.equal(await status('PUT', `${pump}/bindings`, { bindings: [] }, binder), 200);
  assert.match((await server.tryCli(['role', 'delete', 'acme/binder'])).stderr, /that of a token or an operator/);
});

test('a device is not moved into foreign hands', async () => {
  await server.cli('binding', 'add', 'provisioner', 'user:gus', 'acme', '--group', 'north');
  const gus = await mint({ member: 'user:gus', tenant: 'acme' });
  const add = (device, as) => status('POST', `${base}/groups/north/add`, { registry: 'plant', device }, as);
  assert.equal(await add('pump-1', gus), 403, 'he has no right on the device');
  assert.equal(await add('pump-1', await server.token('provisioner', '--tenant', 'acme')), 403, 'the group has bindings');
  await server.cli('binding', 'remove', 'provisioner', 'user:gus', 'acme', '--group', 'north');
  assert.equal(await add('pump-1', await server.token('provisioner', '--tenant', 'acme')), 200);
  await server.cli('binding', 'add', 'provisioner', 'user:gus', 'acme', '--group', 'north');
  assert.equal(await status('PATCH', pump, { blocked: false }, gus), 200);
  assert.equal(await status('POST', `${base}/groups/north/remove`, { registry: 'plant', device: 'pump-1' }, gus), 200);
  assert.equal(await status('PATCH', pump, { blocked: false }, gus), 403);
});

test('Google\'s face keeps what it has no words for', async () => {
  const iam = '/v1/projects/acme-project/locations/europe-west1/registries/plant';
  await server.cli('binding', 'add', 'viewer', 'user:hal', 'acme/plant');
  await server.cli('binding', 'add', 'roles/viewer', 'user:hal', 'acme/plant', '--hours', '06:00-18:00');
  const set = await call('POST', `${iam}:setIamPolicy`, { policy: { bindings: [{ role: 'roles/cloudiot.viewer', members: ['user:ida'] }] } });
  assert.equal(set.status, 200, set.text);
  assert.deepEqual(set.body.bindings, [{ role: 'roles/cloudiot.viewer', members: ['user:ida'] }]);
  const got = await call('POST', `${iam}:getIamPolicy`, {});
  assert.deepEqual(got.body.bindings, set.body.bindings);
  assert.deepEqual((await call('GET', `${plant}/bindings`)).body.bindings.map(({ role }) => role), ['roles/cloudiot.viewer', 'viewer', 'roles/viewer']);
  assert.equal((await call('POST', `${iam}:setIamPolicy`, { policy: { etag: got.body.etag, bindings: [] } })).body.bindings, undefined);
  assert.equal((await call('POST', `${iam}:setIamPolicy`, { policy: { etag: got.body.etag, bindings: [] } })).status, 409);
  const hal = await mint({ member: 'user:hal' });
  const device = `${iam}/devices/pump-1`;
  assert.equal(await status('GET', device, undefined, hal), 200);
  await server.cli('binding', 'remove', 'viewer', 'user:hal', 'acme/plant');
  await server.cli('binding', 'remove', 'roles/viewer', 'user:hal', 'acme/plant');
  assert.equal(await status('GET', device, undefined, hal), 403);
  await server.cli('binding', 'add', 'custom/care', 'user:hal', 'acme/plant/pump-1');
  assert.deepEqual([await status('GET', device, undefined, hal), await status('GET', `${iam}/devices/valve-1`, undefined, hal), await status('GET', iam, undefined, hal)], [200, 403, 403]);
});

test('a binding in the house holds in every tenant and above them, by the command line too', async () => {
  await server.cli('tenant', 'create', 'elsewhere');
  const member = await server.cli('token', '--member', 'user:max@example.org');
  const status = async (path) => (await server.call('GET', path, { token: member })).status;
  const paths = ['/api/v1/tenants/elsewhere/registries', '/api/v1/tenants/acme/registries', '/api/v1/bindings'];
  for (const path of paths) assert.equal(await status(path), 403, path);
  await server.cli('binding', 'add', 'auditor', 'user:max@example.org');
  assert.match(await server.cli('binding', 'list'), /auditor +user:max@example\.org/);
  for (const path of paths) assert.equal(await status(path), 200, path);
  const { body } = await server.call('GET', '/api/v1/tenants', { token: member });
  assert.ok(body.tenants.some(({ name }) => name === 'elsewhere'), 'its lists too');
  assert.match(await server.cli('access', 'explain', 'user:max@example.org', 'registries.list', 'elsewhere'), /a binding of the house gives user:max@example\.org auditor/);
  await server.cli('binding', 'remove', 'auditor', 'user:max@example.org');
  for (const path of paths) assert.equal(await status(path), 403, path);
  assert.equal((await server.tryCli(['binding', 'add', 'auditor'])).code, 2);
});

test('help and completion know the commands', () => {
  const plainly = (...args) => spawnSync(join(bin, 'gatehouse'), args, { encoding: 'utf8' }).stdout;
  assert.match(plainly('binding', '--help'), /binding add ROLE MEMBER \[TENANT\[\/REGISTRY\[\/DEVICE\]\]\]/);
  assert.match(plainly('completion', 'bash'), /2:binding:\*\) words=" list add remove"/);
});
