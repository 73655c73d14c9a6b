// Sign-in by an outside provider that we did not write (npm's oidc-provider), served by this test over TLS on loopback.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { after, before, test } from 'node:test';
import Provider from 'oidc-provider';
import { Pki } from '../lib/pki.mjs';
import { Server } from '../lib/server.mjs';

const SECRET = 'a secret: with/odd+characters';
const people = { 'sub-anna': { email: 'anna@example.org', email_verified: true }, 'sub-bert': { email: 'bert@example.org', email_verified: false } };
let server, pki, provider, outside, ca;

before(async () => {
  pki = new Pki();
  const root = pki.ca('outside');
  const leaf = pki.sign('provider', { subject: '/CN=provider', issuer: root, days: 7,
    extensions: 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n' });
  outside = https.createServer({ key: leaf.key, cert: leaf.cert }, (request, response) => provider.callback()(request, response));
  await new Promise((ready) => outside.listen(0, '127.0.0.1', ready));
  const issuer = `https://127.0.0.1:${outside.address().port}`;
  server = await Server.create({ options: ['--oidc-issuer', issuer, '--oidc-client-id', 'gatehouse', '--oidc-ca-file', root.certFile,
    '--oidc-client-secret-file', pki.file('secret', `${SECRET}\n`), '--oidc-by-email', '1', '--oidc-title', 'Outside'] });
  await server.start();
  const key = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
  provider = new Provider(issuer, {
    clients: [{ client_id: 'gatehouse', client_secret: SECRET, redirect_uris: [`${server.url}/api/v1/session/oidc/callback`], token_endpoint_auth_method: 'client_secret_basic' }],
    jwks: { keys: [{ ...key('rsa', { modulusLength: 2048 }), kid: 'r', use: 'sig', alg: 'RS256' }, { ...key('ec', { namedCurve: 'P-256' }), kid: 'e', use: 'sig', alg: 'ES256' }] },
    cookies: { keys: ['a key of this test'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false, // the address stands in the ID token
    findAccount: (context, sub) => ({ accountId: sub, claims: () => ({ sub, ...people[sub] }) }),
  });
  provider.proxy = false;
  ca = [server.ca, readFileSync(root.certFile)];
});
after(async () => {
  outside?.closeAllConnections();
  outside?.close();
  await server?.close();
  pki?.close();
});

// A browser: one jar for each host, and no redirect followed by itself.
class Browser {
  jars = new Map();

  send(method, url, form) {
    const { host } = new URL(url), jar = this.jars.get(host) ?? new Map(), body = form && new URLSearchParams(form).toString();
    this.jars.set(host, jar);
    return new Promise((done, fail) => {
      const request = https.request(url, { method, ca, headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(body ? { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) } : {}) } }, (response) => {
        let text = '';
        response.on('data', (chunk) => { text += chunk; });
        response.on('end', () => {
          for (const line of response.headers['set-cookie'] ?? []) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            if (value === '') jar.delete(name); else jar.set(name, value);
          }
          done({ status: response.statusCode, location: response.headers.location && new URL(response.headers.location, url).href, text, headers: response.headers });
        });
      });
      request.on('error', fail);
      request.end(body);
    });
  }

  // To the address with which the provider sends the browser back, having signed in there as `sub`.
  async wayBack(sub) {
    let answer = await this.send('GET', `${server.url}/api/v1/session/oidc`);
    for (let steps = 0; steps < 12; steps++) {
      if (answer.location?.startsWith(server.url)) return answer.location;
      if (answer.location) answer = await this.send('GET', answer.location);
      else {
        const action = /action="([^"]+)"/.exec(answer.text)?.[1], prompt = /name="prompt" value="([^"]+)"/.exec(answer.text)?.[1];
        assert.ok(action && prompt, answer.text.slice(0, 400));
        answer = await this.send('POST', action, { prompt, login: sub, password: 'any' });
      }
    }
    throw new Error('the provider does not send the browser back');
  }

  session() {
    const jar = this.jars.get(new URL(server.url).host);
    return server.call('GET', '/api/v1/session', { headers: { cookie: [...(jar ?? [])].map(([name, value]) => `${name}=${value}`).join('; ') } });
  }
}

const issuerOf = () => `https://127.0.0.1:${outside.address().port}`;
const refused = ({ status, location }) => status === 302 && location === `${server.url}/?sign-in=refused`;

test('the door knows the provider, and the request has PKCE, state and nonce', async () => {
  assert.deepEqual((await server.call('GET', '/api/v1/session/provider')).body, { provider: { title: 'Outside' } });
  const answer = await new Browser().send('GET', `${server.url}/api/v1/session/oidc`);
  assert.match(answer.headers['set-cookie'][0], /^__Host-gatehouse-oidc=[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/);
  const query = new URL(answer.location).searchParams;
  assert.equal(query.get('code_challenge_method'), 'S256');
  for (const name of ['code_challenge', 'state', 'nonce']) assert.match(query.get(name), /^[\w-]{22,43}$/);
  assert.equal(query.get('redirect_uri'), `${server.url}/api/v1/session/oidc/callback`);
});

test('who is linked to nobody is let in by nobody', async () => {
  const browser = new Browser();
  assert.ok(refused(await browser.send('GET', await browser.wayBack('sub-nobody'))));
  assert.equal((await browser.session()).status, 401);
  await server.said(/the subject is linked to nobody here/);
});

test('a subject that an administrator has linked is that operator, with his role and no more', async () => {
  await server.cli('operator', 'create', 'carl', '--role', 'viewer', '--no-password');
  await server.cli('operator', 'change', 'carl', '--provider', issuerOf(), '--subject', 'sub-carl');
  const browser = new Browser(), back = await browser.wayBack('sub-carl');
  const answer = await browser.send('GET', back);
  assert.deepEqual([answer.status, answer.location], [302, `${server.url}/`], server.log);
  const { status, body } = await browser.session();
  assert.deepEqual([status, body.operator, body.method, body.stage], [200, { name: 'carl', role: 'viewer' }, 'oidc', 'whole']);
  assert.ok(refused(await browser.send('GET', back)), 'the same way back a second time');
  await server.cli('operator', 'disable', 'carl');
  assert.equal((await browser.session()).status, 401);
  assert.ok(refused(await browser.send('GET', await browser.wayBack('sub-carl'))), 'while he is disabled');
});

test('a verified address links its operator once; one that is not verified does not', async () => {
  for (const name of ['anna', 'bert']) await server.cli('operator', 'create', name, '--role', 'viewer', '--email', `${name}@example.org`);
  const anna = new Browser(), bert = new Browser();
  assert.equal((await anna.send('GET', await anna.wayBack('sub-anna'))).location, `${server.url}/`, server.log);
  assert.equal((await anna.session()).body.operator.name, 'anna');
  assert.equal(JSON.parse(await server.cli('operator', 'show', 'anna', '--json')).subject, 'sub-anna');
  assert.ok(refused(await bert.send('GET', await bert.wayBack('sub-bert'))));
  people['sub-else'] = people['sub-anna'];
  const other = new Browser();
  assert.ok(refused(await other.send('GET', await other.wayBack('sub-else'))), 'the address is linked to another subject');
});

test('another browser, another state, another issuer, no code: refused', async () => {
  const mine = new Browser(), back = await mine.wayBack('sub-anna');
  const changed = (name, value) => { const url = new URL(back); url.searchParams.set(name, value); return url.href; };
  assert.ok(refused(await new Browser().send('GET', back)), 'a browser that did not begin it');
  for (const [name, value] of [['state', 'AAAAAAAAAAAAAAAAAAAAAA'], ['iss', 'https://evil.example'], ['code', '']]) {
    const browser = new Browser();
    const own = await browser.wayBack('sub-anna');
    assert.ok(own.includes('iss='), 'the provider says who it is (RFC 9207)');
    const url = new URL(own);
    url.searchParams.set(name, value);
    assert.ok(refused(await browser.send('GET', url.href)), name);
  }
  assert.ok(refused(await mine.send('GET', changed('code', 'another'))), 'a code of somebody else');
});

test('where a second factor is demanded the provider is not enough', async () => {
  await server.cli('sign-in', 'demand', '--second-factor');
  const browser = new Browser();
  await browser.send('GET', await browser.wayBack('sub-anna'));
  assert.equal((await browser.session()).body.stage, 'enrol');
  await server.cli('sign-in', 'demand', '--nothing');
});
