// What an operator sees of connections and does about them: lists, kick, ban, counters, the live trace, ceilings and
// relaxed durability; against MQTT.js in both versions.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { bin, deviceKey, deviceToken, eventually, Server } from '../lib/server.mjs';

let server, token;
const tenant = '/api/v1/tenants/acme', plant = `${tenant}/registries/plant`;
const secretOf = (id) => `a-password-of-${id}-alone`; // no two devices may have the same
const call = (method, path, body, as = token) => server.call(method, path, { token: as, body });
const get = async (path) => {
  const answer = await call('GET', path);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};

// A tenant with two registries and devices that may do anything below free/.
async function prepare() {
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/plant');
  await server.cli('registry', 'create', 'acme/office');
  token = await server.token();
  const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow',
    Action: ['connect', 'publish', 'subscribe', 'receive', 'retain'], Resource: ['client/*', 'topic/free/*', 'filter/free/*'] }] };
  assert.equal((await call('PUT', `${tenant}/policies/everything`, { document: everything })).status, 201);
  await server.cli('policy', 'attach', 'acme/everything', 'acme');
  for (const [registry, id] of [['plant', 'pump'], ['plant', 'valve'], ['plant', 'fan'], ['office', 'lamp']]) {
    const made = await call('POST', `${tenant}/registries/${registry}/devices`, { id, credentials: [{ password: secretOf(id) }] });
    assert.equal(made.status, 201, made.text);
  }
}
before(async () => {
  server = await (await Server.create()).start();
  await prepare();
});
after(async () => {
  await trace('valve'); // one that is still read when the server ends
  const end = await server?.stop();
  assert.deepEqual(end, { code: 0, signal: null }, server?.log.slice(-4000)); // nothing leaked, nothing raced
  await server?.close();
});

// A client that does not come back by itself; `closed` resolves when it has ended, with the DISCONNECT if one came.
async function connect(id, options = {}, registry = 'plant') {
  const client = mqtt.connect({ host: '127.0.0.1', port: server.port, protocol: 'mqtts', ca: server.ca,
    username: `acme/${registry}/${id}`, password: secretOf(id), clientId: `${id}-1`, reconnectPeriod: 0, protocolVersion: 5, ...options });
  client.on('error', () => {});
  let disconnect;
  client.on('disconnect', (packet) => { disconnect = packet; });
  client.closed = new Promise((done) => client.once('close', () => done(disconnect)));
  await new Promise((done, fail) => {
    client.once('connect', done);
    client.once('error', fail);
    client.once('close', () => fail(new Error('closed')));
  });
  return client;
}
const refusal = (id, options) => connect(id, options).then((client) => { client.end(true); return 'accepted'; }, (error) => error.code);
const rows = async (path) => (await get(path)).connections;

test('a connection says who, from where, since when, by what, and what it has', async () => {
  const since = Date.now();
  const client = await connect('pump', { properties: { sessionExpiryInterval: 600 }, clean: false });
  await client.subscribeAsync('free/a/#', { qos: 1, properties: { subscriptionIdentifier: 7 }, rap: true });
  const [row, ...more] = await rows(`${plant}/devices/pump/connections`);
  assert.equal(more.length, 0);
  assert.equal(row.tenant, 'acme');
  assert.equal(row.registry, 'plant');
  assert.equal(row.device, 'pump');
  assert.equal(row.client_id, 'pump-1');
  assert.equal(row.state, 'connected');
  assert.match(row.address, /^127\.0\.0\.1:\d+$/);
  assert.ok(Math.abs(Date.parse(row.since) - since) < 30_000);
  assert.equal(row.mqtt, '5.0');
  assert.equal(row.dialect, 'native');
  assert.equal(row.transport, 'tls');
  assert.ok(row.credential);
  assert.equal(row.expires_at, null, 'a password without an end');
  assert.equal(row.stored, true);
  assert.equal(row.session_expiry_s, 600);
  assert.deepEqual(row.subscriptions, [{ filter: 'free/a/#', qos: 1, retain_as_published: true, identifier: 7 }]);
  assert.equal(row.last_refusal, null);

  client.end(true);
  const away = await eventually(async () => (await rows(`${plant}/devices/pump/connections`)).find(({ state }) => state === 'offline'));
  assert.equal(away.client_id, 'pump-1');
  assert.ok(away.away_since);
  const other = await connect('valve', { protocol: 'wss', path: '/mqtt' });
  assert.equal((await rows(`${plant}/devices/valve/connections`))[0].transport, 'websocket');
  await other.publishAsync('free/a/b', 'x'.repeat(100), { qos: 1 });
  const queued = await eventually(async () => (await rows(`${plant}/devices/pump/connections`)).find((it) => it.queued === 1));
  assert.ok(queued.queued_bytes >= 100);
  await other.endAsync();
});

// By AUTH (MQTT 5.0, section 4.12.1): what is shown is the credential of now, and that is the one whose end ends the connection.
test('a connection that renews its sign-in with another key is shown with that, and ends with it', async () => {
  const keys = [deviceKey(), deviceKey()];
  const made = await call('POST', `${plant}/devices`, { id: 'crane', credentials: keys.map(({ pem }) => ({ pem })) });
  assert.equal(made.status, 201, made.text);
  const [first, second] = made.body.credentials.map(({ id }) => id);
  const proof = (which, life) => ({ authenticationMethod: 'JWT', authenticationData: Buffer.from(
    deviceToken(keys[which], 'acme', { sub: 'crane', exp: Math.floor(Date.now() / 1000) + life })) });
  const client = await connect('crane', { password: undefined, properties: proof(0, 1800) });
  const [before] = await rows(`${plant}/devices/crane/connections`);
  assert.equal(before.credential, first);
  client._sendPacket({ cmd: 'auth', reasonCode: 0x19, properties: proof(1, 3000) });
  const row = await eventually(async () => (await rows(`${plant}/devices/crane/connections`)).find(({ credential }) => credential === second));
  assert.ok(Date.parse(row.expires_at) - Date.parse(before.expires_at) > 1000_000, `${before.expires_at}, ${row.expires_at}`);
  assert.equal(row.client_id, 'crane-1');
  const left = await call('PATCH', `${plant}/devices/crane`, { credentials: [{ pem: keys[0].pem }] });
  assert.equal(left.status, 200, left.text);
  await client.closed;
});

test('the list of a tenant is filtered and comes in pages', async () => {
  const clients = [await connect('valve'), await connect('valve', { clientId: 'valve-2', protocolVersion: 4 }), await connect('lamp', {}, 'office')];
  const names = (list) => list.map(({ device, client_id }) => `${device} ${client_id}`).sort();
  assert.deepEqual(names(await rows(`${tenant}/connections`)), ['lamp lamp-1', 'pump pump-1', 'valve valve-1', 'valve valve-2']);
  assert.deepEqual(names(await rows(`${tenant}/connections?state=connected`)), ['lamp lamp-1', 'valve valve-1', 'valve valve-2']);
  assert.deepEqual(names(await rows(`${tenant}/connections?state=offline`)), ['pump pump-1']);
  assert.deepEqual(names(await rows(`${tenant}/connections?registry=plant`)), ['pump pump-1', 'valve valve-1', 'valve valve-2']);
  assert.deepEqual(names(await rows(`${tenant}/connections?registry=plant&device=valve`)), ['valve valve-1', 'valve valve-2']);
  for (const limit of [1, 2, 3]) {
    const all = [];
    for (let next = '', pages = 0; pages < 6; pages++) {
      const page = await get(`${tenant}/connections?limit=${limit}&registry=plant${next && `&page_token=${next}`}`);
      assert.ok(page.connections.length <= limit);
      all.push(...page.connections);
      next = page.next_page_token;
      if (!next) break;
    }
    assert.deepEqual(names(all), ['pump pump-1', 'valve valve-1', 'valve valve-2'], `pages of ${limit}`);
  }
  for (const bad of ['limit=0', 'limit=501', 'state=away', 'page_token=zz', 'device=valve', `page_token=${'g'.repeat(32)}`]) {
    assert.equal((await call('GET', `${tenant}/connections?${bad}`)).status, 400, bad);
  }
  assert.equal((await call('GET', `${tenant}/connections?registry=none`)).status, 404);
  const table = await server.cli('connection', 'list', 'acme', '--registry', 'plant');
  assert.match(table, /valve +valve-2 +connected +127\.0\.0\.1:\d+ .* 3\.1\.1 +native +tls/);
  const shown = await server.cli('connection', 'show', 'acme/plant/valve');
  assert.match(shown, /client_id +valve-1/);
  assert.match(shown, /client_id +valve-2/);
  assert.equal(JSON.parse(await server.cli('connection', 'show', 'acme/plant/valve', '--json')).connections.length, 2);
  assert.match(await server.cli('connection', 'show', 'acme/plant/fan'), /no connection/);
  for (const client of clients) client.end(true);
});

test('a kick ends every connection of the device, and is in its log', async () => {
  const clients = [await connect('valve'), await connect('valve', { clientId: 'valve-2' })];
  const [kick, ...ends] = await Promise.all([call('POST', `${plant}/devices/valve/kick`), ...clients.map((client) => client.closed)]);
  assert.equal(kick.status, 200, kick.text);
  assert.equal(kick.body.connections, 2);
  for (const end of ends) assert.equal(end.reasonCode, 0x98);
  await eventually(async () => (await rows(`${plant}/devices/valve/connections`)).length === 0);
  const kicked = async (of) => (await get(`${plant}/devices/valve/log`)).entries.filter(({ kind, reason }) => kind === of && reason === 'KICKED').length;
  await eventually(async () => (await kicked('disconnect')) >= 2 && (await kicked('operator')) >= 1, 5000, 'the log has all of it');
  assert.deepEqual([await kicked('disconnect'), await kicked('operator')], [2, 1]);
  assert.equal((await call('POST', `${plant}/devices/valve/kick`)).status, 400, 'nobody is there');
  const viewer = await server.token('viewer'), controller = await server.token('device-controller');
  assert.equal((await call('POST', `${plant}/devices/valve/kick`, undefined, viewer)).status, 403);
  assert.equal((await call('POST', `${plant}/devices/valve/ban`, {}, controller)).status, 403);
  assert.equal((await call('GET', `${plant}/devices/valve/connections`, undefined, viewer)).status, 200);
  const again = await connect('valve');
  await server.cli('device', 'kick', 'acme/plant/valve');
  await again.closed;
});

test('a ban ends the connection, refuses the device until it is over, and is lifted', async () => {
  const client = await connect('fan');
  assert.match(await server.cli('device', 'ban', 'acme/plant/fan', '--for', '10m'), /ban\.until +20/);
  assert.equal((await client.closed).reasonCode, 0x98);
  assert.equal(await refusal('fan'), 0x8A);
  assert.equal(await refusal('fan', { protocolVersion: 4 }), 5);
  const wrong = await refusal('fan', { password: 'not-the-password-at-all' });
  assert.notEqual(wrong, 0x8A, 'a stranger learns nothing of the ban');
  const device = await get(`${plant}/devices/fan`);
  assert.ok(Date.parse(device.ban.until) > Date.now());
  assert.equal(device.blocked, false);
  const { entries } = await get(`${plant}/devices/fan/log`);
  assert.ok(entries.some(({ kind, reason, detail }) => kind === 'refusal' && reason === 'BANNED' && /until 20/.test(detail)));
  assert.ok(entries.some(({ kind, reason, detail }) => kind === 'operator' && reason === 'BANNED' && /for 600 s/.test(detail)));
  await server.cli('device', 'unban', 'acme/plant/fan');
  assert.equal((await get(`${plant}/devices/fan`)).ban, null);
  assert.equal(await refusal('fan'), 'accepted');
  for (const body of [{ for_s: 0 }, { for_s: -1 }, { for_s: 1e12 }, { until: 'x' }]) {
    assert.equal((await call('POST', `${plant}/devices/fan/ban`, body)).status, 400, JSON.stringify(body));
  }
  const forever = await call('POST', `${plant}/devices/fan/ban`, {});
  assert.deepEqual(forever.body.ban, { until: null });
  assert.equal(await refusal('fan'), 0x8A);
  assert.equal((await call('DELETE', `${plant}/devices/fan/ban`)).status, 200);
});

test('/metrics counts refusals, disconnects and denied publishes by their reasons, and the broker', async () => {
  const values = async () => Object.fromEntries([...(await call('GET', '/metrics')).text.matchAll(/^gatehouse_(\S+) (\d+)$/gm)]
    .map(([, name, value]) => [name, Number(value)]));
  const before = await values();
  for (const name of ['connects_refused_total{reason="TOKEN_EXPIRED"}', 'disconnects_total{reason="KEEPALIVE"}',
    'publishes_denied_total{reason="POLICY"}', 'subscribes_denied_total{reason="POLICY"}']) assert.ok(name in before, name);
  assert.equal(await refusal('fan', { password: 'not-the-password-at-all' }), 0x86);
  const client = await connect('fan');
  await assert.rejects(client.publishAsync('elsewhere', 'x', { qos: 1 }));
  assert.equal((await client.subscribeAsync('elsewhere').catch((error) => [error]))[0].qos ?? 0x87, 0x87);
  await client.subscribeAsync('free/kept');
  await client.publishAsync('free/kept', 'x', { qos: 1, retain: true });
  const during = await values();
  assert.ok(during.broker_sessions_connected >= 1);
  assert.ok(during.broker_sessions >= during.broker_sessions_connected + 1, 'the pump is away');
  assert.ok(during.broker_subscriptions >= 2);
  assert.ok(during.broker_retained_messages >= 1);
  assert.ok(during.broker_journal_bytes > 0);
  await client.endAsync();
  const after = await eventually(async () => {
    const now = await values();
    return now['disconnects_total{reason="CLIENT_CLOSED"}'] > before['disconnects_total{reason="CLIENT_CLOSED"}'] && now;
  });
  const more = (name) => after[name] - before[name];
  assert.equal(more('connects_refused_total{reason="SECRET"}'), 1);
  assert.equal(more('publishes_denied_total{reason="POLICY"}'), 1);
  assert.equal(more('subscribes_denied_total{reason="POLICY"}'), 1);
});

// Reads a device's trace: `lines` grows as packets come; `close` ends it.
async function trace(id, query = '') {
  const reader = { lines: [] };
  reader.request = https.get(`${server.url}${plant}/devices/${id}/trace${query}`, { ca: server.ca, headers: { authorization: `Bearer ${token}` } });
  reader.request.on('error', () => {});
  await new Promise((ready, fail) => reader.request.on('response', (response) => {
    if (response.statusCode !== 200) { fail(new Error(`a trace is answered with ${response.statusCode}`)); return; }
    assert.match(response.headers['content-type'], /^text\/event-stream/);
    let rest = '';
    response.setEncoding('utf8').on('data', (chunk) => {
      rest += chunk;
      for (let end; (end = rest.indexOf('\n\n')) >= 0; rest = rest.slice(end + 2)) {
        const data = /^event: packet\ndata: (.*)$/.exec(rest.slice(0, end));
        if (data) reader.lines.push(JSON.parse(data[1]));
      }
      ready();
    });
    response.on('error', () => {});
  }));
  reader.close = () => reader.request.destroy();
  reader.types = () => reader.lines.map(({ direction, type }) => `${direction} ${type}`);
  return reader;
}

test('a trace shows both directions from CONNECT on, without payloads and secrets', async () => {
  const [plain, full, other] = [await trace('fan'), await trace('fan', '?payloads=true'), await trace('valve')];
  const client = await connect('fan', { will: { topic: 'free/will', payload: 'gone', qos: 1, retain: false } });
  await client.subscribeAsync('free/t/#', { qos: 2, nl: true });
  await client.publishAsync('free/x', 'the payload', { qos: 1 });
  await client.publishAsync('free/x', Buffer.from([0xff, 0xfe]), { qos: 2 });
  await client.unsubscribeAsync('free/t/#');
  await client.endAsync();
  const expected = ['in CONNECT', 'out CONNACK', 'in SUBSCRIBE', 'out SUBACK', 'in PUBLISH', 'out PUBACK', 'in PUBLISH', 'out PUBREC',
    'in PUBREL', 'out PUBCOMP', 'in UNSUBSCRIBE', 'out UNSUBACK', 'in DISCONNECT'];
  await eventually(() => plain.lines.length >= expected.length && full.lines.length >= expected.length, 10000, 'the packets');
  assert.deepEqual(plain.types(), expected);
  assert.deepEqual(full.types(), expected);
  assert.equal(other.lines.length, 0, 'another device');
  const [hello, welcome, subscribe, suback, first] = plain.lines;
  assert.equal(hello.client_id, 'fan-1');
  assert.equal(hello.user_name, 'acme/plant/fan');
  assert.equal(hello.has_password, true);
  assert.deepEqual(hello.will, { topic: 'free/will', qos: 1, payload_size: 4 });
  assert.equal(welcome.reason, '0x00');
  assert.deepEqual(subscribe.filters, [{ filter: 'free/t/#', qos: 2, no_local: true }]);
  assert.deepEqual(suback.codes, ['0x02']);
  assert.equal(first.topic, 'free/x');
  assert.equal(first.qos, 1);
  assert.ok(first.packet_id > 0 && first.size > 11);
  assert.equal(first.payload_size, 11);
  assert.equal(first.payload, undefined);
  assert.equal(full.lines[4].payload, 'the payload');
  assert.equal(full.lines[6].payload_base64, '//4=');
  assert.ok(!JSON.stringify([plain.lines, full.lines]).includes(secretOf('fan')));
  assert.ok(!JSON.stringify(plain.lines).includes('the payload'));

  // A refusal of a known device is traced too; and a reader who comes to a live connection sees it from then on.
  assert.equal(await refusal('fan', { password: 'not-the-password-at-all' }), 0x86);
  await eventually(() => plain.lines.some(({ type, reason }) => type === 'CONNACK' && reason === '0x86'), 5000, 'the refusal');
  assert.ok(!JSON.stringify(plain.lines).includes('not-the-password'));
  plain.close();
  full.close();
  const live = await connect('valve');
  await eventually(() => other.types().includes('out CONNACK'));
  other.close();
  const late = await trace('valve');
  await live.publishAsync('free/x', 'y', { qos: 0 });
  await eventually(async () => { // the connection's loop is told in a letter
    await live.publishAsync('free/x', 'y', { qos: 1 });
    return late.types().includes('out PUBACK');
  });
  late.close();
  await live.endAsync();
  const notes = await eventually(async () => {
    const { entries } = await get(`${plant}/devices/fan/log`);
    const found = entries.filter(({ kind, reason }) => kind === 'operator' && reason.startsWith('TRACE_'));
    return found.length === 4 && found;
  }, 10000, 'both beginnings and ends in the log');
  assert.equal(notes.filter(({ reason }) => reason === 'TRACE_BEGAN').length, 2);
  assert.equal(notes.filter(({ detail }) => /with payloads/.test(detail)).length, 2);
});

test('a trace needs its permission, and the command line prints it', async () => {
  for (const role of ['viewer', 'device-controller', 'auditor', 'provisioner']) {
    assert.equal((await call('GET', `${plant}/devices/fan/trace`, undefined, await server.token(role))).status, 403, role);
  }
  assert.equal((await call('GET', `${plant}/devices/none/trace`)).status, 404);
  assert.equal((await call('GET', `${plant}/devices/fan/trace?payloads=yes`)).status, 400);
  const child = spawn(join(bin, 'gatehouse'), ['device', 'trace', 'acme/plant/fan', '--count', '4', '--data', server.data]);
  let out = '';
  child.stdout.on('data', (piece) => { out += piece; });
  const ended = new Promise((done) => child.once('close', done));
  await eventually(async () => (await get(`${plant}/devices/fan/log?limit=1`)).entries[0].reason === 'TRACE_BEGAN');
  const client = await connect('fan');
  await client.publishAsync('free/x', 'the payload', { qos: 1 });
  assert.equal(await ended, 0);
  assert.match(out, /^\d\d:\d\d:\d\d\.\d{3} in  CONNECT .*client_id=fan-1/m);
  assert.match(out, /out CONNACK .*reason=0x00/);
  assert.match(out, /in  PUBLISH .*topic=free\/x qos=1 packet_id=\d+ payload_size=11/);
  assert.match(out, /out PUBACK /);
  await client.endAsync();
  assert.equal((await server.tryCli(['device', 'trace', 'acme/plant/none'])).code, 1);
});

test('a tenant relaxes topics: said on the tenant, kept over a restart, taken back', async () => {
  assert.deepEqual((await get(tenant)).durability, { relaxed: [] });
  assert.match(await server.cli('tenant', 'relax', 'acme', 'free/fast/#', 'free/+/now'), /free\/fast/);
  assert.deepEqual((await get(`${tenant}/durability`)).relaxed, ['free/fast/#', 'free/+/now']);
  for (const body of [{}, { relaxed: ['a/#/b'] }, { relaxed: ['$share/g/a'] }, { relaxed: [''] }, { relaxed: [7] }, { relaxed: 'a' },
    { relaxed: [], more: 1 }, { relaxed: Array(65).fill('a') }]) {
    const answer = await call('PUT', `${tenant}/durability`, body);
    assert.ok([400, 429].includes(answer.status), JSON.stringify(body));
  }
  for (const role of ['viewer', 'provisioner', 'device-controller']) {
    assert.equal((await call('PUT', `${tenant}/durability`, { relaxed: [] }, await server.token(role))).status, 403, role);
  }
  const client = await connect('valve'), pump = await connect('pump', { clean: false, properties: { sessionExpiryInterval: 600 } });
  const arrived = new Promise((done) => pump.on('message', (topic) => topic === 'free/fast/x' && done()));
  await pump.subscribeAsync('free/fast/x', { qos: 1 });
  await client.publishAsync('free/fast/x', 'x', { qos: 1 });
  await arrived;
  client.end(true);
  pump.end(true);
  await server.stop();
  await server.start();
  assert.deepEqual((await get(tenant)).durability.relaxed, ['free/fast/#', 'free/+/now']);
  assert.match(await server.cli('tenant', 'show', 'acme'), /durability\.relaxed +.*free\/fast/);
  assert.equal((await server.tryCli(['tenant', 'relax', 'acme'])).code, 2);
  assert.equal((await server.tryCli(['tenant', 'relax', 'acme', 'a', '--none'])).code, 2);
  await server.cli('tenant', 'relax', 'acme', '--none');
  assert.deepEqual((await get(tenant)).durability, { relaxed: [] });
});

test('a tenant has ceilings of its own', async () => {
  const { rates, ...ceilings } = await get(`${tenant}/limits`);
  assert.deepEqual(ceilings, { connections_max: 0, messages_per_second: 0, connections: 0, own: {} });
  assert.equal(rates.states_per_second, 1, 'of Google\'s dialect');
  const counts = async (name) => Number(new RegExp(`^gatehouse_${name} (\\d+)$`, 'm').exec((await call('GET', '/metrics')).text)[1]);
  await server.cli('tenant', 'limits', 'acme', '--connections', '2', '--messages-per-second', '5');
  const first = await connect('valve'), second = await connect('pump');
  assert.equal(await refusal('fan'), 0x97);
  assert.equal(await counts('connects_refused_total\\{reason="TENANT_CONNECTIONS"\\}'), 1);
  assert.equal((await get(`${tenant}/limits`)).connections, 2);
  const again = await connect('valve'); // the same client takes its own place over
  await first.closed;
  await second.endAsync();
  await eventually(async () => (await get(`${tenant}/limits`)).connections === 1);
  const old = await connect('fan', { protocolVersion: 4 });

  const denied = await counts('publishes_denied_total\\{reason="TENANT_RATE"\\}');
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => again.publishAsync('free/rate', 'x', { qos: 1 })));
  const refused = results.filter(({ status }) => status === 'rejected').length;
  assert.ok(refused >= 1 && refused <= 15, `${refused} of 20 over 5 per second`); // more than five where it takes more than a second
  assert.equal(await counts('publishes_denied_total\\{reason="TENANT_RATE"\\}') - denied, refused);
  const told = async () => (await get(`${plant}/devices/valve/log`)).entries.filter(({ reason }) => reason === 'TENANT_RATE').length;
  await eventually(async () => (await told()) > 0, 5000, 'it is told');
  assert.ok(refused < 3 || (await told()) < refused, 'told once in ten seconds, counted each time');
  for (let i = 0; i < 60; i++) old.publish('free/rate', 'x', { qos: 1 });
  await old.closed; // 3.1.1 has no word for it
  await eventually(async () => (await get(`${plant}/devices/fan/log`)).entries.find(({ kind }) => kind === 'disconnect')?.reason === 'RATE', 5000, 'the log says so');

  assert.match(await server.cli('tenant', 'limits', 'acme'), /connections_max +2/);
  await server.cli('tenant', 'limits', 'acme', '--connections', '0');
  assert.deepEqual((await get(`${tenant}/limits`)).own, { connections_max: 0 });
  assert.equal(await refusal('fan'), 'accepted');
  await server.cli('tenant', 'limits', 'acme', '--default');
  assert.deepEqual((await get(`${tenant}/limits`)).own, {});
  for (const body of [{ connections_max: -1 }, { connections_max: 1e10 }, { messages_per_second: 'x' }, { more: 1 }]) {
    assert.equal((await call('PUT', `${tenant}/limits`, body)).status, 400, JSON.stringify(body));
  }
  assert.equal((await server.tryCli(['tenant', 'limits', 'acme', '--connections', 'x'])).code, 2);
  assert.equal((await server.tryCli(['tenant', 'limits', 'acme', '--connections', '1', '--default'])).code, 2);
  again.end(true);
});

test('the ceilings of the configuration hold, and are counted', async (t) => {
  const options = { 'device-connections-max': 2, 'device-packet-bytes-max': 2048, 'device-inflight-max': 5, 'device-queue-messages-max': 3,
    'device-subscriptions-max': 2, 'device-session-expiry-max-s': 60, 'device-messages-per-second': 50, 'tenant-sessions-max': 3,
    'tenant-retained-messages-max': 1 };
  const outer = [server, token];
  t.after(async () => {
    const end = await server.stop();
    await server.close();
    [server, token] = outer;
    assert.equal(end.code, 0);
  });
  server = await (await Server.create({ options: Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]) })).start();
  await prepare();
  const count = async (name) => Number(new RegExp(`^gatehouse_${name} (\\d+)$`, 'm').exec((await call('GET', '/metrics')).text)[1]);
  let connack;
  const one = await connect('pump', { clean: false, properties: { sessionExpiryInterval: 3600 } });
  await new Promise((done) => { // again, to see the CONNACK
    const look = mqtt.connect({ host: '127.0.0.1', port: server.port, protocol: 'mqtts', ca: server.ca, username: 'acme/plant/pump', password: secretOf('pump'),
      clientId: 'pump-1', reconnectPeriod: 0, protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 3600 } });
    look.on('connect', (packet) => { connack = packet; look.end(true, {}, done); });
  });
  await one.closed;
  assert.equal(connack.properties.maximumPacketSize, 2048);
  assert.equal(connack.properties.receiveMaximum, 5);
  assert.equal(connack.properties.sessionExpiryInterval, 60);

  const sub = await connect('pump', { clean: false, properties: { sessionExpiryInterval: 60 } });
  await sub.subscribeAsync({ 'free/a': { qos: 1 }, 'free/b': { qos: 1 }, 'free/c': { qos: 1 } }).catch(() => {});
  assert.equal(await count('subscribes_denied_total\\{reason="SUBSCRIPTIONS_LIMIT"\\}'), 1);
  assert.equal((await rows(`${plant}/devices/pump/connections`))[0].subscriptions_count, 2);
  sub.end(true);
  await eventually(async () => (await rows(`${plant}/devices/pump/connections`))[0].state === 'offline');

  const two = await connect('valve'), three = await connect('valve', { clientId: 'valve-2' });
  assert.equal(await refusal('valve', { clientId: 'valve-3' }), 0x97, 'a third of the device');
  for (let i = 0; i < 5; i++) await two.publishAsync('free/a', `${i}`, { qos: 1 });
  const [away] = await rows(`${plant}/devices/pump/connections`);
  assert.equal(away.queued, 3);
  assert.equal(away.dropped, 2);
  assert.equal(await count('messages_dropped_total'), 2);
  await two.publishAsync('free/kept/1', 'x', { qos: 1, retain: true });
  await assert.rejects(two.publishAsync('free/kept/2', 'x', { qos: 1, retain: true }));
  assert.equal(await count('publishes_denied_total\\{reason="RETAINED_LIMIT"\\}'), 1);
  assert.equal(await refusal('fan'), 0x97, 'the tenant has three sessions');
  assert.equal(await count('connects_refused_total\\{reason="SESSIONS_LIMIT"\\}'), 1);
  assert.equal(await count('devices_throttled_total'), 0);
  await eventually(async () => { // more at once than fifty and what comes by in the meantime
    await Promise.all(Array.from({ length: 200 }, () => two.publishAsync('free/x', 'x', { qos: 0 })));
    return await count('devices_throttled_total') >= 1;
  });
  three.publish('free/x', 'x'.repeat(3000), { qos: 0 });
  assert.equal((await three.closed)?.reasonCode, 0x95);
  two.end(true);
});
