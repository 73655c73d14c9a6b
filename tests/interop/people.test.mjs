// People as they meet the server over HTTPS: signing in, second factors, sessions, tokens, and guessers who are kept from both the
// accounts and the processor.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ageProof, hasSqlite } from '../lib/ageing.mjs';
import { apiTable } from '../lib/routes.mjs';
import { eventually, Server } from '../lib/server.mjs';
import { patience } from '../lib/sanitizer.mjs';

let server, admin;
before(async () => {
  server = await (await Server.create()).start();
  admin = await server.token();
});
after(() => server?.close());

// RFC 6238, written again here so that the server is not compared with itself.
const thisStep = () => Math.floor(Date.now() / 30000);
function totp(secret, step) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', key).update(count).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

// A browser's jar: what a person at one machine sends and keeps.
class Person {
  constructor(name, password, address = '127.0.0.1') {
    Object.assign(this, { name, password, jar: {} });
    this.agent = new https.Agent({ keepAlive: true, localAddress: address });
  }

  async call(method, path, body, headers = {}) {
    const answer = await server.call(method, `/api/v1${path}`, { body, agent: this.agent, headers: {
      'x-gatehouse': '1', origin: server.url, ...(Object.keys(this.jar).length > 0 ? { cookie: Object.entries(this.jar).map(([key, value]) => `${key}=${value}`).join('; ') } : {}), ...headers } });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, key, value] = /^([^=]+)=([^;]*)/.exec(line);
      assert.match(line, /^__Host-[^;]+; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
      if (value === '') delete this.jar[key]; else this.jar[key] = value;
    }
    return answer;
  }

  // Waits as it is told, within what a test may take.
  async patient(method, path, body) {
    const end = Date.now() + 30000 * patience;
    for (;;) {
      const answer = await this.call(method, path, body);
      if (![429, 503].includes(answer.status) || Date.now() > end) return answer;
      assert.ok(Number(answer.headers['retry-after']) > 0, 'it says how long');
      await sleep(1000 * Number(answer.headers['retry-after']));
    }
  }

  signIn(password = this.password) { return this.patient('POST', '/session', { name: this.name, password }); }
  close() { this.agent.destroy(); }
}

async function person(t, name, role = 'administrator', ...options) {
  const { password } = JSON.parse(await server.cli('operator', 'create', name, '--role', role, ...options, '--json'));
  const made = new Person(name, password);
  t.after(() => made.close());
  return made;
}

// Adds an authenticator app; the step that was shown is spent.
async function enrol(someone) {
  const offer = await someone.call('POST', '/account/totp', { label: 'phone' });
  assert.equal(offer.status, 201, offer.text);
  assert.ok(offer.body.uri.startsWith(`otpauth://totp/Gatehouse:${someone.name}?secret=${offer.body.secret}&`));
  const step = thisStep();
  const confirmed = await someone.patient('POST', `/account/factors/${offer.body.id}/confirm`, { code: totp(offer.body.secret, step) });
  assert.equal(confirmed.status, 200, confirmed.text);
  return { secret: offer.body.secret, codes: confirmed.body.recovery_codes, step };
}

test('the second factor: asked for once there is one, each code once, and recovery codes', async (t) => {
  const alice = await person(t, 'alice');
  assert.equal((await alice.signIn()).body.stage, 'whole');
  const { secret, codes, step } = await enrol(alice);
  assert.equal(new Set(codes).size, 10);
  const account = await alice.call('GET', '/account');
  assert.deepEqual(account.body.factors.map(({ kind, label, confirmed }) => ({ kind, label, confirmed })), [{ kind: 'totp', label: 'phone', confirmed: true }]);

  const asked = await alice.signIn();
  assert.deepEqual([asked.status, asked.body.stage, asked.body.factors, asked.body.operator.role], [200, 'second-factor', ['totp', 'recovery'], '']);
  for (const [method, path] of [['GET', '/status'], ['GET', '/account'], ['GET', '/tenants'], ['POST', '/account/totp'], ['GET', '/account/sessions']])
    assert.equal((await alice.call(method, path, method === 'POST' ? {} : undefined)).status, 401, `${path} before the second factor`);
  const before = alice.jar['__Host-gatehouse'];
  assert.equal((await alice.patient('POST', '/session/factor', { totp: totp(secret, step) })).status, 401, 'the step that confirmed it is spent');
  await sleep(1100); // the wait after a wrong one
  const next = Math.max(step + 1, thisStep());
  const whole = await alice.patient('POST', '/session/factor', { totp: totp(secret, next) });
  assert.deepEqual([whole.status, whole.body.stage, whole.body.method], [200, 'whole', 'password+totp'], whole.text);
  assert.notEqual(alice.jar['__Host-gatehouse'], before, 'the session has a new secret');
  assert.equal((await server.call('GET', '/api/v1/session', { headers: { cookie: `__Host-gatehouse=${before}` } })).status, 401);

  await alice.signIn();
  assert.equal((await alice.patient('POST', '/session/factor', { totp: totp(secret, next) })).status, 401, 'a code counts once');
  assert.equal((await alice.patient('POST', '/session/factor', { recovery: codes[0].toUpperCase() })).status, 200);
  assert.equal((await alice.call('GET', '/account')).body.recovery_codes_left, 9);
  await alice.signIn();
  assert.equal((await alice.patient('POST', '/session/factor', { recovery: codes[0] })).status, 401, 'a recovery code counts once');

  await server.cli('operator', 'forget-factors', 'alice');
  assert.equal((await alice.call('GET', '/session')).status, 401, 'and the sessions end');
  assert.equal((await alice.signIn()).body.stage, 'whole');
});

test('a second factor that is demanded is added before anything else', async (t) => {
  await server.cli('tenant', 'create', 'strict');
  const bob = await person(t, 'bob', 'viewer', '--tenant', 'strict');
  assert.equal((await bob.signIn()).body.stage, 'whole');
  await server.cli('sign-in', 'demand', 'strict', '--second-factor');
  assert.match(await server.cli('sign-in', 'show', 'strict'), /second_factor\s+yes/);
  assert.equal((await bob.signIn()).body.stage, 'enrol');
  assert.equal((await bob.call('GET', '/tenants')).status, 401);
  await enrol(bob);
  assert.equal((await bob.call('GET', '/tenants')).status, 200);
  await server.cli('sign-in', 'demand', 'strict', '--nothing');
});

test('sessions are listed and ended; a password ends the others', async (t) => {
  const carol = await person(t, 'carol');
  const other = new Person('carol', carol.password);
  t.after(() => other.close());
  await carol.signIn();
  await other.signIn();
  const { body: { sessions } } = await carol.call('GET', '/account/sessions');
  assert.equal(sessions.length, 2);
  assert.equal(sessions.filter(({ current }) => current).length, 1);
  assert.ok(sessions.every(({ address, method }) => address === '127.0.0.1' && method === 'password'));
  assert.equal((await carol.call('DELETE', `/account/sessions/${sessions.find(({ current }) => !current).id}`)).status, 200);
  assert.equal((await other.call('GET', '/session')).status, 401);
  await other.signIn();
  assert.equal((await carol.call('POST', '/account/password', { password: 'short' })).status, 400);
  assert.equal((await carol.call('POST', '/account/password', { password: 'a new and long password' })).status, 200);
  assert.equal((await carol.call('GET', '/session')).status, 200, 'hers goes on');
  assert.equal((await other.call('GET', '/session')).status, 401);
  assert.equal((await other.signIn()).status, 401, 'the old password');
  assert.equal((await carol.signIn('a new and long password')).status, 200);
  assert.equal((await carol.call('DELETE', '/session')).status, 200);
  assert.equal((await carol.call('GET', '/session')).status, 401);
});

test('a page of another origin changes nothing and signs nobody in', async (t) => {
  const dave = await person(t, 'dave');
  await dave.signIn();
  for (const origin of ['https://evil.example', 'null', `${server.url}.evil.example`, server.url.replace('127.0.0.1', 'localhost')]) {
    assert.equal((await dave.call('DELETE', '/account/sessions', undefined, { origin })).status, 403, origin);
    assert.equal((await dave.call('POST', '/session', { name: 'dave', password: dave.password }, { origin })).status, 403, origin);
  }
  assert.equal((await dave.call('DELETE', '/account/sessions', undefined, { 'x-gatehouse': '' })).status, 403, 'nor without the header');
  assert.equal((await dave.call('DELETE', '/account/sessions')).status, 200);
});

test('tokens of a person: shown once, within limits, revoked at once, and they sleep with their owner', async (t) => {
  const erin = await person(t, 'erin');
  await erin.signIn();
  const made = await erin.call('POST', '/account/tokens', { label: 'backup', ttl_s: 3600, permissions: ['tenants.list', 'tenants.get'] });
  assert.equal(made.status, 201, made.text);
  const { token } = made.body;
  const use = (method, path, body) => server.call(method, path, { token, body });
  assert.equal((await use('GET', '/api/v1/tenants/strict')).status, 200);
  assert.equal((await use('POST', '/api/v1/tenants', { name: 'more' })).status, 403, 'not what it is limited to');
  assert.equal((await use('GET', '/api/v1/account')).status, 403, 'a token has no account');
  const [listed] = (await erin.call('GET', '/account/tokens')).body.tokens;
  assert.equal(listed.label, 'backup');
  assert.ok(listed.last_used_at !== null && !JSON.stringify(listed).includes(token));
  await server.cli('operator', 'disable', 'erin');
  assert.equal((await use('GET', '/api/v1/tenants/strict')).status, 401, 'while its owner is disabled');
  await server.cli('operator', 'enable', 'erin');
  assert.equal((await use('GET', '/api/v1/tenants/strict')).status, 200);
  await server.cli('operator', 'change', 'erin', '--role', 'metrics');
  assert.equal((await use('GET', '/api/v1/tenants/strict')).status, 403, 'never more than its owner');
  await erin.signIn();
  assert.equal((await erin.call('DELETE', `/account/tokens/${listed.id}`)).status, 200);
  assert.equal((await use('GET', '/api/v1/tenants/strict')).status, 401);
  assert.equal((await erin.call('POST', '/account/tokens', { permissions: ['no.such'] })).status, 400);

  const { token: another } = JSON.parse(await server.cli('operator', 'token', 'erin', '--label', 'script', '--permission', 'metrics.read', '--json'));
  assert.equal((await server.call('GET', '/metrics', { token: another })).status, 200);
  const { tokens } = JSON.parse(await server.cli('token', 'list', '--json'));
  await server.cli('token', 'revoke', tokens.find(({ operator }) => operator === 'erin').id);
  assert.equal((await server.call('GET', '/metrics', { token: another })).status, 401);
});

test('operators by the command line', async (t) => {
  const file = join(server.folder, 'password');
  writeFileSync(file, 'fourteen bytes\n');
  assert.equal((await server.tryCli(['operator', 'create', 'frank', '--role', 'viewer', '--password-file', file])).code, 1, 'too short alone');
  writeFileSync(file, 'fifteen bytes !\n');
  assert.equal((await server.tryCli(['operator', 'create', 'frank', '--role', 'no-such', '--password-file', file])).code, 1);
  assert.equal((await server.tryCli(['operator', 'create', 'frank', '--role', 'viewer', '--email', 'frank@example.org', '--password-file', file])).code, 0);
  assert.equal((await server.tryCli(['operator', 'create', 'frank', '--role', 'viewer', '--password-file', file])).code, 1, 'the name is taken');
  assert.match(await server.cli('operator', 'list'), /frank\s+viewer\s+-\s+frank@example\.org\s+no\s+yes/);
  const frank = new Person('frank', 'fifteen bytes !');
  t.after(() => frank.close());
  assert.equal((await frank.signIn()).status, 200);
  assert.equal((await frank.call('POST', '/operators', { name: 'g', role: 'viewer' })).status, 403);
  await server.cli('operator', 'end-sessions', 'frank');
  assert.equal((await frank.call('GET', '/session')).status, 401);
  await server.cli('operator', 'delete', 'frank');
  assert.equal((await frank.signIn()).status, 401);
});

// The addresses are 127.0.1.1 to 127.0.1.50: all of loopback is this machine's.
test('1,000 wrong sign-ins from 50 addresses reach argon2id ten times at most, and the owner gets in', async (t) => {
  const grace = await person(t, 'grace');
  await grace.signIn();
  const count = async () => Number(/^gatehouse_password_checks_total (\d+)$/m.exec((await server.call('GET', '/metrics', { token: admin })).text)[1]);
  const before = await count(), begun = Date.now();
  const guessers = Array.from({ length: 50 }, (_, i) => new Person('grace', 'not her password', `127.0.1.${i + 1}`));
  t.after(() => guessers.forEach((guesser) => guesser.close()));
  const seen = new Map();
  await Promise.all(guessers.map(async (guesser) => {
    for (let i = 0; i < 20; i++) {
      const { status, headers } = await guesser.call('POST', '/session', { name: 'grace', password: `guess number ${i}` });
      assert.ok([401, 429, 503].includes(status), String(status));
      if (status !== 401) assert.ok(Number(headers['retry-after']) > 0);
      seen.set(status, (seen.get(status) ?? 0) + 1);
    }
  }));
  const seconds = (Date.now() - begun) / 1000, checks = await count() - before;
  console.log(`1,000 wrong sign-ins in ${seconds.toFixed(1)} s: ${checks} reached argon2id; answers ${JSON.stringify(Object.fromEntries(seen))}`);
  // 1 + 2 + 4 + … seconds lie between the checks; a minute has room for seven.
  assert.ok(checks >= 1 && checks <= 10 + Math.max(0, Math.log2(seconds / 60)), `${checks} checks`);
  // One more that is looked at, so that the wait that follows, of some seconds, has just begun.
  assert.equal((await guessers[0].patient('POST', '/session', { name: 'grace', password: 'one more' })).status, 401);
  const stranger = new Person('grace', grace.password, '127.0.2.1');
  t.after(() => stranger.close());
  assert.equal((await stranger.call('POST', '/session', { name: 'grace', password: grace.password })).status, 429, 'from an unknown browser even she waits');
  assert.equal((await grace.call('GET', '/session')).status, 200, 'her session goes on');
  assert.equal((await grace.call('POST', '/session', { name: 'grace', password: grace.password })).status, 200, 'and her browser is known');
});

test('a recent proof is needed for what gives rights away', async (t) => {
  if (!hasSqlite) { t.skip('sqlite3 is not installed'); return; }
  const heidi = await person(t, 'heidi'), demand = () => heidi.call('PUT', '/sign-in-policy', { second_factor: false });
  await heidi.signIn();
  ageProof(server.data, 'heidi', 300);
  assert.equal((await demand()).status, 200, 'five minutes later');
  ageProof(server.data, 'heidi', 300);
  const proven = apiTable().filter(({ flags }) => flags.includes('PROVEN'));
  assert.ok(proven.length > 30, `${proven.length} routes`);
  for (const { method, path } of proven) {
    const at = path.replace('/api/v1', '').replace('{t}', 'strict').replace(/\{\w+\}/g, 'absent');
    const { status, body } = await heidi.call(method, at, ['POST', 'PUT', 'PATCH'].includes(method) ? {} : undefined);
    assert.deepEqual([status, body.error.code], [403, 'GH3003'], `ten minutes later: ${method} ${path}`);
  }
  assert.equal((await heidi.call('GET', '/operators')).status, 200, 'what gives nothing away goes on');
  assert.equal((await server.call('PUT', '/api/v1/sign-in-policy', { token: admin, body: { second_factor: false } })).status, 200, 'a token is asked for none');

  assert.equal((await heidi.call('POST', '/session/proof', { password: 'not her password' })).status, 401);
  assert.equal((await demand()).body.error.code, 'GH3003', 'a wrong proof is none');
  const before = heidi.jar['__Host-gatehouse'];
  const anew = await heidi.patient('POST', '/session/proof', { password: heidi.password });
  assert.equal(anew.status, 200, anew.text);
  assert.notEqual(heidi.jar['__Host-gatehouse'], before, 'the session has a new secret');
  assert.equal((await demand()).status, 200);
});

test('the last second factor: it stays where one is demanded, and a short password does not go alone', async (t) => {
  const ivan = await person(t, 'ivan', 'viewer', '--tenant', 'strict');
  await ivan.signIn();
  await enrol(ivan);
  assert.equal((await ivan.call('POST', '/account/password', { password: 'twelve bytes' })).status, 200, 'beside a second factor');
  const [{ id }] = (await ivan.call('GET', '/account')).body.factors;
  await server.cli('sign-in', 'demand', 'strict', '--second-factor');
  const kept = await ivan.call('DELETE', `/account/factors/${id}`);
  assert.deepEqual([kept.status, kept.body.error.code], [400, 'GH2005'], kept.text);
  await server.cli('sign-in', 'demand', 'strict', '--nothing');
  assert.equal((await ivan.call('DELETE', `/account/factors/${id}`)).status, 200);
  assert.equal((await ivan.call('GET', '/account')).body.recovery_codes_left, 0, 'the codes went with it');
  assert.equal((await ivan.signIn('twelve bytes')).body.stage, 'enrol', 'another one is added first');
  assert.equal((await ivan.call('GET', '/tenants')).status, 401);
  await enrol(ivan);
  assert.equal((await ivan.call('GET', '/tenants')).status, 200);
});

test('an invitation: a password that nobody else ever knew, once, and no other way in', async (t) => {
  const { password } = await person(t, 'judy', 'viewer'), invited = async () => JSON.parse(await server.cli('operator', 'invite', 'judy', '--json'));
  const { path, expires_at } = await invited(), [, name, invitation] = /^\/invitation#([^:]+):([\w-]+)$/.exec(path);
  assert.ok(name === 'judy' && Math.abs(Date.parse(expires_at) - Date.now() - 15 * 60000) < 10 * 60000);
  const judy = new Person('judy', 'a password of her own');
  t.after(() => judy.close());
  const accept = (fields, headers) => judy.call('POST', '/session/invitation', { name, invitation, password: judy.password, ...fields }, headers);
  assert.equal((await accept({ name: server.operator })).status, 401, 'for nobody else');
  assert.equal((await accept({ invitation: `B${invitation.slice(1)}` })).status, 401);
  assert.equal((await accept({}, { origin: 'https://evil.example' })).status, 403);
  assert.equal((await accept({ password: 'short' })).status, 400, 'and stays good');
  assert.equal((await accept()).status, 200);
  assert.equal((await accept({ password: 'another password now' })).status, 401, 'once');
  assert.equal((await judy.signIn()).body.stage, 'whole');
  const before = new Person('judy', password);
  t.after(() => before.close());
  assert.equal((await before.signIn()).status, 401, 'the password of before');
  const [row] = (await server.call('GET', '/api/v1/audit?action=session.invitation&result=done', { token: admin })).body.rows;
  assert.equal(row?.actor, 'judy');
});

test('a house without a first password: nothing lets anybody in but the invitation that was printed', async () => {
  const fresh = new Server();
  fresh.folder = mkdtempSync(join(tmpdir(), 'gatehouse-'));
  fresh.data = join(fresh.folder, 'data');
  try {
    const said = await fresh.cli('init', '--invite');
    assert.doesNotMatch(said, /Password/);
    const [, name, invitation] = /\/invitation#([^:]+):([\w-]+)/.exec(said);
    Object.assign(fresh, { ca: readFileSync(join(fresh.data, 'ca.crt')), listen: '127.0.0.1:0', options: [] });
    await fresh.start();
    const signIn = (password) => fresh.call('POST', '/api/v1/session', { body: { name, password } });
    for (const guess of ['', invitation, 'admin']) assert.ok([401, 429].includes((await signIn(guess)).status), `"${guess}"`);
    assert.equal((await fresh.call('POST', '/api/v1/session/invitation', { body: { name, invitation, password: 'the first of passwords' } })).status, 200);
    await eventually(async () => (await signIn('the first of passwords')).status === 200, 30000, 'signed in');
  } finally { await fresh.close(); }
});
