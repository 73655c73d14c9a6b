// The native API with curl's manners: sign-in, rights, documents, live stream; and the OpenAPI document against the routes
// that the server really has.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { deviceKey, eventually, inTime, Server } from '../lib/server.mjs';
import { connect, makeDevice, makeProject, project } from '../lib/warehouse.mjs';

let server, token;
before(async () => {
  server = await (await Server.create()).start();
  token = await makeProject(server);
});
after(() => server?.close());

const get = (path, options) => server.call('GET', path, { token, ...options });

test('the OpenAPI document names every route, and no other', async () => {
  const { status, body } = await server.call('GET', '/api/v1/openapi.json');
  assert.equal(status, 200);
  assert.match(body.openapi, /^3\.1/);
  const source = readFileSync(new URL('../../src/api/router.c', import.meta.url), 'utf8');
  const macros = Object.fromEntries([...source.matchAll(/#define (\w+) "([^"]+)"/g)].map(([, name, path]) => [name, path]));
  const plain = (path) => path.replace(/\{\w+\}/g, '{}');
  const routes = [...source.matchAll(/\{"([A-Z]+)", (?:(\w+)\s*)?(?:"([^"]*)")?, api_/g)]
    .map(([, method, macro, rest]) => `${method} ${plain((macro ? macros[macro] : '') + (rest ?? ''))}`).sort();
  const documented = Object.entries(body.paths).flatMap(([path, item]) => Object.keys(item).filter((key) => key !== 'parameters')
    .map((method) => `${method.toUpperCase()} ${plain(path)}`)).filter((route) => !route.endsWith('openapi.json')).sort();
  assert.ok(routes.length > 30);
  assert.deepEqual(documented, routes);
});

test('without a token nothing answers but the open routes', async () => {
  for (const path of ['/api/v1/status', '/api/v1/tenants', '/api/v1/devices', '/api/v1/refusals', '/api/v1/stream', '/api/v1/zones', '/metrics', '/v1/projects/demo/topics']) {
    const answer = await server.call('GET', path);
    assert.equal(answer.status, 401, path);
  }
  for (const path of ['/healthz', '/api/v1/openapi.json', '/', '/devices/some/page']) {
    assert.equal((await server.call('GET', path)).status, 200, path);
  }
  assert.equal((await server.call('GET', '/api/v1/status', { token: `${token}x` })).status, 401);
  assert.equal((await server.call('GET', '/api/v1/nothing', { token })).status, 404);
  assert.equal((await server.call('PATCH', '/api/v1/status', { token })).status, 400);
});

test('an operator signs in, works by cookie, and signs out', async () => {
  const wrong = await server.call('POST', '/api/v1/session', { body: { name: server.operator, password: 'wrong-password' } });
  assert.equal(wrong.status, 401);
  const unknown = await server.call('POST', '/api/v1/session', { body: { name: 'nobody', password: 'wrong-password' }, headers: {} });
  assert.ok([401, 429].includes(unknown.status));
  const right = await eventually(async () => {
    const answer = await server.call('POST', '/api/v1/session', { body: { name: server.operator, password: server.password } });
    return answer.status === 200 && answer;
  }, 15000, 'the delay after a wrong password is over');
  const [cookie] = right.headers['set-cookie'];
  assert.match(cookie, /^__Host-gatehouse=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict/);
  const headers = { cookie: cookie.split(';')[0] };
  const me = await server.call('GET', '/api/v1/session', { headers });
  assert.deepEqual(me.body.operator, { name: server.operator, role: 'administrator' });
  const forged = await server.call('POST', '/api/v1/tenants', { headers, body: { name: 'forged' } });
  assert.equal(forged.status, 403, 'a change by cookie needs the header');
  assert.equal((await server.call('POST', '/api/v1/tenants', { headers: { ...headers, 'x-gatehouse': '1' }, body: { name: 'by-cookie' } })).status, 201);
  assert.equal((await server.call('DELETE', '/api/v1/session', { headers: { ...headers, 'x-gatehouse': '1' } })).status, 200);
  assert.equal((await server.call('GET', '/api/v1/session', { headers })).status, 401);
});

test('guessing is slowed down and the guesser is told how long', async () => {
  const statuses = [];
  for (let i = 0; i < 6; i++) {
    const answer = await server.call('POST', '/api/v1/session', { body: { name: 'victim', password: `guess-number-${i}` } });
    statuses.push(answer.status);
    if (answer.status === 429) assert.ok(answer.body.error.retry_after_s >= 1 && Number(answer.headers['retry-after']) >= 1);
  }
  assert.ok(statuses.includes(429), statuses.join());
});

test('a provisioner manages devices and never the registry', async () => {
  const provisioner = await server.token('provisioner', '--tenant', project);
  const base = `/api/v1/tenants/${project}/registries/warehouse`;
  const created = await server.call('POST', `${base}/devices`, { token: provisioner, body: { id: 'provisioned', credentials: [{ pem: deviceKey().pem }] } });
  assert.equal(created.status, 201, created.text);
  assert.equal(created.body.credentials[0].kind, 'ES256');
  assert.equal((await server.call('PATCH', base, { token: provisioner, body: { mqtt_enabled: false } })).status, 403);
  assert.equal((await server.call('DELETE', base, { token: provisioner })).status, 403);
  assert.equal((await server.call('POST', `/api/v1/tenants/${project}/registries`, { token: provisioner, body: { name: 'more' } })).status, 403);
  assert.equal((await server.call('DELETE', `${base}/devices/provisioned`, { token: provisioner })).status, 200);
  const google = '/v1/projects/demo/locations/europe-west1/registries/warehouse';
  assert.equal((await server.call('DELETE', google, { token: provisioner })).status, 403);
  assert.equal((await server.call('PATCH', `${google}?updateMask=log_level`, { token: provisioner, body: { logLevel: 'INFO' } })).status, 403);
});

test('a token of one tenant sees nothing of another', async () => {
  await server.cli('tenant', 'create', 'neighbour');
  await server.cli('registry', 'create', 'neighbour/things');
  const foreign = await server.token('administrator', '--tenant', 'neighbour');
  assert.equal((await server.call('GET', `/api/v1/tenants/${project}/registries`, { token: foreign })).status, 403);
  assert.equal((await server.call('GET', `/api/v1/tenants/nowhere/registries`, { token: foreign })).status, 403, 'and cannot tell what exists');
  assert.deepEqual((await server.call('GET', '/api/v1/tenants', { token: foreign })).body.tenants.map(({ name }) => name), ['neighbour']);
  assert.equal((await server.call('GET', '/api/v1/devices', { token: foreign })).body.total, 0);
});

test('telemetry by time and channel, the device page, the live stream', async () => {
  const device = await makeDevice(server, token, 'probe');
  let events = '';
  const stream = https.get(`${server.url}/api/v1/stream?device=probe`, { ca: server.ca, headers: { authorization: `Bearer ${token}` } });
  await new Promise((ready) => stream.on('response', (response) => {
    assert.equal(response.headers['content-type'], 'text/event-stream');
    response.setEncoding('utf8').on('data', (chunk) => { events += chunk; ready(); });
    response.on('error', () => {});
  }));
  stream.on('error', () => {});
  const client = await connect(server, device);
  await client.publishAsync('/devices/probe/events/climate', JSON.stringify({ temperature_c: 20.1 }), { qos: 1 });
  await client.publishAsync('/devices/probe/events/raw', Buffer.from([0xff, 0x00]), { qos: 1 });
  const page = (await get(`/api/v1/tenants/${project}/registries/warehouse/devices/probe`)).body;
  assert.equal(page.connection.state, 'connected');
  assert.equal(page.connection.dialect, 'google');
  assert.ok(page.last_event_at);
  const all = (await get(`/api/v1/tenants/${project}/registries/warehouse/devices/probe/telemetry`)).body;
  assert.deepEqual(all.records.map(({ channel }) => channel), ['climate', 'raw']);
  assert.deepEqual(all.records[0].data, { temperature_c: 20.1 });
  assert.equal(all.records[1].data_base64, '/wA=');
  const one = (await get(`/api/v1/tenants/${project}/registries/warehouse/devices/probe/telemetry?channel=climate&limit=1`)).body;
  assert.equal(one.records.length, 1);
  assert.equal((await get('/api/v1/devices?state=connected&filter=prob')).body.total, 1);
  const came = (kind, words) => eventually(() => events.split('\n\n').some((event) => event.startsWith(`event: ${kind}`) && event.includes(words)),
    5000, `${kind} on the stream`);
  await came('telemetry', '20.1');
  await came('connection', '"connected"');
  stream.destroy();
  await client.endAsync();
});

test('a live stream tells nothing once its token has ended', async () => {
  let told, over, short;
  const zone = (season) => server.call('PUT', `/api/v1/tenants/${project}/zones/hall-9`, { token, body: { name: 'Hall 9', season } });
  const stream = await inTime(async (seconds) => {
    [told, over, short] = ['', false, await server.token('viewer', '--ttl', `${seconds}s`)];
    const reader = https.get(`${server.url}/api/v1/stream`, { ca: server.ca, headers: { authorization: `Bearer ${short}` } });
    reader.on('error', () => {});
    reader.on('response', (response) => {
      response.setEncoding('utf8').on('data', (chunk) => { told += chunk; });
      response.on('end', () => { over = true; });
    });
    await eventually(() => over || told.includes('retry:'), 5000, 'the beginning');
    await zone('before');
    await eventually(() => over || told.includes('before'), 5000, 'what is told');
    return told.includes('before') && reader;
  }, 'a stream that tells');
  await eventually(async () => (await server.call('GET', '/api/v1/tenants', { token: short })).status === 401, 200000, 'the end of the token');
  await zone('after');
  await eventually(() => over || /after/.test(told), 5000, 'the end of the stream');
  stream.destroy();
  assert.doesNotMatch(told, /after/);
});

test('zones are kept and sent', async () => {
  const zone = { name: 'Hall 1', season: 'winter', mode: 'auto', reading: { temperature_c: 18 } };
  const put = await server.call('PUT', `/api/v1/tenants/${project}/zones/hall-1`, { token, body: zone });
  assert.equal(put.status, 200, put.text);
  assert.equal((await get('/api/v1/zones')).body.zones[0].zone, 'hall-1');
  assert.equal((await server.call('PUT', `/api/v1/tenants/${project}/zones/bad%20name`, { token, body: zone })).status, 400);
  assert.equal((await server.call('DELETE', `/api/v1/tenants/${project}/zones/hall-1`, { token })).status, 200);
});

test('bad bodies are named, and change nothing', async () => {
  const base = `/api/v1/tenants/${project}/registries/warehouse/devices`;
  for (const [body, message] of [
    ['{', /line|JSON|end/i], ['[]', /object/], ['{"id":"x1a","id":"x1a"}', /.*/], [{ id: 'x1a', colour: 'red' }, /colour/],
    [{ id: 'a' }, /id/], [{ id: 'x1a', credentials: [{ pem: 'none' }] }, /PEM|pem|key/], [{}, /id/],
  ]) {
    const answer = await server.call('POST', base, { token, body });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.body.error.message, message);
    assert.match(answer.body.error.code, /^GH\d{4}$/);
  }
  assert.equal((await get(`${base}/x1a`)).status, 404);
});

test('curl reads metrics with a token of that role, and with no other', async () => {
  const metrics = await server.token('metrics');
  const out = await new Promise((done, fail) => execFile('curl', ['-sS', '--fail', '--cacert', server.caFile, '-H', `authorization: Bearer ${metrics}`,
    `${server.url}/metrics`], (error, stdout) => (error ? fail(error) : done(stdout))));
  assert.match(out, /^# TYPE gatehouse_connections_open gauge$/m);
  assert.match(out, /^gatehouse_messages_stored_total \d+$/m);
  assert.equal((await server.call('GET', '/metrics', { token: await server.token('viewer') })).status, 401);
});

test('a lost password is replaced from the host, and ends what was signed in', async () => {
  const { password } = JSON.parse(await server.cli('operator', 'password', server.operator, '--json'));
  const sign = (word) => server.call('POST', '/api/v1/session', { body: { name: server.operator, password: word } });
  await eventually(async () => (await sign(password)).status === 200, 15000, 'signing in with the new one');
  assert.notEqual((await sign(server.password)).status, 200);
  assert.equal((await server.tryCli(['operator', 'password', 'nobody'])).code, 1);
});

test('the command line: tables, --json, import, exit codes', async () => {
  const file = join(server.folder, 'devices.jsonl');
  writeFileSync(file, [1, 2, 3].map((n) => JSON.stringify({ tenant: project, registry: 'warehouse', id: `import-${n}`, public_key: deviceKey().pem, attributes: { hall: `${n}` } })).join('\n'));
  assert.match(await server.cli('device', 'import', file), /3 devices added, 0 refused/);
  const again = await server.tryCli(['device', 'import', file]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /devices\.jsonl:1: GH2003/);
  assert.match(await server.cli('device', 'list', `${project}/warehouse`, '--filter', 'import-'), /import-3/);
  assert.equal(JSON.parse(await server.cli('device', 'show', `${project}/warehouse/import-1`, '--json')).id, 'import-1');
  assert.match(await server.cli('device', 'show', `${project}/warehouse/import-1`), /^credentials\.1\.kind +ES256$/m);
  const page = await server.tryCli(['device', 'list', `${project}/warehouse`, '--filter', 'import-', '--page-size', '2']);
  const next = /there is more: (--page-token) (\S+)/.exec(page.stderr);
  assert.match(await server.cli('device', 'list', `${project}/warehouse`, '--filter', 'import-', next[1], next[2]), /import-3/);
  assert.doesNotMatch(await server.cli('device', 'create', '--help'), /device import/);
  assert.equal((await server.tryCli(['device', 'show', `${project}/warehouse/none`])).code, 1);
  assert.equal((await server.tryCli(['device', 'show'])).code, 2);
  assert.equal((await server.tryCli(['no', 'such'])).code, 2);
  assert.equal((await server.tryCli(['device', 'list', `${project}/warehouse`, '--colour', 'red'])).code, 2);
});
