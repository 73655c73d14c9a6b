// Service accounts: Google's libraries with a key file that this server made, and every way in which such a file must
// not work any more. The libraries' calls are in google-key.client.mjs, a process of its own for its trust anchor.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { after, before, test } from 'node:test';
import { Server, deviceToken, eventually, unhurried } from '../lib/server.mjs';

const client = fileURLToPath(new URL('google-key.client.mjs', import.meta.url));
const project = 'site-1';
const roles = ['viewer', 'deviceController', 'provisioner', 'editor', 'admin'];
const email = (name) => `${name}@${project}.iam.gserviceaccount.com`;
const path = `/v1/projects/${project}/locations/europe-west1/registries`;
const scope = 'https://www.googleapis.com/auth/cloud-platform';

let server;
before(async () => {
  server = await (await Server.create({ options: unhurried })).start();
  await server.cli('tenant', 'create', 'site', '--google-project', project);
  await server.cli('registry', 'create', 'site/halls', '--location', 'europe-west1');
  await server.cli('device', 'create', 'site/halls/lamp');
});
after(() => server?.close());

async function account(name, role = 'roles/cloudiot.viewer') {
  const file = join(server.folder, `${name}.json`);
  await server.cli('service-account', 'create', `site/${name}`);
  await server.cli('service-key', 'create', `site/${name}`, '--out', file);
  await server.cli('binding', 'add', role, `serviceAccount:${email(name)}`, 'site');
  return { file, ...JSON.parse(readFileSync(file, 'utf8')) };
}

// A token as the libraries sign it; `claims` and `header` replace members.
const signed = (key, claims = {}, header = {}) => deviceToken(
  { alg: 'RS256', privateKey: createPrivateKey(key.private_key) }, undefined,
  { iss: key.client_email, sub: key.client_email, scope, ...claims }, { kid: key.private_key_id, ...header });

const list = async (token) => (await server.call('GET', path, { token })).status;

// The newest refusals, each "REASON detail".
const refusals = async () => JSON.parse(await server.cli('refusals', '--json')).entries.map(({ reason, detail }) => `${reason} ${detail}`);
const noted = (reason) => eventually(async () => (await refusals())[0]?.startsWith(`${reason} `), 15000, `${reason} in the log`);

test('a key file has the form that the libraries read, and is made once', async () => {
  const key = await account('form');
  assert.equal(key.type, 'service_account');
  assert.equal(key.project_id, project);
  assert.equal(key.client_email, email('form'));
  assert.equal(key.universe_domain, 'googleapis.com');
  assert.match(key.private_key, /^-----BEGIN PRIVATE KEY-----\n/);
  assert.match(key.client_id, /^[0-9]{21}$/);
  assert.match(key.token_uri, /^https:\/\/.*\/oauth2\/token$/);
  assert.equal(statSync(key.file).mode & 0o777, 0o600);
  const { keys } = JSON.parse(await server.cli('service-account', 'keys', 'site/form', '--json'));
  assert.equal(keys.length, 1);
  assert.equal(keys[0].id, key.private_key_id);
  assert.ok(!JSON.stringify(keys).includes('PRIVATE'), 'the private half is nowhere');
  assert.ok(!readFileSync(join(server.data, 'registry.db')).includes('PRIVATE KEY'), 'nor in the database');
});

const may = {
  getDevice: 0, modifyConfig: 1, createDevice: 2, updateRegistry: 3, getIamPolicy: 4, // from which of the roles on
};
for (const face of ['REST', 'gRPC']) {
  test(`@google-cloud/iot and @google-cloud/pubsub over ${face} with a key file: the five roles decide`, async () => {
    for (const [at, role] of roles.entries()) {
      const name = `${role.toLowerCase()}-${face.toLowerCase()}`;
      const { file } = await account(name, `roles/cloudiot.${role}`);
      await server.cli('device', 'create', `site/halls/${name}`);
      const { stdout } = await promisify(execFile)(process.execPath, [client], { env: {
        ...process.env, NODE_TEST_CONTEXT: undefined, NODE_EXTRA_CA_CERTS: server.caFile,
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: server.caFile, GATEHOUSE_PROJECT: project, GATEHOUSE_FACE: face,
        GATEHOUSE_PORT: String(server.port), GATEHOUSE_KEY: file, GATEHOUSE_NAME: name,
      } });
      const expected = Object.fromEntries(Object.entries(may).map(([call, from]) => [call, at >= from ? 'ok' : 'PERMISSION_DENIED']));
      assert.deepEqual(JSON.parse(stdout), { ...expected, listTopics: 'PERMISSION_DENIED' }, `${role} over ${face}`);
    }
  });
}

test('@google-cloud/pubsub with a key file and a role of Pub/Sub', async () => {
  const { file } = await account('reader', 'roles/pubsub.viewer');
  for (const face of ['REST', 'gRPC']) {
    const { stdout } = await promisify(execFile)(process.execPath, [client], { env: {
      ...process.env, NODE_TEST_CONTEXT: undefined, NODE_EXTRA_CA_CERTS: server.caFile,
      GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: server.caFile, GATEHOUSE_PROJECT: project, GATEHOUSE_FACE: face,
      GATEHOUSE_PORT: String(server.port), GATEHOUSE_KEY: file, GATEHOUSE_NAME: 'lamp',
    } });
    assert.deepEqual(new Set(Object.entries(JSON.parse(stdout)).map(([call, is]) => `${call} ${is}`)), new Set([
      ...Object.keys(may).map((call) => `${call} PERMISSION_DENIED`), 'listTopics ok']), face);
  }
});

test('a token that an account signs is taken for what it says, and refused with its exact reason', async () => {
  const key = await account('exact');
  const other = { ...key, private_key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) };
  const now = Math.floor(Date.now() / 1000);
  for (const [claim, token] of [
    ['a scope', signed(key)],
    ['the address of a service', signed(key, { scope: undefined, aud: 'https://cloudiot.googleapis.com/' })],
    ['our own address', signed(key, { scope: undefined, aud: key.token_uri.replace('/oauth2/token', '') })],
    ['no kid', signed(key, {}, { kid: undefined })],
  ]) assert.equal(await list(token), 200, claim);
  for (const [reason, token] of [
    ['SIGNATURE', signed(other)],
    ['ALGORITHM', signed(key, {}, { alg: 'HS256' })],
    ['AUDIENCE', signed(key, { aud: 'https://storage.googleapis.com/' })],
    ['AUDIENCE', signed(key, { aud: ['https://cloudiot.googleapis.com/', 'https://storage.googleapis.com/'] })],
    ['SCOPE', signed(key, { scope: 'https://www.googleapis.com/auth/drive' })],
    ['SCOPE', signed(key, { scope: undefined })],
    ['SUBJECT', signed(key, { sub: 'user@example.com' })],
    ['LIFETIME', signed(key, { iat: now, exp: now + 7200 })],
    ['TOKEN_EXPIRED', signed(key, { iat: now - 7200, exp: now - 3700 })],
    ['TOKEN_NOT_YET_VALID', signed(key, { iat: now + 1200, exp: now + 1300 })],
    ['UNKNOWN_ACCOUNT', signed(key, { iss: email('nobody'), sub: email('nobody') })],
  ]) {
    assert.equal(await list(token), 401, reason);
    await noted(reason);
  }
  await server.said(/refused a token from .*: AUDIENCE, exact@/);
});

test('a key that is disabled or deleted, and an account that is disabled or deleted, lets nobody in', async () => {
  const key = await account('gone');
  const token = signed(key);
  const steps = [
    ['CREDENTIAL_DISABLED', ['service-key', 'disable', 'site/gone', key.private_key_id]],
    [undefined, ['service-key', 'enable', 'site/gone', key.private_key_id]],
    ['ACCOUNT_DISABLED', ['service-account', 'disable', 'site/gone']],
    [undefined, ['service-account', 'enable', 'site/gone']],
    ['TENANT_DISABLED', ['tenant', 'disable', 'site']],
    [undefined, ['tenant', 'enable', 'site']],
    ['NO_CREDENTIAL', ['service-key', 'delete', 'site/gone', key.private_key_id]],
    ['UNKNOWN_ACCOUNT', ['service-account', 'delete', 'site/gone']],
  ];
  for (const [reason, command] of steps) {
    await server.cli(...command);
    assert.equal(await list(token), reason ? 401 : 200, command.join(' '));
    if (reason) await noted(reason);
  }
});

const grant = (assertion, where = '/oauth2/token') => server.call('POST', where, {
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }).toString(),
});

test('the token endpoint of a key file gives an access token that ends with the key', async () => {
  const key = await account('asker');
  const assertion = signed(key, { sub: undefined, aud: key.token_uri });
  const { status, body } = await grant(assertion);
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.token_type, 'Bearer');
  assert.equal(body.expires_in, 3600);
  assert.equal(await list(body.access_token), 200);
  assert.equal((await grant(signed(key, { aud: 'https://oauth2.googleapis.com/token' }), '/token')).status, 200);
  for (const [reason, wrong] of [
    ['AUDIENCE', signed(key, { aud: 'https://example.com/token' })],
    ['AUDIENCE', signed(key)],
    ['SUBJECT', signed(key, { sub: 'user@example.com', aud: key.token_uri })],
    ['SCOPE', signed(key, { scope: 'openid', aud: key.token_uri })],
  ]) {
    const refused = await grant(wrong);
    assert.equal(refused.status, 400);
    assert.deepEqual(refused.body, { error: 'invalid_grant' });
    await noted(reason);
  }
  await server.cli('service-key', 'disable', 'site/asker', key.private_key_id);
  assert.equal(await list(body.access_token), 401, 'disabled');
  await server.cli('service-key', 'enable', 'site/asker', key.private_key_id);
  assert.equal(await list(body.access_token), 200, 'enabled again');
  await server.cli('service-key', 'delete', 'site/asker', key.private_key_id);
  assert.equal(await list(body.access_token), 401, 'deleted');
});

test('the public key of an existing file can be registered instead', async () => {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = join(server.folder, 'existing.pem');
  writeFileSync(pem, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  const member = 'robot@other-project.example.com';
  await server.cli('service-account', 'create', `site/${member}`);
  await server.cli('service-key', 'create', `site/${member}`, '--public-key', pem, '--id', '0a1b2c');
  await server.cli('binding', 'add', 'roles/cloudiot.viewer', `serviceAccount:${member}`, 'site');
  assert.equal(await list(signed({
    client_email: member, private_key_id: '0a1b2c', private_key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  })), 200);
  const foreign = await server.tryCli(['service-account', 'create', 'site/x@another.iam.gserviceaccount.com']);
  assert.equal(foreign.code, 1);
  assert.match(foreign.stderr, /not an address of this project/);
});
