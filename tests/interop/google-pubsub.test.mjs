// Google's Pub/Sub library, unmodified but for the endpoint, over gRPC, with all that its subscriptions can be told. The
// calls are in google-pubsub.client.mjs, which needs a process of its own: its trust anchor is read when it starts. Here
// is what it cannot do by itself: an endpoint that is pushed to, kill -9 and a stop of the server, and curl.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { after, before, test } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { patience } from '../lib/sanitizer.mjs';
import { eventually, ownAddress, Server } from '../lib/server.mjs';

const run = promisify(execFile);
const client = fileURLToPath(new URL('google-pubsub.client.mjs', import.meta.url));
let server, endpoint, token, child;
const received = []; // requests to the endpoint: { headers, body }
let answer = () => 204;

// A certificate for the endpoint, by a CA of this test's own: openssl's, not the server's.
async function makeCertificate(folder) {
  const [ca, caKey, key, request, certificate, extensions] =
    ['ca.pem', 'ca.key', 'end.key', 'end.csr', 'end.pem', 'end.ext'].map((name) => join(folder, name));
  const openssl = (...args) => run('openssl', args);
  await openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=endpoint CA', '-keyout', caKey, '-out', ca);
  await openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost',
    '-keyout', key, '-out', request);
  writeFileSync(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  await openssl('x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2',
    '-extfile', extensions, '-out', certificate);
  return { ca, key: readFileSync(key), cert: readFileSync(certificate) };
}

before(async () => {
  server = await Server.create({ listen: `${ownAddress}:0` }); // which is started again on the port that it got
  const certificate = await makeCertificate(server.folder);
  endpoint = https.createServer(certificate, (request, response) => {
    let body = '';
    request.on('data', (chunk) => { body += chunk; });
    request.on('end', () => {
      const status = answer(request, body);
      received.push({ url: request.url, headers: request.headers, body, status });
      response.writeHead(status).end();
    });
  });
  await new Promise((done) => { endpoint.listen(0, '127.0.0.1', done); });
  server.options = ['--google-push-host', `localhost:${endpoint.address().port}`, '--google-push-ca', certificate.ca];
  await server.start();
  server.listen = `${ownAddress}:${server.port}`;
  await server.cli('tenant', 'create', 'bus');
  token = await server.token();
});
after(async () => {
  child?.kill();
  endpoint?.closeAllConnections();
  endpoint?.close();
  await server?.close();
});

const environment = () => ({
  ...process.env,
  NODE_TEST_CONTEXT: undefined,
  NODE_EXTRA_CA_CERTS: server.caFile,
  GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: server.caFile,
  GATEHOUSE_PROJECT: 'bus',
  GATEHOUSE_HOST: server.host,
  GATEHOUSE_PORT: String(server.port),
  GATEHOUSE_TOKEN: token,
});

// curl, as the documentation's transcripts have it.
async function curl(method, path, body) {
  const args = ['--silent', '--show-error', '--cacert', server.caFile, '-X', method, '-H', `authorization: Bearer ${token}`,
    '-w', '\n%{http_code}', `${server.url}/v1/projects/bus/${path}`];
  if (body !== undefined) args.push('-H', 'content-type: application/json', '--data-binary', JSON.stringify(body));
  const { stdout } = await run('curl', args);
  const at = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(at + 1)), body: JSON.parse(stdout.slice(0, at)) };
}
async function must(method, path, body) {
  const got = await curl(method, path, body);
  assert.equal(got.status, 200, `${method} ${path}: ${JSON.stringify(got.body)}`);
  return got.body;
}
const publish = (topic, ...texts) => must('POST', `topics/${topic}:publish`,
  { messages: texts.map((text) => ({ data: Buffer.from(text).toString('base64'), attributes: { k: 'v' } })) });
// Everything that is there, in the order in which it came; acknowledged unless told otherwise.
async function drain(subscription, { acknowledge = true } = {}) {
  const texts = [];
  for (;;) {
    const { receivedMessages: list = [] } = await must('POST', `subscriptions/${subscription}:pull`, { maxMessages: 100, returnImmediately: true });
    if (list.length === 0) return texts;
    texts.push(...list.map(({ message }) => Buffer.from(message.data, 'base64').toString()));
    if (acknowledge) await must('POST', `subscriptions/${subscription}:acknowledge`, { ackIds: list.map(({ ackId }) => ackId) });
  }
}
const until = (what, condition) => eventually(condition, 60000, what);

test('@google-cloud/pubsub: ordering, filters, dead letters, seeking, snapshots, policies', async () => {
  const { code, output } = await new Promise((done) => {
    execFile(process.execPath, ['--test', client], { env: environment(), maxBuffer: 1 << 26, timeout: 120000 * patience },
      (error, stdout, stderr) => done({ code: error ? error.code ?? 1 : 0, output: stdout + stderr }));
  });
  assert.equal(code, 0, output);
  assert.match(output, /pass [1-9]/, 'something ran');
});

test('push: the envelope, an OIDC token that the published keys verify, and every answer that acknowledges', async () => {
  const { port } = endpoint.address(), url = `https://localhost:${port}/in?a=b`;
  const pushed = (text) => received.find(({ body }) => Buffer.from(JSON.parse(body).message.data, 'base64').toString() === text);
  await must('PUT', 'topics/pushed');
  await must('PUT', 'subscriptions/pushed', {
    topic: 'projects/bus/topics/pushed',
    pushConfig: { pushEndpoint: url, oidcToken: { serviceAccountEmail: 'pusher@bus.test', audience: 'mine' } },
  });
  const codes = [200, 201, 202, 204];
  for (const status of codes) {
    received.length = 0;
    answer = () => status;
    await publish('pushed', `answered ${status}`);
    await until('a push', () => pushed(`answered ${status}`));
  }
  const { headers, body, url: path } = pushed('answered 204'), sent = JSON.parse(body);
  assert.equal(path, '/in?a=b');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(sent.subscription, 'projects/bus/subscriptions/pushed');
  assert.equal(Buffer.from(sent.message.data, 'base64').toString(), 'answered 204');
  assert.deepEqual(sent.message.attributes, { k: 'v' });
  assert.ok(sent.message.messageId === sent.message.message_id && sent.message.publishTime === sent.message.publish_time);
  assert.ok(/^\d+$/.test(sent.message.messageId) && !Number.isNaN(Date.parse(sent.message.publishTime)));
  assert.equal('deliveryAttempt' in sent, false);

  const bearer = headers.authorization.replace(/^Bearer /, '');
  const { issuer, jwks_uri: jwks } = (await server.call('GET', '/.well-known/openid-configuration')).body;
  const keys = createLocalJWKSet((await server.call('GET', new URL(jwks).pathname)).body);
  const { payload, protectedHeader } = await jwtVerify(bearer, keys, { issuer, audience: 'mine', algorithms: ['RS256'] });
  assert.equal(protectedHeader.typ, 'JWT');
  assert.ok(payload.email === 'pusher@bus.test' && payload.email_verified === true && payload.sub === 'pusher@bus.test');
  assert.equal(payload.exp - payload.iat, 3600);
  assert.equal((await server.call('GET', '/v1/projects/bus/topics', { token: bearer })).status, 401, 'it opens nothing here');
});

test('push: what is refused comes again, with its attempts counted, and turned off it is pulled', async () => {
  const { port } = endpoint.address();
  await must('PUT', 'topics/lost');
  await must('PUT', 'topics/refused');
  await must('PUT', 'subscriptions/lost', { topic: 'projects/bus/topics/lost' });
  await must('PUT', 'subscriptions/refused', {
    topic: 'projects/bus/topics/refused',
    pushConfig: { pushEndpoint: `https://localhost:${port}/refuse` },
    deadLetterPolicy: { deadLetterTopic: 'projects/bus/topics/lost', maxDeliveryAttempts: 5 },
  });
  received.length = 0;
  answer = (request) => (request.url === '/refuse' ? 500 : 204);
  await publish('refused', 'sick');
  let letters = [];
  await until('a dead letter', async () => {
    ({ receivedMessages: letters = [] } = await must('POST', 'subscriptions/lost:pull', { maxMessages: 10, returnImmediately: true }));
    return letters.length > 0;
  });
  const refused = received.filter(({ url }) => url === '/refuse');
  assert.deepEqual(refused.map(({ body }) => JSON.parse(body).deliveryAttempt), [1, 2, 3, 4, 5]);
  assert.equal(letters[0].message.attributes.CloudPubSubDeadLetterSourceSubscription, 'refused');
  assert.equal(letters[0].message.attributes.CloudPubSubDeadLetterSourceSubscriptionProject, 'bus');
  assert.equal(letters[0].message.attributes.CloudPubSubDeadLetterSourceDeliveryCount, '5');
  assert.equal((await curl('POST', 'subscriptions/refused:pull', { maxMessages: 1 })).body.error.status, 'FAILED_PRECONDITION');
  await must('POST', 'subscriptions/refused:modifyPushConfig', { pushConfig: {} });
  await publish('refused', 'well');
  await until('it is pulled', async () => (await drain('refused')).includes('well'));
});

test('push: without an envelope, and to listed hosts alone', async () => {
  const { port } = endpoint.address();
  await must('PUT', 'topics/bare');
  await must('PUT', 'subscriptions/bare', {
    topic: 'projects/bus/topics/bare',
    pushConfig: { pushEndpoint: `https://localhost:${port}/bare`, noWrapper: { writeMetadata: true } },
  });
  received.length = 0;
  answer = () => 204;
  await publish('bare', 'as it is');
  const { body: sent, headers } = await until('a push', () => received.find(({ url }) => url === '/bare'));
  assert.equal(sent, 'as it is');
  assert.equal(headers['x-goog-pubsub-subscription-name'], 'projects/bus/subscriptions/bare');
  assert.equal(headers.k, 'v');
  for (const [url, why] of [[`https://127.0.0.1:${port}/`, 'FAILED_PRECONDITION'], ['https://localhost/', 'FAILED_PRECONDITION'],
    [`http://localhost:${port}/`, 'INVALID_ARGUMENT'], [`https://localhost:${port}@evil.test/`, 'INVALID_ARGUMENT'], ['ftp://x', 'INVALID_ARGUMENT']]) {
    const { body } = await curl('PUT', 'subscriptions/elsewhere', { topic: 'projects/bus/topics/bare', pushConfig: { pushEndpoint: url } });
    assert.equal(body.error.status, why, url);
  }
});

test('kill -9: what is acknowledged, sought and snapshotted stays so', async () => {
  await must('PUT', 'topics/durable', { messageRetentionDuration: '600s' });
  const rules = { topic: 'projects/bus/topics/durable', enableMessageOrdering: true, filter: 'attributes:k', retainAckedMessages: true };
  for (const name of ['kept', 'sought']) await must('PUT', `subscriptions/${name}`, rules);
  await publish('durable', 'a', 'b', 'c');
  assert.deepEqual(await drain('kept'), ['a', 'b', 'c']);
  await must('PUT', 'snapshots/early', { subscription: 'projects/bus/subscriptions/sought' });
  assert.deepEqual(await drain('sought'), ['a', 'b', 'c']);
  await must('POST', 'subscriptions/sought:seek', { snapshot: 'projects/bus/snapshots/early' });
  await server.stop('SIGKILL');
  await server.start();
  token = await server.token();
  assert.deepEqual(await drain('kept'), []);
  assert.deepEqual(await drain('sought'), ['a', 'b', 'c']);
  const { filter, enableMessageOrdering, retainAckedMessages } = await must('GET', 'subscriptions/kept');
  assert.deepEqual({ filter, enableMessageOrdering, retainAckedMessages }, { filter: 'attributes:k', enableMessageOrdering: true, retainAckedMessages: true });
  await must('POST', 'subscriptions/kept:seek', { time: '2020-01-01T00:00:00Z' });
  assert.deepEqual(await drain('kept'), ['a', 'b', 'c']);
});

test('a stop of the server: a stream goes on with the next one, and its user hears of no error', async () => {
  await must('PUT', 'topics/lasting');
  await must('PUT', 'subscriptions/lasting', { topic: 'projects/bus/topics/lasting' });
  let said = '';
  child = spawn(process.execPath, [fileURLToPath(new URL('google-lasting.client.mjs', import.meta.url))],
    { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((done) => { child.once('close', done); });
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => { said += chunk; });
  await publish('lasting', 'before');
  await until('the first message', () => said.includes('before\n') || child.exitCode !== null);
  await server.stop();
  await server.start();
  await publish('lasting', 'after');
  assert.equal(await ended, 0, said);
  assert.match(said, /after\n/);
});
