// The attack: somebody near, with an account or a device of their own, sends commands to what is another's. Every command times
// every foreign device: 0 successes, nothing arrives there, and what the owner sends arrives and leaves a row in the device's trail.
import assert from 'node:assert/strict';
import https from 'node:https';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { nativeRoutes, googleRoutes } from '../lib/routes.mjs';
import { eventually, Server } from '../lib/server.mjs';

const TENANTS = ['acme', 'other'], REGISTRIES = ['hall', 'yard'], DEVICES = ['pump', 'door'];
const secret = (name) => `the secret of ${name}, long enough`;
let server, agent, admin;
const sessions = new Map(); // device -> its MQTT session
const heard = []; // { device, topic, text }
const operators = new Map(); // who -> token

const devices = TENANTS.flatMap((tenant) => REGISTRIES.flatMap((registry) => DEVICES.map((id) => ({ tenant, registry, id, name: `${tenant}/${registry}/${id}` }))));
const google = ({ tenant, registry, id }) => `projects/${tenant}-project/locations/europe-west1/registries/${registry}/devices/${id}`;
const native = ({ tenant, registry, id }) => `/api/v1/tenants/${tenant}/registries/${registry}/devices/${id}`;

function signIn(device, options = {}) {
  return new Promise((done, fail) => {
    const session = mqtt.connect({ host: '127.0.0.1', port: server.port, protocol: 'mqtts', ca: server.ca, protocolVersion: 5, reconnectPeriod: 0,
      connectTimeout: 20000, clientId: device.name, username: device.name, password: secret(device.name), ...options });
    session.once('connect', () => { session.removeListener('error', fail); session.on('error', () => {}); done(session); });
    session.once('error', (error) => { session.end(true); fail(error); });
  });
}

before(async () => {
  server = await (await Server.create()).start();
  agent = new https.Agent({ keepAlive: true, maxSockets: 8, ca: server.ca });
  admin = await server.token();
  const policy = join(server.folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['connect', 'publish', 'subscribe', 'receive'], Resource: ['*'] }] }));
  for (const tenant of TENANTS) {
    await server.cli('tenant', 'create', tenant, '--google-project', `${tenant}-project`);
    await server.cli('policy', 'put', `${tenant}/all`, policy);
    await server.cli('policy', 'attach', `${tenant}/all`, tenant);
    for (const registry of REGISTRIES) await server.cli('registry', 'create', `${tenant}/${registry}`, '--location', 'europe-west1');
    const made = await server.call('POST', '/api/v1/tokens', { token: admin, body: { role: 'operator', tenant, ttl_s: 3600 } });
    assert.equal(made.status, 201, made.text);
    operators.set(`an operator of ${tenant}`, { tenant, token: made.body.token });
  }
  for (const device of devices) {
    const made = await server.call('POST', native(device).replace(/\/[^/]+$/, ''), { token: admin, body: { id: device.id, credentials: [{ password: secret(device.name) }] } });
    assert.equal(made.status, 201, made.text);
    const session = await signIn(device);
    session.on('message', (topic, payload) => heard.push({ device: device.name, topic, text: payload.toString() }));
    await session.subscribeAsync(['$gatehouse/commands/#', '$gatehouse/config'], { qos: 1 });
    sessions.set(device.name, session);
  }
});
after(async () => {
  for (const session of sessions.values()) session.end(true);
  agent?.destroy();
  await server?.close();
});

// Every way to make a device do something, or stop.
const base64 = (text) => Buffer.from(text).toString('base64');
const COMMANDS = [
  { name: 'command', method: 'POST', path: (device) => `${native(device)}/commands`, body: (text) => ({ data_base64: base64(text) }), kind: 'command' },
  { name: 'command to a folder', method: 'POST', path: (device) => `${native(device)}/commands`, body: (text) => ({ data_base64: base64(text), channel: 'valve' }), kind: 'command' },
  { name: 'config', method: 'POST', path: (device) => `${native(device)}/config`, body: (text) => ({ data_base64: base64(text) }), kind: 'config_sent' },
  { name: "Google's command", method: 'POST', path: (device) => `/v1/${google(device)}:sendCommandToDevice`, body: (text) => ({ binaryData: base64(text) }), kind: 'command' },
  { name: "Google's config", method: 'POST', path: (device) => `/v1/${google(device)}:modifyCloudToDeviceConfig`, body: (text) => ({ binaryData: base64(text) }), kind: 'config_sent' },
  { name: 'kick', method: 'POST', path: (device) => `${native(device)}/kick`, body: () => ({}), harms: true },
  { name: 'ban', method: 'POST', path: (device) => `${native(device)}/ban`, body: () => ({}), harms: true },
  { name: 'trace', method: 'GET', path: (device) => `${native(device)}/trace`, harms: true },
  { name: 'block', method: 'PATCH', path: native, body: () => ({ blocked: true }), harms: true },
  { name: 'delete', method: 'DELETE', path: native, harms: true },
];
const send = (command, device, token, text) =>
  server.call(command.method, command.path(device), { token, agent, body: command.body?.(text) });

test('the commands are those that there are', () => {
  const known = nativeRoutes().filter(({ path }) => /\/devices\/\{\w+\}\/(commands|config|kick|ban|trace)$/.test(path)).length +
    googleRoutes().filter(({ path }) => /:(sendCommandToDevice|modifyCloudToDeviceConfig)/.test(path)).length;
  // Unban is the one more of the native ones; Google's are there for a registry and for a group of it.
  assert.equal(known, 6 + 4);
});

test('operators of another tenant: every command, every foreign device: 0 successes', async () => {
  const let_in = [];
  let tried = 0;
  for (const [who, { tenant, token }] of operators)
    for (const device of devices.filter((each) => each.tenant !== tenant))
      for (const command of COMMANDS) {
        const { status } = await send(command, device, token, `from ${who}`);
        tried++;
        if (status !== 403 && status !== 404) let_in.push(`${who}: ${command.name} to ${device.name}: ${status}`);
      }
  assert.deepEqual(let_in, []);
  assert.equal(tried, 2 * 4 * COMMANDS.length);
});

test('devices, with tokens of their own: every command, every other device: 0 successes', async () => {
  const let_in = [];
  for (const attacker of devices.slice(0, 2)) {
    const asked = await server.call('POST', '/oauth2/token', { agent, body: 'grant_type=client_credentials', headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${base64(`${encodeURIComponent(attacker.name)}:${encodeURIComponent(secret(attacker.name))}`)}` } });
    assert.equal(asked.status, 200, asked.text);
    for (const device of devices)
      for (const command of COMMANDS) {
        const { status } = await send(command, device, asked.body.access_token, `from ${attacker.name}`);
        if (status !== 401 && status !== 403 && status !== 404) let_in.push(`${attacker.name}: ${command.name} to ${device.name}: ${status}`);
      }
  }
  assert.deepEqual(let_in, []);
});

// What is the platform's own in the topics of both dialects.
const topicsOf = (device) => ['$gatehouse/commands', '$gatehouse/commands/valve', '$gatehouse/config', `/devices/${device.id}/commands`,
  `/devices/${device.id}/config`, `${device.name}/commands`, `$gatehouse/${device.name}/commands`, `$gatehouse/devices/${device.id}/commands/x`];

test('devices over MQTT: what they publish is no command to anybody', async () => {
  for (const attacker of devices)
    for (const device of devices.filter((each) => each !== attacker))
      for (const topic of topicsOf(device)) {
        const session = await signIn(attacker, { clientId: `${attacker.name}-attack` });
        await Promise.race([session.publishAsync(topic, `from ${attacker.name} to ${device.name}`, { qos: 1 }).catch(() => {}),
          new Promise((done) => { session.once('close', done); })]);
        session.end(true);
        if (device !== devices.at(-1)) break; // one topic for each pair; all of them for the last
      }
  for (const attacker of devices.slice(0, 1))
    await assert.rejects(signIn(attacker, { username: devices[1].name }), 'with another\'s name');
});

test('nothing has arrived at any of them', async () => {
  // What the owner sends now comes after all that was sent before.
  for (const device of devices) {
    const { token } = operators.get(`an operator of ${device.tenant}`);
    assert.equal((await send(COMMANDS[0], device, token, 'the last word')).status, 200);
  }
  await eventually(() => heard.filter(({ text }) => text === 'the last word').length === devices.length, 15000, 'the last word is heard');
  assert.deepEqual(heard.filter(({ text }) => text.startsWith('from ')), []);
  for (const [name, session] of sessions) assert.ok(session.connected, `${name} is neither kicked nor banned`);
});

test('what the owner sends arrives, and each leaves a row in the trail', async () => {
  const rows = async (device, kind) => {
    const { status, body, text } = await server.call('GET', `${native(device)}/log?kind=${kind}`, { token: admin, agent });
    assert.equal(status, 200, text);
    return body.entries;
  };
  for (const device of devices) {
    const { token } = operators.get(`an operator of ${device.tenant}`);
    for (const kind of ['command', 'config_sent']) {
      const before = (await rows(device, kind)).length;
      const chosen = COMMANDS.filter((each) => each.kind === kind && !each.name.startsWith('Google'));
      for (const command of chosen) {
        const { status, text } = await send(command, device, token, `${command.name} of its own`);
        assert.ok(status >= 200 && status < 300, `${command.name}: ${status} ${text}`);
      }
      const entries = await eventually(async () => { const now = await rows(device, kind); return now.length >= before + chosen.length && now; }, 15000, `${kind} rows of ${device.name}`);
      assert.equal(entries.length, before + chosen.length, `a row for each accepted ${kind}`);
    }
  }
});
