// What a browser is told with every answer: over every listener, whoever answers (the API, a dialect, the console's files, the HTTP
// server itself when nothing else saw the request), and whatever the answer is.
import assert from 'node:assert/strict';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { apiTable, googleRoutes } from '../lib/routes.mjs';
import { Server } from '../lib/server.mjs';
import { patience } from '../lib/sanitizer.mjs';

let server, token;
before(async () => {
  server = await (await Server.create({ options: ['--listen-plain', '127.0.0.1:0'] })).start();
  token = await server.token();
  await server.cli('tenant', 'create', 'acme');
});
after(() => server?.close());

const ALWAYS = {
  'strict-transport-security': /^max-age=31536000$/,
  'x-content-type-options': /^nosniff$/,
  'referrer-policy': /^no-referrer$/,
  'cross-origin-opener-policy': /^same-origin$/,
  'cross-origin-resource-policy': /^same-origin$/,
};
const NO_PAGE = { ...ALWAYS, 'content-security-policy': /^default-src 'none'; frame-ancestors 'none'$/, 'cache-control': /^(no-store|(public, )?max-age=\d+.*)$/ };
const PAGE = {
  ...ALWAYS,
  'content-security-policy': /^(?=.*default-src 'none')(?=.*script-src 'self')(?=.*frame-ancestors 'none')(?=.*require-trusted-types-for 'script')(?!.*unsafe)/,
  'cross-origin-embedder-policy': /^require-corp$/,
  'permissions-policy': /^(?=.*camera=\(\))(?=.*microphone=\(\))(?=.*geolocation=\(\))/,
  'cache-control': /^(no-cache|public, max-age=31536000, immutable)$/,
};
// What tells which program this is, or lets another site read.
const NEVER = ['server', 'x-powered-by', 'access-control-allow-origin', 'public-key-pins'];

const LISTENERS = {
  tls: () => tls.connect({ host: '127.0.0.1', port: server.port, ca: server.ca }),
  plain: () => net.connect({ host: '127.0.0.1', port: server.plainPort }),
  admin: () => net.connect({ path: join(server.data, 'admin.sock') }),
};

// Sends bytes and takes the head of what comes back: { status, headers }, each name once.
function ask(listener, bytes) {
  return new Promise((done, fail) => {
    const socket = LISTENERS[listener]();
    let got = '';
    socket.setTimeout(60000 * patience, () => socket.destroy(new Error(`no answer to ${JSON.stringify(bytes.slice(0, 60))}`)));
    socket.on('error', fail).on('close', () => fail(new Error(`closed without an answer to ${JSON.stringify(bytes.slice(0, 60))}`)));
    socket.on('data', (piece) => {
      got += piece.toString('latin1');
      const end = got.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [first, ...lines] = got.slice(0, end).split('\r\n'), headers = {};
      for (const line of lines) {
        const name = line.slice(0, line.indexOf(':')).toLowerCase();
        assert.ok(name === 'set-cookie' || headers[name] === undefined, `${name} twice`);
        headers[name] = line.slice(line.indexOf(':') + 1).trim();
      }
      done({ status: Number(first.split(' ')[1]), headers });
      socket.destroy();
    });
    socket.write(bytes, 'latin1');
  });
}

const request = (method, path, more = '') => `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${more}\r\n`;

// What is wrong with an answer, in lines.
function faults({ headers }, expected) {
  const wrong = Object.entries(expected).filter(([name, form]) => !form.test(headers[name] ?? '')).map(([name]) => `${name}: ${headers[name]}`);
  return [...wrong, ...NEVER.filter((name) => headers[name] !== undefined)];
}

for (const listener of Object.keys(LISTENERS)) {
  test(`${listener}: every route of the API and of Google's, refused`, async () => {
    const wrong = [];
    for (const { method, path } of [...apiTable(), ...googleRoutes()]) {
      if (listener === 'admin' && !['GET'].includes(method)) continue; // whoever comes by this door is let in
      const answer = await ask(listener, request(method, path.replace(/\{t\w*\}/g, 'acme').replace(/\{\w+[^}]*\}/g, 'absent'), 'content-length: 0\r\n'));
      for (const fault of faults(answer, NO_PAGE)) wrong.push(`${method} ${path} (${answer.status}): ${fault}`);
    }
    assert.deepEqual(wrong, []);
  });

  test(`${listener}: other answers, and the server's own`, async () => {
    const bearer = `authorization: Bearer ${token}\r\n`, json = 'content-type: application/json\r\n', name = `{"name":"by-${listener}"}`;
    const cases = [
      ['done', request('GET', '/api/v1/tenants', bearer), 200],
      ['made', request('POST', '/api/v1/tenants', `${bearer}${json}content-length: ${name.length}\r\n`) + name, 201],
      ['a stream', request('GET', '/api/v1/stream', bearer), 200],
      ['metrics', request('GET', '/metrics', bearer), 200],
      ['a method that the path does not take', request('TRACE', '/api/v1/tenants'), 0],
      ['no such path of the API', request('GET', '/api/v1/absent', bearer), 404],
      ['a body that is none', request('POST', '/api/v1/tenants', `${bearer}${json}content-length: 1\r\n`) + '{', 400],
      ['the description', request('GET', '/api/v1/openapi.json'), 200],
      ['what is no HTTP', 'GET nothing\r\n\r\n', 400],
      ['a head that is too long', request('GET', '/', `x-long: ${'x'.repeat(40000)}\r\n`), 431],
      ['a body that is too long', request('POST', '/api/v1/session', `${json}content-length: 999999999\r\n`), 413],
      // The command line's door speaks none, and answers with the page.
      ...listener === 'admin' ? [] : [['a WebSocket that is none', request('GET', '/mqtt', 'upgrade: websocket\r\n').replace('Connection: close', 'Connection: upgrade'), 426]],
    ];
    for (const [claim, bytes, status] of cases) {
      const answer = await ask(listener, bytes);
      if (status !== 0) assert.equal(answer.status, status, claim);
      assert.deepEqual(faults(answer, NO_PAGE), [], `${claim} (${answer.status})`);
    }
  });
}

test('the console: its page under every path, its files, whether they are sent or known', async () => {
  const page = await ask('tls', request('GET', '/'));
  assert.equal(page.status, 200);
  for (const [claim, bytes, status] of [
    ['the page', request('GET', '/'), 200],
    ['under a path of its own', request('GET', '/devices/acme/hall/pump'), 200],
    ['its head', request('HEAD', '/'), 200],
    ['known already', request('GET', '/', `if-none-match: ${page.headers.etag}\r\n`), 304],
  ]) {
    const answer = await ask('tls', bytes);
    assert.equal(answer.status, status, claim);
    assert.deepEqual(faults(answer, PAGE), [], claim);
  }
  const { text } = await server.call('GET', '/');
  for (const [, file] of text.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
    const answer = await ask('tls', request('GET', file));
    assert.equal(answer.status, 200, file);
    assert.deepEqual(faults(answer, PAGE), [], file);
  }
  const posted = await ask('tls', request('POST', '/', 'content-length: 0\r\n'));
  assert.equal(posted.status, 405);
  assert.deepEqual(faults(posted, NO_PAGE), []);
});

test('signing in: the cookies are for this host alone, and no script reads them', async () => {
  const { status, headers } = await server.call('POST', '/api/v1/session', { body: { name: server.operator, password: server.password } });
  assert.equal(status, 200);
  assert.equal(headers['set-cookie'].length, 2);
  for (const cookie of headers['set-cookie']) assert.match(cookie, /^__Host-[\w-]+=[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
});
