// TLS sessions that are resumed: cheaper for both sides, and not a way around any check.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { Pki } from '../lib/pki.mjs';
import { Server, eventually } from '../lib/server.mjs';

const run = promisify(execFile);
const base = '/api/v1/tenants/acme/registries/plant';
let server, pki, root, rootId, token;
const api = (method, path, body) => server.call(method, `${base}${path}`, { token, body });
const metric = async (name) => Number(new RegExp(`^gatehouse_${name} (\\d+)`, 'm').exec((await server.call('GET', '/metrics', { token })).text)[1]);

before(async () => {
  pki = new Pki();
  root = pki.ca('Plant root');
  server = await (await Server.create()).start();
  token = await server.token();
  const policy = pki.file('all.json', JSON.stringify({ Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: ['connect', 'publish', 'subscribe', 'receive'], Resource: ['client/*', 'topic/*', 'filter/*'] }] }));
  for (const tenant of ['acme', 'other']) {
    await server.cli('tenant', 'create', tenant);
    await server.cli('registry', 'create', `${tenant}/plant`);
    await server.cli('policy', 'put', `${tenant}/all`, policy);
    await server.cli('policy', 'attach', `${tenant}/all`, tenant);
  }
  rootId = await addCa(root);
});
after(async () => { await server?.close(); pki?.close(); });

async function addCa(ca) {
  const added = await api('POST', '/cas', { pem: ca.cert });
  const proof = pki.leaf('proof', ca, { subject: `/CN=${added.body.verification_code}` });
  assert.equal((await api('POST', `/cas/${added.body.id}/verify`, { pem: proof.cert })).status, 200);
  return added.body.id;
}

// A device with a certificate of `issuer`, or with a registered one of its own.
async function makeDevice(id, issuer, dates) {
  const leaf = pki.leaf(id, issuer, dates);
  await server.cli('device', 'create', `acme/plant/${id}`, ...(issuer ? [] : ['--certificate', leaf.certFile]));
  return { id, leaf, user: `acme/plant/${id}` };
}

// Signs in and out again: the newest ticket, and whether the one that was shown was taken. Rejects with what CONNACK said.
function visit({ id, leaf, user }, session, more = {}) {
  return new Promise((done, fail) => {
    let newest, resumed, finished = false;
    const client = mqtt.connect({ protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: server.ca, username: user, clientId: id, session,
      ...(leaf ? { cert: leaf.cert, key: leaf.key } : {}), reconnectPeriod: 0, connectTimeout: 60000, ...more });
    client.stream.on('session', (ticket) => { newest = ticket; });
    client.stream.once('secureConnect', () => { resumed = client.stream.isSessionReused(); });
    client.once('connect', async () => {
      await client.publishAsync('a/b', 'hello', { qos: 1 }).catch(fail);
      finished = true;
      client.end(() => done({ session: newest, resumed }));
    });
    client.once('error', (error) => { client.end(true); fail(Object.assign(error, { resumed })); });
    client.once('close', () => finished || fail(Object.assign(new Error('the connection was closed'), { resumed })));
  });
}

const refusals = async (id) => (await api('GET', `/devices/${id}/log?kind=refusal`)).body.entries;

// The ticket is taken, and what was shown with it is refused: the operator reads why.
async function refusedThough(device, session, reason) {
  const earlier = (await refusals(device.id)).length;
  const error = await visit(device, session).then(() => assert.fail(`${device.id} came in`), (refusal) => refusal);
  assert.match(error.message, /Not authorized|Bad username|Connection refused/i);
  assert.equal(error.resumed, true, 'the handshake was resumed');
  const [last] = await eventually(async () => { const all = await refusals(device.id); return all.length > earlier && all; }, 10_000, 'an entry');
  assert.equal(last.reason, reason, last.detail);
}

test('a device with a certificate comes back by its ticket, again and again', async () => {
  for (const device of [await makeDevice('by-ca', root), await makeDevice('by-thumbprint')]) {
    const first = await visit(device);
    assert.equal(first.resumed, false);
    const earlier = await metric('tls_handshakes_resumed_total');
    const second = await visit(device, first.session), third = await visit(device, second.session);
    assert.deepEqual([second.resumed, third.resumed], [true, true]);
    assert.ok(third.session, 'each gives another');
    assert.equal(await metric('tls_handshakes_resumed_total'), earlier + 2);
  }
});

test('a device with a password comes back, and still has to know it', async () => {
  const device = { id: 'by-password', user: 'acme/plant/by-password' }, password = 'Zq3vYb8mKx1tRw6nLd9s';
  await server.cli('device', 'create', device.user, '--password-file', pki.file('secret', `${password}\n`));
  const { session } = await visit(device, undefined, { password });
  assert.equal((await visit(device, session, { password })).resumed, true);
  await assert.rejects(visit(device, session, { password: `${password}x` }), /Not authorized|Bad username/i);
  await assert.rejects(visit(device, session), /Not authorized|Bad username/i);
});

test('what has changed since the ticket was given holds', async (t) => {
  const changes = {
    'its certificate was revoked': { reason: 'CERTIFICATE_REVOKED', change: ({ leaf }) => server.cli('certificate', 'revoke', `acme/plant/${rootId}`, leaf.serial) },
    'the device is blocked': { reason: 'BLOCKED', change: ({ id }) => api('PATCH', `/devices/${id}`, { blocked: true }) },
    'its CA is disabled': { ca: true, reason: 'CA_DISABLED', change: ({ caId }) => api('PATCH', `/cas/${caId}`, { enabled: false }) },
    'its CA was taken away': { ca: true, reason: 'CERTIFICATE_UNKNOWN', change: ({ caId }) => api('DELETE', `/cas/${caId}`) },
    'its registered certificate was taken away': { own: true, reason: 'CERTIFICATE_UNKNOWN', change: ({ id }) => api('PATCH', `/devices/${id}`, { credentials: [] }) },
    'its registered certificate is disabled': { own: true, reason: 'CREDENTIAL_DISABLED', change: async ({ id }) => {
      const { credentials } = (await api('GET', `/devices/${id}`)).body;
      return api('PATCH', `/devices/${id}/credentials/${credentials[0].id}`, { disabled: true });
    } },
  };
  for (const [n, [name, { reason, ca, own, change }]] of Object.entries(changes).entries())
    await t.test(name, async () => {
      const issuer = ca ? pki.ca(`CA ${n}`) : root, caId = ca ? await addCa(issuer) : undefined;
      const device = await makeDevice(`changed-${n}`, own ? undefined : issuer);
      const { session } = await visit(device);
      assert.equal((await visit(device, session)).resumed, true);
      const answer = await change({ ...device, caId });
      assert.ok(answer.status === undefined || answer.status < 300, answer.text);
      await refusedThough(device, session, reason);
    });
});

test('a certificate that has run out is no better in a ticket', async () => {
  const device = await makeDevice('short', undefined), { credentials } = (await api('GET', '/devices/short')).body;
  const { session } = await visit(device);
  const soon = new Date(Date.now() + 1500).toISOString();
  assert.equal((await api('PATCH', `/devices/short/credentials/${credentials[0].id}`, { expires_at: soon })).status, 200);
  await eventually(async () => visit(device, session).then(() => false, ({ message }) => /Not authorized|Bad username/i.test(message)), 20_000, 'it has run out');
  await refusedThough(device, session, 'CREDENTIAL_EXPIRED');
});

test("a ticket is its own device's and nobody else's", async () => {
  const one = await makeDevice('one', root), two = await makeDevice('two', root);
  const { session } = await visit(one);
  await refusedThough({ ...two, leaf: one.leaf }, session, 'CERTIFICATE_NAME');
  await server.cli('device', 'create', 'other/plant/one');
  const elsewhere = await visit({ ...one, user: 'other/plant/one' }, session).then(() => assert.fail('it came in'), (error) => error);
  assert.equal(elsewhere.resumed, true);
  // A peer that shows its own certificate beside another's ticket is still who the ticket says.
  await refusedThough(two, session, 'CERTIFICATE_NAME');
});

test('a server that starts again opens no ticket of before', async () => {
  const device = await makeDevice('patient', root), { session } = await visit(device);
  server.listen = `127.0.0.1:${server.port}`;
  await server.stop();
  await server.start();
  token = await server.token();
  const back = await visit(device, session);
  assert.equal(back.resumed, false);
  assert.equal((await visit(device, back.session)).resumed, true);
});

const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

async function client(...args) {
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, '-CAfile', server.caFile, '-ign_eof', ...args], { stdio: ['pipe', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk) => { text += chunk; });
  child.stdin.end(request);
  await once(child, 'close');
  assert.match(text, /HTTP\/1\.1 200/);
  return text;
}

test("OpenSSL's client resumes TLS 1.3 and no TLS 1.2", async () => {
  const file = pki.file('session.pem');
  assert.match(await client('-tls1_3', '-sess_out', file), /^New, TLSv1\.3/m);
  assert.match(await client('-tls1_3', '-sess_in', file), /^Reused, TLSv1\.3/m);
  await client('-tls1_2', '-sess_out', file);
  assert.match(await client('-tls1_2', '-sess_in', file), /^New, TLSv1\.2/m);
  const { stdout } = await run('sh', ['-c', `openssl s_client -connect 127.0.0.1:${server.port} -CAfile ${server.caFile} -tls1_2 -reconnect </dev/null 2>/dev/null`]);
  assert.doesNotMatch(stdout, /^Reused/m);
});

for (const [name, option] of [['tls_ticket_hours = 0', ['--tls-ticket-hours', '0']], ['tls_own_records = 0', ['--tls-own-records', '0']]])
  test(`${name}: nothing is resumed`, async () => {
    const device = await makeDevice(`without-${option[0].slice(6)}`, root), { session } = await visit(device);
    await server.stop();
    server.options.push(...option);
    await server.start();
    token = await server.token();
    const back = await visit(device, session);
    assert.deepEqual([back.resumed, back.session], [false, undefined]);
    await server.stop();
    server.options.splice(-option.length);
    await server.start();
    token = await server.token();
  });
