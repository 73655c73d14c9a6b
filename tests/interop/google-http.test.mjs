// Devices of Google Cloud IoT Core over the HTTP bridge: transcripts of curl, as the published samples send them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { deviceToken, eventually, Server, unhurried } from '../lib/server.mjs';
import { makeDevice, makeProject, project, pull, registryPath } from '../lib/warehouse.mjs';

const run = promisify(execFile);
let server, token;
before(async () => {
  server = await (await Server.create({ options: unhurried })).start();
  token = await makeProject(server);
});
after(() => server?.close());

// What `curl` prints for the request, as {status, body}. The host that firmware names is in the header: no certificate of
// ours can carry it.
async function curl(device, path, { method = 'POST', body, version = 'v1', claims, jwt, id = device.id } = {}) {
  const args = ['--silent', '--show-error', '--http1.1', '--cacert', server.caFile, '--write-out', '\n%{http_code}', '--request', method,
    '--header', 'host: cloudiotdevice.googleapis.com',
    '--header', `authorization: Bearer ${jwt ?? deviceToken(device.key, project, claims)}`,
    '--header', 'cache-control: no-cache', '--header', 'method: get'];
  if (body !== undefined) args.push('--header', 'content-type: application/json', '--data', JSON.stringify(body));
  const { stdout } = await run('curl', [...args, `${server.url}/${version}/${registryPath}/devices/${id}${path}`]);
  const at = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) && JSON.parse(stdout.slice(0, at)) };
}
const refused = (answer, status, name) => assert.deepEqual([answer.status, answer.body?.error?.code, answer.body?.error?.status],
  [status, status, name], JSON.stringify(answer.body));
const read = (path) => server.call('GET', `/v1/${registryPath}/devices/${path}`, { token });
const reasons = async (id) => JSON.parse(await server.cli('device', 'log', `${project}/warehouse/${id}`, '--json')).entries
  .map(({ reason }) => reason);

// 0xfb 0xff needs "+/" in the standard alphabet and "-_" in the other; one byte more needs padding.
const bytes = Buffer.from([0xfb, 0xef, 0xff, 0x01]);
const spellings = [
  ['snake_case, standard alphabet', { binary_data: bytes.toString('base64'), sub_folder: 'alerts' }],
  ['lowerCamelCase, URL-safe alphabet', { binaryData: bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_'), subFolder: 'alerts' }],
  ['without padding', { binary_data: bytes.toString('base64url'), subFolder: 'alerts' }],
];

describe('checklist 12: both spellings, both alphabets, id and numeric id', () => {
  for (const [index, [name, body]] of spellings.entries()) {
    for (const version of ['v1', 'v1beta1']) {
      test(`publishEvent and setState: ${name}, ${version}`, async () => {
        const device = await makeDevice(server, token, `event-${index}-${version}`);
        const answer = await curl(device, ':publishEvent', { body, version, id: index % 2 ? device.numId : device.id });
        assert.deepEqual(answer, { status: 200, body: {} });
        const [message] = await pull(server, token, 1);
        assert.equal(message.data, bytes.toString('base64'));
        assert.equal(message.attributes.deviceId, device.id);
        assert.equal(message.attributes.subFolder, 'alerts');
        const { sub_folder, subFolder, ...state } = body; // eslint-disable-line no-unused-vars
        assert.deepEqual(await curl(device, ':setState', { body: { state }, version }), { status: 200, body: {} });
        const states = await read(`${device.id}/states`);
        assert.equal(states.body.deviceStates[0].binaryData, bytes.toString('base64'));
        assert.ok((await read(device.id)).body.lastEventTime);
      });
    }
  }

  test('config: local_version absent, old, equal and too high', async () => {
    const device = await makeDevice(server, token, 'config-one');
    const changed = await server.call('POST', `/v1/${registryPath}/devices/config-one:modifyCloudToDeviceConfig`,
      { token, body: { binaryData: bytes.toString('base64') } });
    assert.equal(changed.status, 200, changed.text);
    const whole = { version: '2', binaryData: bytes.toString('base64') };
    const get = (query) => curl(device, `/config${query}`, { method: 'GET' });
    for (const query of ['', '?local_version=0', '?localVersion=1', '?local_version=1'])
      assert.deepEqual(await get(query), { status: 200, body: whole }, query);
    assert.deepEqual(await get('?local_version=2'), { status: 200, body: { version: '2' } });
    refused(await get('?localVersion=3'), 400, 'OUT_OF_RANGE');
    refused(await get('?local_version=x'), 400, 'INVALID_ARGUMENT');
    const now = (await read('config-one')).body;
    assert.ok(now.lastConfigSendTime, 'a GET counts as sent');
    assert.equal(now.lastConfigAckTime, undefined, 'and never as acknowledged');
  });
});

describe('gatewayInfo in both shapes', () => {
  let gateway, device;
  const bind = (verb) => server.call('POST', `/v1/${registryPath}:${verb}`, { token, body: { gatewayId: 'http-gw', deviceId: 'http-child' } });
  before(async () => {
    gateway = await makeDevice(server, token, 'http-gw', 'ES256', { gatewayType: 'GATEWAY', gatewayAuthMethod: 'ASSOCIATION_ONLY' });
    device = await makeDevice(server, token, 'http-child');
  });
  const shapes = {
    'the device names its gateway': (info) => [device, { [info]: { gatewayId: 'http-gw' } }, '?gatewayInfo.gatewayId=http-gw'],
    'the gateway names the device': (info) => [gateway, { [info]: { delegatedDeviceId: 'http-child' } }, '?gatewayInfo.delegatedDeviceId=http-child'],
  };
  for (const [name, shape] of Object.entries(shapes)) {
    test(name, async () => {
      await bind('unbindDeviceFromGateway');
      const [speaker, info, query] = shape('gateway_info');
      const body = { binary_data: 'aGk=', ...info };
      refused(await curl(speaker, ':publishEvent', { body }), 403, 'PERMISSION_DENIED');
      assert.equal((await bind('bindDeviceToGateway')).status, 200);
      assert.deepEqual(await curl(speaker, ':publishEvent', { body }), { status: 200, body: {} });
      const [message] = await pull(server, token, 1);
      assert.equal(message.attributes.deviceId, 'http-child');
      assert.equal(message.attributes.gatewayId, 'http-gw');
      const state = await curl(speaker, ':setState', { body: { state: { binary_data: 'aGk=' }, ...shape('gatewayInfo')[1] } });
      assert.ok([200, 429].includes(state.status), 'one state a second, whoever speaks');
      const config = await curl(speaker, `/config${query}`, { method: 'GET' });
      assert.deepEqual(config, { status: 200, body: { version: '1' } });
    });
  }
});

describe('the error table', () => {
  const event = { binary_data: 'aGk=' };
  test('whatever is wrong with the token or the device answers 401, and the log says what', async () => {
    const device = await makeDevice(server, token, 'http-refused');
    const now = Math.floor(Date.now() / 1000);
    const answers = new Set();
    for (const [options, reason] of [
      [{ claims: { aud: 'other' } }, 'AUDIENCE'],
      [{ claims: { iat: now - 7200, exp: now - 700 } }, 'TOKEN_EXPIRED'],
      [{ jwt: 'nonsense' }, 'TOKEN_MALFORMED'],
      [{ id: 'nobody' }, null],
    ]) {
      const answer = await curl(device, ':publishEvent', { body: event, ...options });
      refused(answer, 401, 'UNAUTHENTICATED');
      answers.add(JSON.stringify(answer.body));
      if (reason) await eventually(async () => (await reasons(device.id)).includes(reason), 5000, reason);
    }
    assert.equal(answers.size, 1, 'one answer for all');
  });

  test('a blocked device and a registry without HTTP answer 403', async () => {
    const device = await makeDevice(server, token, 'http-blocked');
    await server.cli('device', 'block', `${project}/warehouse/http-blocked`);
    refused(await curl(device, ':publishEvent', { body: event }), 403, 'PERMISSION_DENIED');
    await server.cli('device', 'unblock', `${project}/warehouse/http-blocked`);
    const change = (state) => server.call('PATCH', `/v1/${registryPath}?updateMask=http_config`,
      { token, body: { httpConfig: { httpEnabledState: state } } });
    assert.equal((await change('HTTP_DISABLED')).status, 200);
    try {
      refused(await curl(device, ':publishEvent', { body: event }), 403, 'PERMISSION_DENIED');
    } finally {
      await change('HTTP_ENABLED');
    }
    assert.equal((await curl(device, ':publishEvent', { body: event })).status, 200);
    await pull(server, token, 1);
  });

  test('bad base64 names the field, and too much is 400', async () => {
    const device = await makeDevice(server, token, 'http-bad');
    const bad = await curl(device, ':publishEvent', { body: { binary_data: 'a$b' } });
    refused(bad, 400, 'INVALID_ARGUMENT');
    assert.equal(bad.body.error.details[0]['@type'], 'type.googleapis.com/google.rpc.BadRequest');
    assert.equal(bad.body.error.details[0].fieldViolations[0].field, 'binary_data');
    const large = JSON.stringify({ binary_data: Buffer.alloc(262145).toString('base64') });
    const answer = await server.call('POST', `/v1/${registryPath}/devices/http-bad:publishEvent`,
      { token: deviceToken(device.key, project), body: large });
    refused(answer, 400, 'INVALID_ARGUMENT');
    const fits = JSON.stringify({ binary_data: Buffer.alloc(262144).toString('base64') });
    const taken = await server.call('POST', `/v1/${registryPath}/devices/http-bad:publishEvent`,
      { token: deviceToken(device.key, project), body: fits });
    assert.equal(taken.status, 200, taken.text);
    await pull(server, token, 1);
    const state = JSON.stringify({ state: { binary_data: Buffer.alloc(65537).toString('base64') } });
    refused(await server.call('POST', `/v1/${registryPath}/devices/http-bad:setState`,
      { token: deviceToken(device.key, project), body: state }), 400, 'INVALID_ARGUMENT');
  });

  test('a second state within a second answers 429', async () => {
    const device = await makeDevice(server, token, 'http-fast');
    const answers = await Promise.all([1, 2, 3].map(() => curl(device, ':setState', { body: { state: { binary_data: 'aGk=' } } })));
    assert.ok(answers.some(({ status }) => status === 200));
    const late = answers.find(({ status }) => status === 429);
    if (late) refused(late, 429, 'RESOURCE_EXHAUSTED'); // three processes may take longer than two seconds
  });

  test('telemetry without a topic answers 400 and sets lastErrorStatus', async () => {
    await server.call('POST', '/v1/projects/demo/locations/europe-west1/registries', { token, body: { id: 'http-topicless' } });
    const device = await makeDevice(server, token, 'http-key');
    const path = '/v1/projects/demo/locations/europe-west1/registries/http-topicless/devices';
    await server.call('POST', path, { token, body: { id: 'http-mute', credentials: [{ publicKey: { format: 'ES256_PEM', key: device.key.pem } }] } });
    refused(await server.call('POST', `${path}/http-mute:publishEvent`, { token: deviceToken(device.key, project), body: event }),
      400, 'FAILED_PRECONDITION');
    const read = await server.call('GET', `${path}/http-mute`, { token });
    assert.equal(read.body.lastErrorStatus.code, 9);
    assert.ok(read.body.lastErrorTime);
  });
});
