// Gateways of Google Cloud IoT Core: MQTT.js with the settings of the published gateway samples, for devices that do not
// connect themselves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { deviceToken, eventually, Server, unhurried } from '../lib/server.mjs';
import { closed, connect, makeDevice, makeProject, project, pull, registryPath } from '../lib/warehouse.mjs';

let server, token;
before(async () => {
  server = await (await Server.create({ options: [...unhurried, '--google-attached-devices-max', '3', '--google-gateways-max', '2'] })).start();
  token = await makeProject(server);
});
after(() => server?.close());

const call = async (method, path, body) => {
  const answer = await server.call(method, `/v1/${registryPath}${path}`, { token, body });
  assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`);
  return answer.body;
};
const bind = (gatewayId, deviceId) => call('POST', ':bindDeviceToGateway', { gatewayId, deviceId });
const unbind = (gatewayId, deviceId) => call('POST', ':unbindDeviceFromGateway', { gatewayId, deviceId });
const b64 = (text) => Buffer.from(text).toString('base64');
const entries = async (id) => JSON.parse(await server.cli('device', 'log', `${project}/warehouse/${id}`, '--json')).entries;
const logged = (id, kind, reason) => eventually(async () => (await entries(id))
  .some((entry) => entry.kind === kind && (reason === undefined || entry.reason === reason)), 5000, `${id} ${kind} ${reason}`);

// A connected gateway that subscribes its error reports. `sent` is what came, by topic.
async function gateway(id, gatewayAuthMethod) {
  const device = await makeDevice(server, token, id, 'ES256', { gatewayType: 'GATEWAY', gatewayAuthMethod });
  const client = await connect(server, device);
  const came = [];
  client.on('message', (topic, payload, packet) => came.push({ topic, text: payload.toString(), qos: packet.qos }));
  await client.subscribeAsync(`/devices/${id}/errors`, { qos: 0 });
  const next = async (topic) => {
    await eventually(() => came.some((message) => message.topic === topic), 5000, `a message on ${topic}`);
    return came.splice(came.findIndex((message) => message.topic === topic), 1)[0];
  };
  return { device, client, came, next, error: async () => JSON.parse((await next(`/devices/${id}/errors`)).text) };
}
const attach = ({ client }, id, authorization) => client.publishAsync(`/devices/${id}/attach`,
  authorization === undefined ? '{}' : JSON.stringify({ authorization }), { qos: 1 });
const tokenOf = (device) => deviceToken(device.key, project);

describe('checklist 11: four methods, bound or not, with a token or without', () => {
  for (const [method, needsBinding, needsToken] of [
    ['ASSOCIATION_ONLY', true, false], ['DEVICE_AUTH_TOKEN_ONLY', false, true],
    ['ASSOCIATION_AND_DEVICE_AUTH_TOKEN', true, true], ['GATEWAY_AUTH_METHOD_UNSPECIFIED', null, null],
  ]) {
    for (const bound of [false, true]) {
      for (const withToken of [false, true]) {
        const may = method !== 'GATEWAY_AUTH_METHOD_UNSPECIFIED' && (bound || !needsBinding) && (withToken || !needsToken);
        test(`${method}, ${bound ? 'bound' : 'not bound'}, ${withToken ? 'token' : 'no token'}: ${may ? 'attached' : 'refused'}`, async () => {
          const name = `m${method.length}-${bound ? 'b' : 'u'}${withToken ? 't' : 'n'}`;
          const g = await gateway(`gw-${name}`, method);
          const device = await makeDevice(server, token, `dev-${name}`);
          if (bound) await bind(g.device.id, device.id);
          const attached = attach(g, device.id, withToken ? tokenOf(device) : '');
          if (may) {
            await attached;
            await g.client.publishAsync(`/devices/${device.id}/events/x`, name, { qos: 1 });
            const [message] = await pull(server, token, 1);
            assert.equal(message.attributes.deviceId, device.id);
            assert.equal(message.attributes.gatewayId, g.device.id);
            assert.equal(message.attributes.subFolder, 'x');
            const read = await call('GET', `/devices/${device.id}`);
            assert.equal(read.gatewayConfig.lastAccessedGatewayId, g.device.id);
            assert.ok(read.gatewayConfig.lastAccessedGatewayTime);
          } else {
            const error = await g.error();
            assert.equal(error.error_type, 'GATEWAY_ATTACHMENT_ERROR');
            assert.equal(error.device_id, device.id);
            assert.deepEqual(error.mqtt_message_info, { message_type: 'PUBLISH', topic: `/devices/${device.id}/attach`,
              packet_id: error.mqtt_message_info.packet_id });
            assert.ok(error.mqtt_message_info.packet_id > 0);
            assert.ok(g.client.connected, 'the gateway stays connected');
            await logged(device.id, 'refusal');
          }
          attached.catch(() => {}); // a refused one is never acknowledged
          g.client.end(true);
        });
      }
    }
  }
});

test('a wrong token, an unknown device, a blocked one and a gateway are not attached', async () => {
  const g = await gateway('gw-wrong', 'DEVICE_AUTH_TOKEN_ONLY');
  const [a, b] = [await makeDevice(server, token, 'wrong-a'), await makeDevice(server, token, 'wrong-b')];
  await makeDevice(server, token, 'gw-other', 'ES256', { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' });
  await call('PATCH', '/devices/wrong-b?updateMask=blocked', { blocked: true });
  for (const [id, jwt] of [['wrong-a', tokenOf(b)], ['nobody', tokenOf(a)], ['wrong-b', tokenOf(b)], ['gw-other', tokenOf(a)]]) {
    attach(g, id, jwt).catch(() => {});
    const error = await g.error();
    assert.deepEqual([error.error_type, error.device_id], ['GATEWAY_ATTACHMENT_ERROR', id]);
  }
  await logged('wrong-a', 'refusal', 'SIGNATURE');
  await logged('wrong-b', 'refusal', 'BLOCKED');
  g.client.end(true);
});

test('the sample gateway: config and commands of attached devices on its connection, state and events for them', async () => {
  const g = await gateway('gw-sample', 'ASSOCIATION_ONLY');
  for (const id of ['lamp-1', 'lamp-2']) {
    await makeDevice(server, token, id);
    await bind('gw-sample', id);
    await attach(g, id);
    await g.client.subscribeAsync(`/devices/${id}/config`, { qos: 1 });
    assert.equal((await g.next(`/devices/${id}/config`)).text, '', 'version 1 is empty and is sent');
    await g.client.subscribeAsync(`/devices/${id}/commands/#`, { qos: 1 });
  }
  await g.client.subscribeAsync('/devices/gw-sample/config', { qos: 1 });
  assert.equal((await g.next('/devices/gw-sample/config')).text, '');

  await call('POST', '/devices/lamp-1:modifyCloudToDeviceConfig', { binaryData: b64('one') });
  assert.deepEqual(await g.next('/devices/lamp-1/config'), { topic: '/devices/lamp-1/config', text: 'one', qos: 1 });
  await eventually(async () => (await call('GET', '/devices/lamp-1')).config.deviceAckTime, 5000, 'deviceAckTime');
  assert.equal((await call('GET', '/devices/lamp-2')).config.deviceAckTime !== undefined, true, 'version 1 was acknowledged');

  assert.deepEqual(await call('POST', '/devices/lamp-2:sendCommandToDevice', { binaryData: b64('go'), subfolder: 'a/b' }), {});
  assert.deepEqual(await g.next('/devices/lamp-2/commands/a/b'), { topic: '/devices/lamp-2/commands/a/b', text: 'go', qos: 1 });

  await g.client.publishAsync('/devices/lamp-2/state', 'warm', { qos: 1 });
  assert.equal((await call('GET', '/devices/lamp-2/states')).deviceStates[0].binaryData, b64('warm'));
  const { numId } = await call('GET', '/devices/lamp-1');
  await g.client.publishAsync(`/devices/${numId}/events`, 'n', { qos: 1 });
  assert.equal((await pull(server, token, 1))[0].attributes.deviceId, 'lamp-1', 'by number too');

  await attach(g, 'lamp-1'); // again: PUBACK
  await g.client.publishAsync('/devices/lamp-1/detach', '{}', { qos: 1 });
  await logged('lamp-1', 'attach');
  await logged('lamp-1', 'detach', 'CLIENT_CLOSED');
  const offline = await server.call('POST', `/v1/${registryPath}/devices/lamp-1:sendCommandToDevice`, { token, body: { binaryData: '' } });
  assert.deepEqual([offline.status, offline.body.error.status], [400, 'FAILED_PRECONDITION']);
  await g.client.endAsync();
  await logged('lamp-2', 'detach');
});

test('the error reports have exactly the form of the bridge', async () => {
  const g = await gateway('gw-errors', 'ASSOCIATION_ONLY');
  await makeDevice(server, token, 'light_switch_001');
  await bind('gw-errors', 'light_switch_001');
  const published = new Promise((done) => { g.client.on('packetsend', (packet) => packet.cmd === 'publish' && done(packet.messageId)); });
  g.client.publish('/devices/light_switch_001/state', 'x', { qos: 1 });
  const topic = '/devices/gw-errors/errors';
  assert.equal((await g.next(topic)).text, '{"error_type":"GATEWAY_DEVICE_NOT_FOUND","description":"The specified device with ID '
    + `'light_switch_001' is not attached to the gateway.","device_id":"light_switch_001","mqtt_message_info":{"message_type":"PUBLISH","topic":"/devices/light_switch_001/state","packet_id":${await published}}}`);
  g.client.publish('/devices/light_switch_001/events', 'x', { qos: 0 });
  assert.deepEqual((await g.error()).mqtt_message_info, { message_type: 'PUBLISH', topic: '/devices/light_switch_001/events' });
  await assert.rejects(g.client.subscribeAsync('/devices/light_switch_001/config', { qos: 1 }), 'SUBACK 0x80');
  assert.equal((await g.error()).error_type, 'GATEWAY_DEVICE_NOT_FOUND');

  await attach(g, 'light_switch_001');
  await call('PATCH', '/devices/light_switch_001?updateMask=blocked', { blocked: true });
  assert.equal((await g.next(topic)).text, '{"error_type":"GATEWAY_DETACHMENT_DEVICE_ERROR","description":"Device detached because of a '
    + 'device error.","device_id":"light_switch_001"}');
  assert.ok(g.client.connected);
  g.client.end(true);
});

describe('what takes an attached device off its gateway', () => {
  const cases = {
    unbound: async (id, g) => unbind(g.device.id, id),
    blocked: async (id) => call('PATCH', `/devices/${id}?updateMask=blocked`, { blocked: true }),
    'unbound and deleted': async (id, g) => { await unbind(g.device.id, id); await call('DELETE', `/devices/${id}`); },
    'connected by itself': async (id, g, device) => (await connect(server, device)).end(true),
    'attached elsewhere': async (id) => {
      const other = await gateway('gw-elsewhere', 'ASSOCIATION_ONLY');
      await bind('gw-elsewhere', id);
      await attach(other, id);
      other.client.end(true);
    },
  };
  for (const [index, [name, act]] of Object.entries(cases).entries()) {
    test(name, async () => {
      const g = await gateway(`gw-off-${index}`, 'ASSOCIATION_ONLY');
      const device = await makeDevice(server, token, `off-${index}`);
      await bind(g.device.id, device.id);
      await attach(g, device.id);
      await act(device.id, g, device);
      const error = await g.error();
      assert.deepEqual(error, { error_type: 'GATEWAY_DETACHMENT_DEVICE_ERROR', description: 'Device detached because of a device error.',
        device_id: device.id });
      g.client.publish(`/devices/${device.id}/events`, 'x', { qos: 0 });
      assert.equal((await g.error()).error_type, 'GATEWAY_DEVICE_NOT_FOUND');
      g.client.end(true);
    });
  }

  test('unbinding leaves a device that needs no binding', async () => {
    const g = await gateway('gw-token', 'DEVICE_AUTH_TOKEN_ONLY');
    const device = await makeDevice(server, token, 'stays');
    await bind('gw-token', 'stays');
    await attach(g, 'stays', tokenOf(device));
    await unbind('gw-token', 'stays');
    await g.client.publishAsync('/devices/stays/events', 'still', { qos: 1 });
    assert.equal((await pull(server, token, 1))[0].attributes.deviceId, 'stays');
    g.client.end(true);
  });

  test('the key that signed its token is taken away', async () => {
    const g = await gateway('gw-key', 'DEVICE_AUTH_TOKEN_ONLY');
    const device = await makeDevice(server, token, 'rekeyed');
    await attach(g, 'rekeyed', tokenOf(device));
    await call('PATCH', '/devices/rekeyed?updateMask=credentials', { credentials: [] });
    assert.equal((await g.error()).error_type, 'GATEWAY_DETACHMENT_DEVICE_ERROR');
    await logged('rekeyed', 'detach', 'CREDENTIAL_REMOVED');
    g.client.end(true);
  });

  test('it reports its state too often: slowed down first, then off', async () => {
    const g = await gateway('gw-fast', 'ASSOCIATION_ONLY');
    const device = await makeDevice(server, token, 'fast');
    await bind('gw-fast', 'fast');
    await attach(g, 'fast');
    for (const text of ['1', '2', '3']) g.client.publish(`/devices/${device.id}/state`, text, { qos: 1 });
    assert.equal((await g.error()).error_type, 'GATEWAY_DETACHMENT_DEVICE_ERROR');
    await logged('fast', 'detach', 'RATE');
    g.client.end(true);
  });
});

test('fifty devices of one gateway: each gets its config, though they do not fit into the window at once', async () => {
  const other = await (await Server.create({ options: unhurried })).start();
  try {
    const admin = await makeProject(other);
    const post = async (path, body) => {
      const answer = await other.call('POST', `/v1/${registryPath}${path}`, { token: admin, body });
      assert.equal(answer.status, 200, answer.text);
    };
    const device = await makeDevice(other, admin, 'gw-fifty', 'ES256', { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' });
    const ids = Array.from({ length: 50 }, (_, index) => `fifty-${index}`);
    for (const id of ids) {
      await post('/devices', { id, config: { binaryData: b64(id) } });
      await post(':bindDeviceToGateway', { gatewayId: 'gw-fifty', deviceId: id });
    }
    const client = await connect(other, device);
    const configs = new Map();
    client.on('message', (topic, payload) => configs.set(topic, payload.toString()));
    await Promise.all(ids.map((id) => client.publishAsync(`/devices/${id}/attach`, '{}', { qos: 1 })));
    await client.subscribeAsync(Object.fromEntries(ids.map((id) => [`/devices/${id}/config`, { qos: 1 }])));
    await eventually(() => configs.size === ids.length, 10000, 'every config');
    for (const id of ids) assert.equal(configs.get(`/devices/${id}/config`), id);
    await Promise.all(ids.map((id) => client.publishAsync(`/devices/${id}/events`, id, { qos: 1 })));
    const messages = await pull(other, admin, ids.length);
    assert.deepEqual(messages.map(({ attributes }) => attributes.deviceId).sort(), ids.toSorted());
    await client.endAsync();
  } finally {
    await other.close();
  }
});

test('publishes that are never acknowledged do not stop the gateway', { timeout: 60000 * patience }, async () => {
  const g = await gateway('gw-unanswered', 'ASSOCIATION_ONLY');
  for (let i = 0; i < 70; i++) g.client.publish('/devices/nobody/events', 'x', { qos: 1 }); // more than wait for an answer at a time
  await g.client.publishAsync('/devices/gw-unanswered/events', 'mine', { qos: 1 });
  assert.equal((await pull(server, token, 1))[0].attributes.deviceId, 'gw-unanswered');
  g.client.end(true);
});

test('limits: devices attached at a time, gateways of a device', async () => {
  const g = await gateway('gw-limit', 'ASSOCIATION_ONLY');
  for (const id of ['limit-1', 'limit-2', 'limit-3', 'limit-4']) {
    await makeDevice(server, token, id);
    await bind('gw-limit', id);
  }
  for (const id of ['limit-1', 'limit-2', 'limit-3']) await attach(g, id);
  attach(g, 'limit-4').catch(() => {});
  assert.equal((await g.error()).error_type, 'GATEWAY_ATTACHMENT_ERROR');
  await g.client.publishAsync('/devices/limit-1/detach', '', { qos: 1 });
  await attach(g, 'limit-4');
  g.client.end(true);
  for (const id of ['gw-limit-b', 'gw-limit-c'])
    await makeDevice(server, token, id, 'ES256', { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' });
  await bind('gw-limit-b', 'limit-1');
  const third = await server.call('POST', `/v1/${registryPath}:bindDeviceToGateway`, { token, body: { gatewayId: 'gw-limit-c', deviceId: 'limit-1' } });
  assert.deepEqual([third.status, third.body.error.status], [429, 'RESOURCE_EXHAUSTED']);
  await bind('gw-limit-b', 'limit-1'); // again: nothing more is bound
});

test('the gateway list options, and unbind before delete', async () => {
  const ids = async (query) => ((await call('GET', `/devices?${query}`)).devices ?? []).map(({ id }) => id).sort();
  await makeDevice(server, token, 'list-gw', 'ES256', { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' });
  const { numId } = await makeDevice(server, token, 'list-dev');
  await bind('list-gw', 'list-dev');
  assert.deepEqual(await ids('gatewayListOptions.associationsGatewayId=list-gw'), ['list-dev']);
  assert.deepEqual(await ids('gatewayListOptions.associationsDeviceId=list-dev'), ['list-gw']);
  assert.deepEqual(await ids(`gatewayListOptions.associationsDeviceId=${numId}`), ['list-gw']);
  assert.ok((await ids('gatewayListOptions.gatewayType=GATEWAY&pageSize=500')).includes('list-gw'));
  assert.ok(!(await ids('gatewayListOptions.gatewayType=NON_GATEWAY&pageSize=500')).includes('list-gw'));
  for (const id of ['list-gw', 'list-dev']) {
    const answer = await server.call('DELETE', `/v1/${registryPath}/devices/${id}`, { token });
    assert.deepEqual([answer.status, answer.body.error.status], [400, 'FAILED_PRECONDITION']);
  }
  await unbind('list-gw', 'list-dev');
  await call('DELETE', '/devices/list-gw');
  await call('DELETE', '/devices/list-dev');
});

test('a plain device neither attaches nor subscribes error reports', async () => {
  const device = await makeDevice(server, token, 'plain');
  const client = await connect(server, device);
  await assert.rejects(client.subscribeAsync('/devices/plain/errors'));
  const over = closed(client);
  client.publish('/devices/other/attach', '{}', { qos: 1 });
  await over;
  await logged('plain', 'disconnect', 'TOPIC_FORBIDDEN');
});
