// Device policies and device passwords, by the API and by the command line.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bin, deviceKey, Server } from '../lib/server.mjs';

let server, token;
const base = '/api/v1/tenants/acme', plant = `${base}/registries/plant`;
before(async () => {
  server = await (await Server.create()).start();
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/plant');
  token = await server.token();
});
after(() => server?.close());

const file = (name, content) => {
  const path = join(server.folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
// The command line without a server's data folder.
const plainly = (...args) => spawnSync(join(bin, 'gatehouse'), args, { encoding: 'utf8' });
const call = (method, path, body, as = token) => server.call(method, path, { token: as, body });
const document = (...Statement) => ({ Version: '2012-10-17', Statement });
const allow = (Action, Resource, more = {}) => ({ Effect: 'Allow', Action, Resource, ...more });
const own = document(
  allow('connect', 'client/${device}'),
  allow(['publish', 'retain'], 'topic/${registry}/${device}/*', { Sid: 'own' }),
  { Effect: 'Deny', Action: 'receive', Resource: 'topic/${attribute.zone}/secret' },
  allow('receive', 'topic/*'));

test('a policy is checked without a server', async () => {
  const good = plainly('policy', 'check', file('own.json', own));
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /own\.json: 4 statements, 0 warnings/);
  const odd = plainly('policy', 'check', file('odd.json', document(allow('subscribe', 'topic/a'))));
  assert.equal(odd.status, 0);
  assert.match(odd.stderr, /odd\.json: statement 1: warning: subscribe needs a resource that begins with filter/);
  const bad = plainly('policy', 'check', file('bad.json', document(allow('publish', 'topic/a'), allow('publish', 'a'))));
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /GH2001 .*bad\.json: statement 2: resource 1: a resource is client/);
  assert.match(plainly('policy', 'check', file('cut.json', '{"Statement":')).stderr, /cut\.json: .*line 1/);
});

test('a policy is put, read, listed and replaced', async () => {
  const put = await call('PUT', `${base}/policies/own`, { document: own });
  assert.equal(put.status, 201, put.text);
  assert.deepEqual(put.body.warnings, []);
  const again = await call('PUT', `${base}/policies/own`, { document: own, etag: put.body.etag });
  assert.equal(again.status, 200);
  assert.equal(again.body.version, 2);
  assert.equal((await call('PUT', `${base}/policies/own`, { document: own, etag: put.body.etag })).status, 409);
  const got = await call('GET', `${base}/policies/own`);
  assert.deepEqual(got.body.document, own);
  assert.deepEqual(got.body.targets, []);
  assert.deepEqual((await call('GET', `${base}/policies`)).body.policies.map(({ name }) => name), ['own']);
  assert.match(await server.cli('policy', 'list', 'acme'), /own +2 +0/);
});

test('what cannot be meant is refused or warned of', async () => {
  const condition = document({ ...allow('*', '*'), Condition: { Bool: { 'aws:SecureTransport': 'true' } } });
  const refused = await call('PUT', `${base}/policies/bad`, { document: condition });
  assert.equal(refused.status, 501, refused.text);
  assert.match(refused.body.error.message, /statement 1: Condition/);
  assert.equal((await call('PUT', `${base}/policies/bad`, { document: document(allow('publsh', '*')) })).status, 400);
  assert.equal((await call('PUT', `${base}/policies/no%20name`, { document: own })).status, 400);
  const aws = document(allow('iot:Subscribe', 'arn:aws:iot:eu-west-1:123456789012:topic/${iot:ClientId}'));
  const warned = await call('PUT', `${base}/policies/aws`, { document: aws });
  assert.equal(warned.status, 201, warned.text);
  assert.match(warned.body.warnings[0].text, /subscribe needs a resource that begins with filter/);
  assert.equal((await call('DELETE', `${base}/policies/aws`)).status, 200);
});

test('a device is made with a password that nobody sees again', async () => {
  await server.cli('device', 'create', 'acme/plant/pump-1', '--password-file', file('secret', 'Zq3vYb8mKx1tRw6nLd9s\n'), '--attribute', 'zone=north');
  const { body, text } = await call('GET', `${plant}/devices/pump-1`);
  assert.equal(body.credentials.length, 1);
  const [credential] = body.credentials;
  assert.equal(credential.kind, 'password');
  assert.equal(credential.fingerprint, null);
  assert.match(credential.id, /^pw-[0-9a-f]{16}$/);
  assert.ok(!text.includes('Zq3vYb8mKx1tRw6nLd9s') && !text.includes('hmac') && !text.includes('argon2'));
  assert.ok(!existsSync(join(server.data, 'keys', 'password.key')));
  const second = await call('PATCH', `${plant}/devices/pump-1`, { credentials: [{ id: credential.id, expires_at: '2033-05-18T03:33:20Z' }, { password: 'a-new-one' }, { pem: deviceKey().pem }] });
  assert.equal(second.status, 200, second.text);
  assert.deepEqual(second.body.credentials.map(({ kind }) => kind), ['password', 'password', 'ES256']);
  assert.equal(second.body.credentials[0].id, credential.id);
  assert.equal(second.body.credentials[0].expires_at, '2033-05-18T03:33:20.000Z');
  for (const [credentials, why] of [
    [[{ password: 'short' }], /8 to 128 bytes/],
    [[{ id: 'pw-0000000000000000' }], /has no credential/],
    [[{ pem: deviceKey().pem, password: 'password' }], /one of pem, password, symmetric_key and id/],
    [[{}], /one of pem, password, symmetric_key and id/],
  ]) {
    const refused = await call('PATCH', `${plant}/devices/pump-1`, { credentials });
    assert.equal(refused.status, 400);
    assert.match(refused.body.error.message, why);
  }
  assert.ok(server.log !== undefined && !server.log.includes('Zq3vYb8mKx1tRw6nLd9s') && !server.log.includes('a-new-one'));
});

test('a policy is attached, explained and taken off', async () => {
  const explain = async (...words) => (await server.tryCli(['policy', 'explain', 'acme/plant/pump-1', ...words])).stdout.trim();
  assert.equal(await explain('publish', 'plant/pump-1/up'), 'no match: no statement allows it');
  assert.equal((await server.tryCli(['policy', 'attach', 'acme/own', 'other/plant'])).code, 2);
  await server.cli('policy', 'attach', 'acme/own', 'acme/plant');
  await server.cli('policy', 'attach', 'acme/own', 'acme/plant/pump-1');
  assert.equal(await explain('publish', 'plant/pump-1/up'), 'allow: policy own, statement 2 (own)');
  assert.equal(await explain('publish', 'plant/pump-2/up'), 'no match: no statement allows it');
  assert.equal(await explain('receive', 'north/secret'), 'deny: policy own, statement 3');
  assert.equal(await explain('connect', 'pump-1'), 'allow: policy own, statement 1');
  assert.equal(await explain('connect', 'pump-2'), 'no match: no statement allows it');
  assert.deepEqual((await call('GET', `${base}/policies/own`)).body.targets, [{ registry: 'plant' }, { registry: 'plant', device: 'pump-1' }]);
  assert.deepEqual((await call('GET', `${plant}/devices/pump-1/policies`)).body.policies.map(({ name }) => name), ['own']);
  const attached = await call('DELETE', `${base}/policies/own`);
  assert.equal(attached.status, 400);
  assert.match(attached.body.error.message, /detach it first/);
  await server.cli('policy', 'detach', 'acme/own', 'acme/plant');
  assert.equal((await call('POST', `${base}/policies/own/detach`, { registry: 'plant' })).status, 404);
  assert.equal(await explain('publish', 'plant/pump-1/up'), 'allow: policy own, statement 2 (own)');
  const whole = await call('POST', `${base}/policies/own/attach`, {});
  assert.equal(whole.status, 200);
  await server.cli('policy', 'detach', 'acme/own', 'acme');
  const unresolved = await call('POST', `${plant}/devices/pump-1/explain`, { action: 'iot:Publish', resource: 'x', client: 'c' });
  assert.equal(unresolved.body.outcome, 'no match');
  assert.equal((await call('POST', `${plant}/devices/pump-1/explain`, { action: 'read', resource: 'x' })).status, 400);
});

test('who may do what with policies', async () => {
  const tokens = {};
  for (const role of ['operator', 'viewer', 'provisioner', 'auditor', 'metrics']) tokens[role] = await server.token(role, '--tenant', 'acme');
  tokens.foreign = (await server.cli('tenant', 'create', 'other'), await server.token('administrator', '--tenant', 'other'));
  const device = { registry: 'plant', device: 'pump-1' };
  const table = [ // method, path, body, statuses of operator viewer provisioner auditor metrics foreign
    ['GET', `${base}/policies`, undefined, [200, 200, 200, 200, 403, 403]],
    ['GET', `${base}/policies/own`, undefined, [200, 200, 200, 200, 403, 403]],
    ['PUT', `${base}/policies/own`, { document: own }, [200, 403, 403, 403, 403, 403]],
    ['POST', `${base}/policies/own/attach`, device, [200, 403, 200, 403, 403, 403]],
    ['POST', `${base}/policies/own/attach`, { registry: 'plant' }, [200, 403, 403, 403, 403, 403]],
    ['POST', `${base}/policies/own/attach`, {}, [200, 403, 403, 403, 403, 403]],
    ['POST', `${base}/policies/own/detach`, {}, [200, 403, 403, 403, 403, 403]],
    ['POST', `${plant}/devices/pump-1/explain`, { action: 'publish', resource: 'a' }, [200, 200, 200, 200, 403, 403]],
    ['DELETE', `${base}/policies/none`, undefined, [404, 403, 403, 403, 403, 403]],
  ];
  for (const [method, path, body, statuses] of table) {
    const got = [];
    for (const who of ['operator', 'viewer', 'provisioner', 'auditor', 'metrics', 'foreign']) got.push((await call(method, path, body, tokens[who])).status);
    assert.deepEqual(got, statuses, `${method} ${path} ${JSON.stringify(body)}`);
  }
});

test('many devices come from a file, and errors name their lines', async () => {
  const line = (row) => JSON.stringify({ tenant: 'acme', registry: 'plant', ...row });
  const rows = Array.from({ length: 2500 }, (_, i) => line({ id: `bulk-${i}`, password: `a-long-random-secret-${i}`, attributes: { n: String(i) } }));
  rows[10] = line({ id: 'x' });
  rows[11] = '{';
  rows[1200] = line({ id: 'keyed', public_key: deviceKey().pem, password: 'password' });
  rows[1500] = line({ id: 'sym', symmetric_key: 'AAAA' });
  rows[1501] = line({ id: 'odd', colour: 'red' });
  rows[2400] = line({ id: 'bulk-5', password: 'a-long-random-secret' });
  rows.push(JSON.stringify({ tenant: 'acme', registry: 'nowhere', id: 'lost' }));
  const { code, stdout, stderr } = await server.tryCli(['device', 'import', file('devices.jsonl', `${rows.join('\n')}\n`)]);
  assert.equal(code, 1);
  assert.match(stdout, /2495 devices added, 6 refused/);
  const lines = [...stderr.matchAll(/devices\.jsonl:(\d+): (GH\d+ .*)/g)].map(([, number, text]) => [Number(number), text]).sort(([a], [b]) => a - b);
  assert.deepEqual(lines.map(([number]) => number), [11, 12, 1501, 1502, 2401, 2501], stderr);
  assert.match(lines[2][1], /symmetric/);
  assert.match(lines[3][1], /colour/);
  assert.equal((await call('GET', `${plant}/devices?page_size=1`)).body.total, 2496);
  const keyed = (await call('GET', `${plant}/devices/keyed`)).body;
  assert.deepEqual(keyed.credentials.map(({ kind }) => kind).sort(), ['ES256', 'password']);
  const none = await call('POST', `${plant}/import`, { devices: [{ id: 'fine' }, { id: 'bulk-1' }] });
  assert.equal(none.status, 409);
  assert.match(none.body.error.message, /^devices\[1\]: /);
  assert.equal((await call('GET', `${plant}/devices/fine`)).status, 404, 'all or none');
});

test('help and completion know the commands', () => {
  assert.match(plainly('policy', '--help').stdout, /policy explain TENANT\/REGISTRY\/DEVICE ACTION RESOURCE/);
  const { stdout } = plainly('completion', 'bash');
  assert.match(stdout, /2:policy:\*\) words=" put get list delete attach detach check explain"/);
  assert.match(stdout, /device:create.*--password-file/);
});

test('what a device can ever get is proved or refuted', async () => {
  await server.cli('device', 'create', 'acme/plant/reach-1');
  const leaky = document(allow('connect', 'client/${device}'), { Effect: 'Deny', Action: 'subscribe', Resource: 'filter/plant/secret', Sid: 'secret' },
    allow('subscribe', 'filter/plant/*'), allow('receive', 'topic/plant/*'), allow('publish', 'topic/${device}/*'));
  assert.equal((await call('PUT', `${base}/policies/leaky`, { document: leaky })).status, 201);
  const alone = await call('POST', `${base}/policies/leaky/check`, {});
  assert.equal(alone.status, 200, alone.text);
  assert.equal(alone.body.connect, true);
  assert.equal(alone.body.question, null);
  assert.deepEqual(alone.body.bypasses.map(({ policy, statement, sid, topic }) => [policy, statement, sid, topic]), [['leaky', 2, 'secret', 'plant/secret']]);
  assert.match(await server.cli('policy', 'check', 'acme/leaky', '--device', 'acme/plant/reach-1', '--can', 'receive', 'plant/secret'),
    /^possible: receive plant\/secret, subscribed to as \S+\n.*\n?warning: policy leaky, statement 2 denies a filter/m);
  const before = await call('POST', `${plant}/devices/reach-1/check`, { action: 'receive', topic: '#' });
  assert.equal(before.body.question.answer, 'never', before.text);
  await server.cli('policy', 'attach', 'acme/leaky', 'acme/plant/reach-1');
  const own = await call('POST', `${plant}/devices/reach-1/check`, { action: 'publish', topic: '+/up' });
  assert.deepEqual(own.body.question, { action: 'publish', topic: '+/up', answer: 'possible', example: 'reach-1/up', filter: null });
  assert.match(await server.cli('policy', 'check', 'acme/plant/reach-1', '--can', 'publish', 'other/#'), /^never: publish other\/#/);
  const tight = { ...leaky, Statement: [...leaky.Statement, { Effect: 'Deny', Action: 'receive', Resource: 'topic/plant/secret' }] };
  await call('PUT', `${base}/policies/leaky`, { document: tight });
  const closed = await call('POST', `${plant}/devices/reach-1/check`, { action: 'receive', topic: 'plant/secret' });
  assert.equal(closed.body.question.answer, 'never');
  assert.deepEqual(closed.body.bypasses, []);
  assert.equal((await call('POST', `${plant}/devices/reach-1/check`, { action: 'receive', topic: 'a/#/b' })).status, 400);
  assert.equal((await call('POST', `${plant}/devices/reach-1/check`, { action: 'subscribe', topic: 'a' })).status, 400);
  assert.equal((await call('POST', `${plant}/devices/reach-1/check`, { action: 'receive' })).status, 400);
  await server.cli('policy', 'detach', 'acme/leaky', 'acme/plant/reach-1');
});

test('what is attached to a group or to a credential', async () => {
  await server.cli('policy', 'put', 'acme/grouped', file('grouped.json', document(allow('publish', 'topic/all/*', { Sid: 'all' }))));
  const made = await call('POST', `${plant}/devices`, { id: 'member-1', credentials: [{ password: 'Hq3vYb8mKx1tRw6nLd9s' }] });
  assert.equal(made.status, 201, made.text);
  const credential = made.body.credentials[0].id;
  const explain = (more) => server.cli('policy', 'explain', 'acme/plant/member-1', 'publish', 'all/x', ...(more ?? []));
  await server.cli('group', 'create', 'acme/north');
  assert.equal((await call('PUT', `${base}/groups/north`)).status, 409);
  assert.equal((await call('PUT', `${base}/groups/no%20name`)).status, 400);
  await server.cli('policy', 'attach', 'acme/grouped', 'acme', '--group', 'north');
  assert.match(await explain(), /^no match/);
  await server.cli('group', 'add', 'acme/north', 'acme/plant/member-1');
  assert.match(await explain(), /^allow: policy grouped, statement 1 \(all\)/);
  assert.match(await server.cli('group', 'list', 'acme'), /north +1 /);
  assert.match(await server.cli('group', 'show', 'acme/north'), /plant +member-1 /);
  assert.deepEqual((await call('GET', `${base}/policies/grouped`)).body.targets, [{ group: 'north' }]);
  await server.cli('group', 'remove', 'acme/north', 'acme/plant/member-1');
  assert.match(await explain(), /^no match/);
  assert.equal((await call('POST', `${base}/groups/north/remove`, { registry: 'plant', device: 'member-1' })).status, 404);
  await server.cli('group', 'add', 'acme/north', 'acme/plant/member-1');
  await server.cli('group', 'delete', 'acme/north');
  assert.match(await explain(), /^no match/);
  await server.cli('policy', 'attach', 'acme/grouped', 'acme/plant/member-1', '--credential', credential);
  assert.match(await explain(), /^no match/);
  assert.match(await explain(['--credential', credential]), /^allow: policy grouped/);
  assert.match(await explain(['--credential', 'another']), /^no match/);
  assert.match(await server.cli('policy', 'check', 'acme/plant/member-1', '--can', 'publish', 'all/#', '--credential', credential), /^possible: publish all\//);
  assert.deepEqual((await call('GET', `${base}/policies/grouped`)).body.targets, [{ registry: 'plant', device: 'member-1', credential }]);
  assert.equal((await call('POST', `${base}/policies/grouped/attach`, { credential })).status, 400);
  const provisioner = await server.token('provisioner', '--tenant', 'acme');
  assert.equal((await call('PUT', `${base}/groups/south`, undefined, provisioner)).status, 403);
  assert.equal((await call('POST', `${base}/policies/grouped/attach`, { group: 'north' }, provisioner)).status, 403);
  await server.cli('policy', 'detach', 'acme/grouped', 'acme/plant/member-1', '--credential', credential);
  assert.match(await explain(['--credential', credential]), /^no match/);
});

test('a decision about people explains itself', async () => {
  const explain = (...args) => server.cli('access', 'explain', ...args);
  assert.equal(await explain('viewer', 'devices.delete', 'acme'), 'deny: the role viewer does not have devices.delete');
  assert.equal(await explain('provisioner', 'devices.delete', 'acme/plant'), 'allow: the role provisioner has devices.delete');
  assert.equal(await explain('user:a@b.c', 'devices.get', 'acme/plant'), 'deny: no binding here gives user:a@b.c devices.get');
  assert.equal((await call('POST', `${base}/access/explain`, { member: 'user:a@b.c', permission: 'devices.fly' })).status, 400);
  assert.equal((await call('POST', `${base}/access/explain`, { permission: 'devices.get' })).status, 400);
  assert.equal((await call('POST', `${base}/access/explain`, { role: 'viewer', permission: 'devices.get' }, await server.token('viewer', '--tenant', 'acme'))).status, 403);
});
