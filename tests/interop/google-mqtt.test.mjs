// Devices of Google Cloud IoT Core over MQTT: MQTT.js and Debian's mosquitto clients, both key types, against a real server.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { assertSoon, deviceToken, eventually, inTime, Server, unhurried } from '../lib/server.mjs';
import { closed, connect, connectOptions, makeDevice, makeProject, project, pull, registryPath } from '../lib/warehouse.mjs';

let server, token;
before(async () => {
  server = await (await Server.create({ options: unhurried })).start();
  token = await makeProject(server);
});
after(() => server?.close());

const log = async (id) => JSON.parse(await server.cli('device', 'log', `${project}/warehouse/${id}`, '--json')).entries;
const reasonOf = async (id, kind) => (await log(id)).find((entry) => entry.kind === kind)?.reason;

for (const alg of ['ES256', 'RS256']) {
  test(`a device with ${alg} publishes events, reports state, takes config and commands`, async () => {
    const device = await makeDevice(server, token, `all-${alg}`, alg);
    const client = await connect(server, device);
    const arrived = [];
    client.on('message', (topic, payload, packet) => arrived.push([topic, payload.toString(), packet.qos]));

    await client.subscribeAsync(`/devices/${device.id}/config`, { qos: 1 });
    await eventually(() => arrived.length === 1, 5000, 'the first config');
    assert.deepEqual(arrived.shift(), [`/devices/${device.id}/config`, '', 1], 'version 1 is empty and is sent');

    const granted = await client.subscribeAsync(`/devices/${device.id}/commands/#`, { qos: 0 });
    assert.equal(granted[0].qos, 0);
    const devicePath = `/v1/${registryPath}/devices/${device.id}`;
    const sent = await server.call('POST', `${devicePath}:sendCommandToDevice`,
      { token, body: { binaryData: Buffer.from('go').toString('base64'), subfolder: 'a/b' } });
    assert.equal(sent.status, 200, sent.text);
    await eventually(() => arrived.length === 1, 5000, 'the command');
    assert.deepEqual(arrived.shift().slice(0, 2), [`/devices/${device.id}/commands/a/b`, 'go']);

    const config = await server.call('POST', `${devicePath}:modifyCloudToDeviceConfig`,
      { token, body: { binaryData: Buffer.from('{"on":true}').toString('base64') } });
    assert.equal(config.body.version, '2', config.text);
    await eventually(() => arrived.length === 1, 5000, 'the config');
    assert.deepEqual(arrived.shift(), [`/devices/${device.id}/config`, '{"on":true}', 1]);
    await eventually(async () => (await server.call('GET', devicePath, { token })).body.config.deviceAckTime, 5000, 'deviceAckTime');
    assert.ok((await server.call('GET', devicePath, { token })).body.lastConfigAckTime);

    await client.publishAsync(`/devices/${device.id}/events`, 'plain', { qos: 1 });
    await client.publishAsync(`/devices/${device.id}/events/alerts`, 'hot', { qos: 1 });
    const messages = await pull(server, token, 2);
    assert.deepEqual(messages.map(({ data }) => Buffer.from(data, 'base64').toString()).sort(), ['hot', 'plain']);
    const hot = messages.find(({ attributes }) => attributes.subFolder === 'alerts');
    assert.deepEqual(hot.attributes, {
      deviceId: device.id, deviceNumId: device.numId, deviceRegistryLocation: 'europe-west1',
      deviceRegistryId: 'warehouse', projectId: project, subFolder: 'alerts',
    });

    await client.publishAsync(`/devices/${device.id}/state`, 'warm', { qos: 1 });
    const states = await server.call('GET', `${devicePath}/states`, { token });
    assert.equal(Buffer.from(states.body.deviceStates[0].binaryData, 'base64').toString(), 'warm');
    await client.endAsync();
    await eventually(async () => (await reasonOf(device.id, 'disconnect')) === 'CLIENT_CLOSED', 5000, 'the log says so');
  });
}

test('the numeric id works in the client id and in topics', async () => {
  const device = await makeDevice(server, token, 'by-number');
  const client = await connect(server, { ...device, id: device.numId });
  await client.publishAsync(`/devices/${device.numId}/events`, 'n', { qos: 1 });
  assert.equal((await pull(server, token, 1))[0].attributes.deviceId, 'by-number');
  await client.endAsync();
});

test('a second state within a second waits for its time; a third while it waits ends the connection', async () => {
  const device = await makeDevice(server, token, 'hasty');
  const client = await connect(server, device);
  await Promise.all(['1', '2'].map((text) => client.publishAsync(`/devices/${device.id}/state`, text, { qos: 1 })));
  const states = await server.call('GET', `/v1/${registryPath}/devices/${device.id}/states`, { token });
  assert.deepEqual(states.body.deviceStates.map(({ binaryData }) => Buffer.from(binaryData, 'base64').toString()), ['2', '1']);
  const over = closed(client);
  for (const text of ['3', '4', '5']) client.publish(`/devices/${device.id}/state`, text, { qos: 1 });
  await over;
  await eventually(async () => (await reasonOf(device.id, 'disconnect')) === 'RATE', 5000, 'the log says so');
});

describe('who is refused gets a code and nothing else, and the operator the exact reason', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const cases = [
    ['another project', { claims: { aud: 'other' } }, 5, 'AUDIENCE'],
    ['an audience that is an array', { claims: { aud: ['demo'] } }, 5, 'AUDIENCE'],
    ['expired beyond the skew', { claims: { iat: now() - 7200, exp: now() - 700 } }, 5, 'TOKEN_EXPIRED'],
    ['from the future', { claims: { iat: now() + 36000, exp: now() + 36300 } }, 5, 'TOKEN_NOT_YET_VALID'],
    ['too long a life', { claims: { iat: now(), exp: now() + 90000 } }, 5, 'LIFETIME'],
    ['alg none', { header: { alg: 'none' } }, 5, 'ALGORITHM'],
    ['alg HS256', { header: { alg: 'HS256' } }, 5, 'ALGORITHM'],
    ['no token at all', { mqtt: { password: 'secret' } }, 4, 'TOKEN_MALFORMED'],
  ];
  for (const [name, options, code, reason] of cases) {
    test(name, async () => {
      const device = await makeDevice(server, token, `refused-${reason.toLowerCase()}-${code}-${name.length}`);
      await assert.rejects(connect(server, device, options), (error) => error.code === code);
      await eventually(async () => (await reasonOf(device.id, 'refusal')) === reason, 5000, reason);
      await server.said(new RegExp(`refused demo/warehouse/${device.id} .*${reason}`));
    });
  }

  test('a key of another device', async () => {
    const [a, b] = [await makeDevice(server, token, 'key-a'), await makeDevice(server, token, 'key-b')];
    await assert.rejects(connect(server, { ...a, key: b.key }), (error) => error.code === 5);
    await eventually(async () => (await reasonOf('key-a', 'refusal')) === 'SIGNATURE', 5000);
  });

  test('an unknown device, registry and project look alike and are all in the refusals', async () => {
    const device = await makeDevice(server, token, 'known');
    for (const [clientId, reason] of [
      [`${registryPath}/devices/nobody`, 'UNKNOWN_DEVICE'],
      [`projects/demo/locations/europe-west1/registries/none/devices/known`, 'UNKNOWN_REGISTRY'],
      [`projects/nowhere/locations/europe-west1/registries/warehouse/devices/known`, 'UNKNOWN_TENANT'],
    ]) {
      await assert.rejects(connect(server, device, { mqtt: { clientId } }), (error) => error.code === 5);
      await eventually(async () => (await server.cli('refusals')).includes(reason), 5000, reason);
    }
    await assert.rejects(connect(server, device, { mqtt: { clientId: 'thermostat-7' } }), (error) => error.code === 2);
  });

  test('protocol level 5 is answered with code 1 in the older form', async () => {
    const device = await makeDevice(server, token, 'level-5');
    await assert.rejects(connect(server, device, { mqtt: { protocolVersion: 5 } }));
  });

  test('blocked, then unblocked; an expired credential; MQTT disabled', async () => {
    const device = await makeDevice(server, token, 'blocked-one');
    await server.cli('device', 'block', `${project}/warehouse/${device.id}`);
    await assert.rejects(connect(server, device), (error) => error.code === 5);
    await eventually(async () => (await reasonOf(device.id, 'refusal')) === 'BLOCKED', 5000);
    await server.cli('device', 'unblock', `${project}/warehouse/${device.id}`);
    await (await connect(server, device)).endAsync();
    const patched = await server.call('PATCH', `/v1/${registryPath}/devices/${device.id}?updateMask=credentials`, {
      token, body: { credentials: [{ publicKey: { format: 'ES256_PEM', key: device.key.pem }, expirationTime: '2020-01-01T00:00:00Z' }] },
    });
    assert.equal(patched.status, 200, patched.text);
    await assert.rejects(connect(server, device), (error) => error.code === 5);
    await eventually(async () => (await log(device.id)).some(({ reason }) => reason === 'CREDENTIAL_EXPIRED'), 5000);
  });
});

describe('checklist 5 and 7: what a device may not do closes its connection with the right reason', () => {
  const forbidden = [
    ['another device', (c) => c.publish('/devices/other/events', 'x', { qos: 1 }), 'TOPIC_FORBIDDEN'],
    ['a free topic', (c) => c.publish('/foo', 'x', { qos: 1 }), 'TOPIC_FORBIDDEN'],
    ['a Pub/Sub topic', (c) => c.publish('projects/demo/topics/telemetry', 'x', { qos: 1 }), 'TOPIC_FORBIDDEN'],
    ['attach by a device', (c) => c.publish('/devices/me/attach', '{}', { qos: 1 }), 'TOPIC_FORBIDDEN'],
    ['QoS 2', (c, id) => c.publish(`/devices/${id}/events`, 'x', { qos: 2 }), 'QOS2'],
    ['262,145 bytes', (c, id) => c.publish(`/devices/${id}/events`, Buffer.alloc(262145), { qos: 1 }), 'TOO_LARGE'],
    ['a state of 65,537 bytes', (c, id) => c.publish(`/devices/${id}/state`, Buffer.alloc(65537), { qos: 1 }), 'TOO_LARGE'],
  ];
  for (const [index, [name, act, reason]] of forbidden.entries()) {
    test(name, async () => {
      const device = await makeDevice(server, token, `forbidden-${index}`);
      const client = await connect(server, device);
      const over = closed(client);
      act(client, device.id);
      await over;
      await eventually(async () => (await reasonOf(device.id, 'disconnect')) === reason, 5000, reason);
    });
  }

  test('checklist 8: telemetry without a topic closes and sets lastErrorStatus', async () => {
    const created = await server.call('POST', `/v1/projects/demo/locations/europe-west1/registries`, { token, body: { id: 'topicless' } });
    assert.equal(created.status, 200, created.text);
    const device = await makeDevice(server, token, 'quiet-one');
    const path = 'projects/demo/locations/europe-west1/registries/topicless';
    const answer = await server.call('POST', `/v1/${path}/devices`,
      { token, body: { id: 'quiet-two', credentials: [{ publicKey: { format: 'ES256_PEM', key: device.key.pem } }] } });
    assert.equal(answer.status, 200, answer.text);
    const client = await connect(server, { id: 'quiet-two', key: device.key }, { mqtt: { clientId: `${path}/devices/quiet-two` } });
    const over = closed(client);
    client.publish('/devices/quiet-two/events', 'x', { qos: 1 });
    await over;
    await eventually(async () => (await server.call('GET', `/v1/${path}/devices/quiet-two`, { token })).body.lastErrorStatus?.code > 0, 5000);
  });

  test('checklist 5 and 10: a filter that is not its own is refused in SUBACK and the connection lives on', async () => {
    const device = await makeDevice(server, token, 'filters');
    const client = await connect(server, device);
    for (const filter of ['#', '/devices/+/config', '/devices/other/config', `/devices/${device.id}/commands/a`]) {
      await assert.rejects(client.subscribeAsync(filter), filter);
    }
    const granted = await client.subscribeAsync(`/devices/${device.id}/config`, { qos: 2 });
    assert.equal(granted[0].qos, 1, 'QoS 2 is granted as 1');
    await client.endAsync();
  });
});

describe('sessions end when their reason to be ends', () => {
  test('checklist 4: a second CONNECT takes over; one with a bad token does not', async () => {
    const device = await makeDevice(server, token, 'twice');
    const first = await connect(server, device);
    await assert.rejects(connect(server, device, { claims: { aud: 'wrong' } }));
    await first.publishAsync(`/devices/${device.id}/events`, 'alive', { qos: 1 });
    await pull(server, token, 1);
    const over = closed(first);
    const second = await connect(server, device);
    await over;
    await eventually(async () => (await log(device.id)).some(({ reason }) => reason === 'TAKEN_OVER'), 5000);
    await second.endAsync();
  });

  for (const [name, change, reason] of [
    ['blocking', (id) => server.cli('device', 'block', `${project}/warehouse/${id}`), 'BLOCKED'],
    ['removing the key', (id) => server.call('PATCH', `/v1/${registryPath}/devices/${id}?updateMask=credentials`, { token, body: { credentials: [] } }), 'CREDENTIAL_REMOVED'],
  ]) {
    test(`checklist 18: ${name} closes the session within a second`, async () => {
      const device = await makeDevice(server, token, `closed-by-${reason.toLowerCase()}`);
      const client = await connect(server, device);
      const over = closed(client);
      await change(device.id);
      const done = performance.now();
      await over;
      assertSoon(done, 'closed');
      await eventually(async () => (await reasonOf(device.id, 'disconnect')) === reason, 5000);
    });
  }

  test('checklist 18: deleting the device closes its session within a second', async () => {
    const device = await makeDevice(server, token, 'deleted');
    const client = await connect(server, device);
    const over = closed(client);
    assert.equal((await server.call('DELETE', `/v1/${registryPath}/devices/${device.id}`, { token })).status, 200);
    const done = performance.now();
    await over;
    assertSoon(done, 'closed');
  });

  test('disabling MQTT for the registry closes its sessions and refuses new ones', async () => {
    const path = 'projects/demo/locations/europe-west1/registries/switched';
    await server.call('POST', '/v1/projects/demo/locations/europe-west1/registries', { token, body: { id: 'switched' } });
    const device = await makeDevice(server, token, 'switch-source');
    await server.call('POST', `/v1/${path}/devices`, { token, body: { id: 'switched-1', credentials: [{ publicKey: { format: 'ES256_PEM', key: device.key.pem } }] } });
    const options = { mqtt: { clientId: `${path}/devices/switched-1` } };
    const client = await connect(server, device, options);
    const over = closed(client);
    await server.call('PATCH', `/v1/${path}?updateMask=mqtt_config`, { token, body: { mqttConfig: { mqttEnabledState: 'MQTT_DISABLED' } } });
    await over;
    await assert.rejects(connect(server, device, options), (error) => error.code === 5);
  });

  test('checklist 3: a token that expired by less than the skew lives for the rest of it', async () => {
    const device = await makeDevice(server, token, 'late');
    const client = await inTime((seconds) => {
      const now = Math.floor(Date.now() / 1000);
      return connect(server, device, { claims: { iat: now - 4000, exp: now - 600 + seconds } }).catch(() => undefined);
    }, 'a connection');
    await closed(client);
    await eventually(async () => (await reasonOf(device.id, 'disconnect')) === 'TOKEN_EXPIRED', 5000);
  });
});

test('checklist 10: sendCommandToDevice: offline and not subscribed are FAILED_PRECONDITION; QoS 1 waits for PUBACK', async () => {
  const device = await makeDevice(server, token, 'commands');
  const send = () => server.call('POST', `/v1/${registryPath}/devices/${device.id}:sendCommandToDevice`,
    { token, body: { binaryData: 'Z28=' } });
  const offline = await send();
  assert.deepEqual([offline.status, offline.body.error.status], [400, 'FAILED_PRECONDITION']);
  const client = await connect(server, device);
  assert.equal((await send()).body.error.status, 'FAILED_PRECONDITION');
  await client.subscribeAsync(`/devices/${device.id}/commands/#`, { qos: 1 });
  assert.equal((await send()).status, 200);
  await client.endAsync();
});

test('checklist 9: of two quick configs only the newest arrives after a PUBACK that was withheld', async () => {
  const device = await makeDevice(server, token, 'newest');
  const client = await connect(server, device, { mqtt: { manualAcks: true } });
  const arrived = [];
  let withhold = true;
  client.handleMessage = (packet, done) => { arrived.push(packet.payload.toString()); if (!withhold) done(); };
  await client.subscribeAsync(`/devices/${device.id}/config`, { qos: 1 });
  await eventually(() => arrived.length === 1);
  for (const data of ['one', 'two']) { // our own API: Google's takes one change a second
    await server.call('POST', `/api/v1/tenants/demo/registries/warehouse/devices/${device.id}/config`,
      { token, body: { data_base64: Buffer.from(data).toString('base64') } });
  }
  const answer = await server.call('GET', `/v1/${registryPath}/devices/${device.id}`, { token });
  assert.equal(answer.body.config.version, '3');
  withhold = false;
  client.end(true);
  const again = await connect(server, device);
  const seen = [];
  again.on('message', (topic, payload) => seen.push(payload.toString()));
  await again.subscribeAsync(`/devices/${device.id}/config`, { qos: 1 });
  await eventually(() => seen.length > 0);
  assert.deepEqual(seen, ['two']);
  await again.endAsync();
});

test("mosquitto's clients publish and take commands", async () => {
  const device = await makeDevice(server, token, 'mosquitto', 'RS256');
  const common = ['-h', '127.0.0.1', '-p', String(server.port), '--cafile', server.caFile, '-V', 'mqttv311',
    '-i', `${registryPath}/devices/${device.id}`, '-u', 'unused', '-P', deviceToken(device.key, project)];
  const code = await new Promise((done) => execFile('mosquitto_pub',
    [...common, '-q', '1', '-t', `/devices/${device.id}/events/m`, '-m', 'from mosquitto'], (error) => done(error?.code ?? 0)));
  assert.equal(code, 0);
  assert.equal(Buffer.from((await pull(server, token, 1))[0].data, 'base64').toString(), 'from mosquitto');
  const sub = spawn('mosquitto_sub', [...common, '-q', '1', '-t', `/devices/${device.id}/commands/#`, '-C', '1', '-v', '-W', '20']);
  let out = '';
  sub.stdout.on('data', (chunk) => { out += chunk; });
  const ended = once(sub, 'close');
  await eventually(async () => (await server.call('POST', `/v1/${registryPath}/devices/${device.id}:sendCommandToDevice`,
    { token, body: { binaryData: Buffer.from('open').toString('base64'), subfolder: 'door' } })).status === 200);
  await ended;
  assert.equal(out, `/devices/${device.id}/commands/door open\n`);
});

test("checklist 2: Google's C SDK sends flags 0xC2 with an empty user name; a broken packet closes; others live on", async () => {
  const device = await makeDevice(server, token, 'raw');
  const text = (value) => { const bytes = Buffer.from(value); return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]); };
  const body = Buffer.concat([text('MQTT'), Buffer.from([4, 0xc2, 0, 20]), text(`${registryPath}/devices/${device.id}`),
    text(''), text(deviceToken(device.key, project))]);
  const length = [(body.length & 127) | 128, body.length >> 7];
  const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca: server.ca, servername: '' });
  await once(socket, 'secureConnect');
  socket.write(Buffer.concat([Buffer.from([0x10, ...length]), body]));
  const [connack] = await once(socket, 'data');
  assert.deepEqual([...connack], [0x20, 2, 0, 0]);
  socket.write(Buffer.from([0x00, 0x00]));
  await once(socket, 'close');
  await eventually(async () => (await reasonOf(device.id, 'disconnect')) === 'PROTOCOL', 5000);
  assert.equal((await server.call('GET', '/healthz')).status, 200);
});
