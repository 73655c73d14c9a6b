// The attack: no password, no token, no certificate; knock at every listener, route and method. Nothing but the listed few
// answers, and those say nothing that is not public.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { googleRoutes, grpcMethods, nativeRoutes } from '../lib/routes.mjs';
import { Server } from '../lib/server.mjs';

// What is for everybody, and why.
const OPEN = {
  'GET /healthz': 'says that it serves',
  'GET /api/v1/openapi.json': 'the published description of the API',
  'GET /oauth2/jwks': 'public keys',
  'GET /.well-known/oauth-authorization-server': 'addresses',
  'GET /.well-known/openid-configuration': 'addresses',
  'GET /api/v1/session/provider': 'the name of the outside provider that one may sign in by',
  'GET /api/v1/session/oidc': 'the way to that provider',
  'GET /api/v1/session/oidc/callback': 'the way back, which takes the proof of the provider',
  'GET /.well-known/est/cacerts': 'a certificate',
  'GET /.well-known/est/{tenant}/cacerts': 'a certificate',
  'GET /.well-known/est/csrattrs': 'what a request has to have',
  'GET /.well-known/est/{tenant}/csrattrs': 'what a request has to have',
  'GET /pki/root.crl': 'a revocation list',
  'GET /pki/intermediate.crl': 'a revocation list',
  'GET /pki/{tenant}/ca.crt': 'a certificate',
  'GET /pki/{tenant}/ca.cer': 'a certificate',
  'GET /pki/{tenant}/ca.crl': 'a revocation list',
  'POST /pki/{tenant}/ocsp': 'the status of a certificate',
  'GET /pki/{tenant}/ocsp/{request}': 'the status of a certificate',
};
// What takes credentials in its own way, and so refuses with its own status when there are none.
const SIGN_IN = ['POST /api/v1/session', 'POST /api/v1/session/invitation', 'POST /oauth2/token', 'POST /token', 'POST /oauth2/introspect', 'POST /oauth2/revoke'];
// What anybody might bring along.
const CALLERS = {
  nothing: {},
  'a token that is none': { authorization: 'Bearer gh_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
  'a token of no algorithm': { authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.' },
  'no name and no password': { authorization: 'Basic Og==' },
  'a cookie of its own making': { cookie: '__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; gatehouse_session=AAAAAAAA', origin: 'https://127.0.0.1' },
};

let server, agent;
before(async () => {
  server = await (await Server.create()).start();
  agent = new https.Agent({ keepAlive: true, maxSockets: 8, ca: server.ca });
  await server.cli('tenant', 'create', 'acme');
  await server.cli('registry', 'create', 'acme/hall');
  await server.cli('device', 'create', 'acme/hall/pump', '--symmetric-key');
});
after(async () => { agent?.destroy(); await server?.close(); });

// Names of what is really there, so that a route that looks before it asks would tell.
const NAMES = { t: 'acme', tenant: 'acme', r: 'hall', registry: 'hall', d: 'pump', device: 'pump', p: 'acme', project: 'acme', l: 'global', location: 'global' };
const filled = (path) => path.replace(/\{(\w+)[^}]*\}/g, (_, name) => NAMES[name] ?? 'x');

test('every route of the API and of Google\'s: 401, or one of the few', async () => {
  const routes = [...nativeRoutes(), ...googleRoutes()];
  assert.ok(nativeRoutes().length > 60 && googleRoutes().length > 20, `${routes.length} routes`);
  const seen = new Set(), answered = [];
  for (const { method, path } of routes)
    for (const [caller, headers] of Object.entries(CALLERS)) {
      const name = `${method} ${path}`;
      const { status, text } = await server.call(method, filled(path), { agent, headers, body: method === 'GET' || method === 'DELETE' ? undefined : {} });
      seen.add(name);
      const expected = name in OPEN ? status < 500 : SIGN_IN.includes(name) ? status === 400 || status === 401 : status === 401;
      if (!expected) answered.push(`${name} with ${caller}: ${status} ${text.slice(0, 200)}`);
    }
  assert.deepEqual(answered, []);
  for (const name of [...Object.keys(OPEN), ...SIGN_IN]) assert.ok(seen.has(name), `${name} is a route`);
});

test('every method over gRPC: UNAUTHENTICATED', async () => {
  const methods = grpcMethods(), answered = [];
  assert.ok(methods.length > 25, `${methods.length} methods`);
  const session = http2.connect(server.url, { ca: server.ca });
  try {
    for (const method of methods)
      for (const [caller, headers] of Object.entries(CALLERS)) {
        const request = session.request({ ':method': 'POST', ':path': method, 'content-type': 'application/grpc', te: 'trailers', ...headers });
        let status;
        const take = (fields) => { status = fields['grpc-status'] ?? status; };
        request.on('response', take).on('trailers', take).resume();
        request.end(Buffer.alloc(5)); // an empty message
        await once(request, 'close');
        if (status !== '16') answered.push(`${method} with ${caller}: ${status}`);
      }
  } finally {
    session.destroy();
  }
  assert.deepEqual(answered, []);
});

const refusal = (options) => new Promise((done) => {
  const session = mqtt.connect({ host: '127.0.0.1', port: server.port, ca: server.ca, reconnectPeriod: 0, connectTimeout: 20000, ...options });
  session.once('connect', () => { session.end(true); done('connected'); });
  session.once('error', (error) => { session.end(true); done(error.code ?? error.message); });
  session.once('close', () => done('closed'));
});

test('MQTT, over TLS and WebSocket: nobody without credentials', async () => {
  const names = [undefined, '', 'admin', server.operator, 'acme/hall/pump', '127.0.0.1/?api-version=2021-04-12'];
  for (const protocol of ['mqtts', 'wss'])
    for (const protocolVersion of [4, 5])
      for (const username of names)
        for (const password of [undefined, '', 'admin', 'pump']) {
          if (username === undefined && password !== undefined) continue; // MQTT.js does not send that
          const clientId = username === undefined ? 'projects/acme/locations/global/registries/hall/devices/pump' : 'pump';
          const answer = await refusal({ protocol, protocolVersion, username, password, clientId, path: '/mqtt' });
          assert.ok(answer !== 'connected', `${protocol} ${protocolVersion} ${username}:${password} is let in`);
        }
});

// What comes back for bytes that are not TLS.
function inClear(bytes) {
  return new Promise((done) => {
    const socket = net.connect(server.port, '127.0.0.1', () => socket.write(bytes));
    const got = [];
    socket.on('data', (chunk) => got.push(chunk)).on('error', () => {}).on('close', () => done(Buffer.concat(got)));
  });
}

test('no listener speaks in clear', async () => {
  const listeners = readFileSync(join(server.data, 'listeners'), 'utf8').trim().split('\n').map((line) => line.split(' '));
  assert.deepEqual(listeners.map(([kind]) => kind), ['tls', 'admin'], 'there is no plain one unless it is asked for');
  assert.equal(statSync(join(server.data, 'admin.sock')).mode & 0o777, 0o600, 'the door of the command line is its owner\'s');
  const hello = Buffer.from('\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04pump', 'latin1');
  for (const bytes of [hello, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']) {
    const answer = await inClear(bytes);
    assert.ok(answer.length === 0 || answer[0] === 0x15, `a TLS alert at most, not ${answer.toString('latin1').slice(0, 40)}`);
  }
});
