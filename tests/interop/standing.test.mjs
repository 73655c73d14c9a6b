// Calls that last end when what they stand on goes: the session of an operator, an access token, a binding, the tenant; not only when
// a token has run out. Those that may go on do.
import assert from 'node:assert/strict';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { Server, assertSoon, inTime } from '../lib/server.mjs';

const secret = 'a-password-of-pump-alone', device = '/api/v1/tenants/acme/registries/plant/devices/pump';
let server, house;
const call = (method, path, body, token = house) => server.call(method, path, { token, body });
const must = async (method, path, body, token) => {
  const answer = await call(method, path, body, token);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
  return answer.body;
};
const bind = (...bindings) => must('PUT', '/api/v1/tenants/acme/bindings', { bindings });

before(async () => {
  server = await (await Server.create()).start();
  house = await server.token();
  await must('POST', '/api/v1/tenants', { name: 'acme', google_project: 'acme-project' });
  await must('POST', '/api/v1/tenants/acme/registries', { name: 'plant' });
  await must('POST', '/api/v1/tenants/acme/registries/plant/devices', { id: 'pump', credentials: [{ password: secret }] });
});
after(() => server?.close());

// An answer that goes on: `ended` resolves with the time when it is over, `has(text)` when that has come.
function stream(path, headers) {
  return new Promise((done, fail) => {
    const request = https.get(`${server.url}${path}`, { ca: server.ca, agent: false, headers }, (response) => {
      let text = '', look = () => {};
      response.setEncoding('utf8');
      response.on('data', (chunk) => { text += chunk; look(); });
      response.on('error', () => {});
      const self = { status: response.statusCode, close: () => request.destroy(), over: false,
        has: (words) => new Promise((seen) => { look = () => { if (text.includes(words)) seen(); }; look(); }) };
      self.ended = new Promise((end) => response.once('close', () => { self.over = true; end(performance.now()); }));
      done(self);
    });
    request.on('error', fail);
  });
}
const bearer = (token) => ({ authorization: `Bearer ${token}` });
// What `act` takes away ends the stream within a second; the command itself takes part of it.
async function endsBy(one, act, what) {
  assert.equal(one.status, 200, what);
  const began = performance.now();
  await act();
  const ended = await Promise.race([one.ended, new Promise((done) => { setTimeout(done, 10_000 * patience, Infinity).unref(); })]);
  assertSoon(began, what, ended);
}

test('a live stream ends when its operator signs out, and no other does', async () => {
  const sign = () => server.call('POST', '/api/v1/session', { body: { name: server.operator, password: server.password } });
  const cookieOf = (answer) => ({ cookie: answer.headers['set-cookie'][0].split(';')[0] });
  const [mine, other] = [cookieOf(await sign()), cookieOf(await sign())];
  const [one, two] = [await stream('/api/v1/stream', mine), await stream('/api/v1/stream', other)];
  await endsBy(one, () => server.call('DELETE', '/api/v1/session', { headers: { ...mine, 'x-gatehouse': '1' } }), 'signed out');
  await must('PUT', '/api/v1/tenants/acme/zones/hall', { name: 'Hall' });
  await two.has('event: zone');
  assert.equal(two.over, false);
  two.close();
});

test('a trace ends when the access token of its reader is revoked', async () => {
  await bind({ role: 'operator', members: ['device:acme/plant/pump'] });
  const form = (path, fields) => server.call('POST', path, { body: new URLSearchParams(fields).toString(), headers: {
    'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${Buffer.from(`acme%2Fplant%2Fpump:${secret}`).toString('base64')}` } });
  const { body } = await form('/oauth2/token', { grant_type: 'client_credentials', scope: 'api' });
  const one = await stream(`${device}/trace`, bearer(body.access_token));
  await one.has(': tracing');
  await endsBy(one, () => form('/oauth2/revoke', { token: body.access_token }), 'revoked');
});

test('a trace, and a pull that waits, end when the binding goes', async () => {
  const token = await server.cli('token', '--member', 'serviceAccount:watcher');
  const subscription = '/v1/projects/acme-project/subscriptions/all';
  await must('PUT', '/v1/projects/acme-project/topics/all', {});
  await must('PUT', subscription, { topic: 'projects/acme-project/topics/all' });
  await bind({ role: 'operator', members: ['serviceAccount:watcher'] });
  const one = await stream(`${device}/trace`, bearer(token));
  await one.has(': tracing');
  const pull = call('POST', `${subscription}:pull`, { maxMessages: 1 }, token);
  let answered = false;
  pull.then(() => { answered = true; });
  await must('GET', subscription, undefined, token);
  assert.equal(answered, false);
  const began = performance.now();
  await endsBy(one, () => bind(), 'no binding');
  const { status, body } = await pull;
  assert.deepEqual([status, body.error.status], [403, 'PERMISSION_DENIED']);
  assertSoon(began, 'no binding');
});

test('a trace ends when the hour of its binding is over', async () => {
  const token = await server.cli('token', '--member', 'serviceAccount:guest');
  let until;
  const one = await inTime(async (seconds) => {
    until = performance.now() + 1000 * seconds;
    const text = new Date(Date.now() + 1000 * seconds).toISOString().replace(/\.\d+/, '');
    await bind({ role: 'operator', members: ['serviceAccount:guest'], condition: { until: text } });
    const reader = await stream(`${device}/trace`, bearer(token));
    return reader.status === 200 && reader;
  }, 'a trace that begins');
  assertSoon(until, 'the hour is over', await one.ended);
});

test('a live stream ends with its tenant', async () => {
  const one = await stream('/api/v1/stream', bearer(await server.token('viewer', '--tenant', 'acme')));
  await endsBy(one, () => must('PATCH', '/api/v1/tenants/acme', { disabled: true }), 'disabled');
});
