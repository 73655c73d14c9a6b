// Role x route x tenant x scope: every route of the native API and of Google's, called with a token of every role for its own tenant,
// for a foreign one and for the server, against the table of permissions; and by members to whom roles, custom ones among them, are
// bound on a tenant, a registry, a group or a device, on conditions or without. The routes, roles and permissions are read from the
// sources, so that a new row is tested the day it is written.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { apiTable, googleRoutes } from '../lib/routes.mjs';
import { Server } from '../lib/server.mjs';

const source = (path) => readFileSync(new URL(`../../src/${path}`, import.meta.url), 'utf8');
const roles = [...source('policy/role.def').matchAll(/^GH_ROLE\(\w+,\s*"([^"]+)"\)/gm)].map(([, name]) => name);
const own = roles.filter((name) => !name.startsWith('roles/'));
const permissions = Object.fromEntries([...source('policy/permission.def').matchAll(/^GH_PERMISSION\((\w+),\s*"[^"]+",((?:\s*"[x-]+")+)\)/gm)]
  .map(([, name, columns]) => [name, columns.replace(/[^x-]/g, '')]));
const spelled = Object.fromEntries([...source('policy/permission.def').matchAll(/^GH_PERMISSION\((\w+),\s*"([^"]+)"/gm)].map(([, name, spelling]) => [name, spelling]));
// Custom roles of permissions drawn by a rule, so that each has its own mix and each permission is in some and not in others.
const mixed = ['custom/odd', 'custom/thirds', 'house/fives', 'house/none'];
const customs = Object.fromEntries(mixed.map((role, i) => [role, Object.keys(permissions)
  .filter((name, at) => name !== 'REGISTRIES_SET_IAM_POLICY' && i < 3 && at % [2, 3, 5][i] === 1)]));
const grants = (role, permission) => customs[role] !== undefined ? customs[role].includes(permission) : permissions[permission][roles.indexOf(role)] === 'x';

const native = apiTable();
const google = googleRoutes().filter(({ ofGroup }) => !ofGroup);

let server, agent;
const tokens = new Map(); // "role@tenant", "role@" for all tenants, "member"
before(async () => {
  server = await (await Server.create()).start();
  agent = new https.Agent({ keepAlive: true, maxSockets: 8, ca: server.ca });
  const admin = await server.token();
  tokens.set('admin', admin);
  for (const [tenant, prefix] of [['acme', 'acme'], ['other', 'hidden']]) {
    await server.cli('tenant', 'create', tenant, '--google-project', `${tenant}-project`);
    await server.cli('registry', 'create', `${tenant}/${prefix}-plant`, '--location', 'europe-west1');
    const body = { id: `${prefix}-pump` };
    const made = await server.call('POST', `/api/v1/tenants/${tenant}/registries/${prefix}-plant/devices`, { token: admin, body });
    assert.ok(made.status < 300, made.text);
  }
  await server.cli('registry', 'create', 'acme/second-plant', '--location', 'europe-west1');
  const mint = async (body) => {
    const made = await server.call('POST', '/api/v1/tokens', { token: admin, body });
    assert.equal(made.status, 201, made.text);
    return made.body.token;
  };
  for (const role of own) {
    tokens.set(`${role}@acme`, await mint({ role, tenant: 'acme', ttl_s: 3600 }));
    tokens.set(`${role}@`, await mint({ role, ttl_s: 3600 }));
  }
  for (const role of roles.filter((name) => !own.includes(name)))
    tokens.set(role, await mint({ member: `serviceAccount:${role.replaceAll(/[/.]/g, '-')}`, ttl_s: 3600 }));
});
after(() => { agent?.destroy(); return server?.close(); });

const bodies = { bindings: '{"nothing":1}' };

// One call: the status and the first piece of the body; an endless answer is left.
const call = (method, path, token, given) => new Promise((done, fail) => {
  const body = given ?? (method === 'GET' || method === 'DELETE' ? undefined : bodies[path.split('/').pop()] ?? '{}');
  const request = https.request(`${server.url}${path}`, {
    method, agent,
    headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body ? { 'content-type': 'application/json', 'content-length': body.length } : {}) },
  }, (response) => {
    let text = '';
    const finish = () => done({ status: response.statusCode, text });
    response.on('data', (chunk) => { text += chunk; });
    response.on('end', finish);
    response.on('error', finish);
    if (String(response.headers['content-type']).includes('event-stream')) { response.destroy(); finish(); }
  });
  request.on('error', fail);
  request.end(body);
});

// Nothing that exists is named but the tenant, so that whoever may delete deletes nothing.
const fill = (path, tenant) => path.replace('{t}', tenant).replace('{p}', 'absent').replace(/\{\w+\}/g, 'absent');
const fillGoogle = (path, tenant, registry = 'absent') => path.replace('{p}', `${tenant}-project`).replace('{l}', 'europe-west1')
  .replace('{r}', registry).replace(/\{\w+\}/g, 'absent-thing');

async function eachOf(list, run) {
  const rest = [...list];
  await Promise.all(Array.from({ length: 8 }, async () => { for (let item; (item = rest.shift()) !== undefined;) await run(item); }));
}

// Calls every case and compares; `wrong` has a line for each that differs.
async function matrix(cases, name) {
  const wrong = [];
  let allows = 0, denies = 0;
  await eachOf(cases, async ({ method, path, token, who, allowed, body }) => {
    const { status, text } = await call(method, path, token, body);
    const did = status !== 403 && status !== 401;
    if (allowed) allows++; else denies++;
    if (did !== allowed || status >= 500 && status !== 501 && status !== 503) wrong.push(`${allowed ? 'wrong deny' : 'WRONG ALLOW'}: ${who} ${method} ${path}: ${status} ${text.slice(0, 120)}`);
  });
  console.log(`${name}: ${cases.length} decisions, ${allows} allowed, ${denies} denied, ${wrong.length} wrong`);
  assert.deepEqual(wrong, []);
}

test('the tables were read', () => {
  assert.equal(google.length, [...source('dialect/google/rest_route.c').matchAll(/\.method = /g)].length, 'every route of Google\'s');
  assert.ok(native.every(({ permission }) => permission === undefined || permission in permissions));
  assert.ok(google.every(({ permission }) => permission === 'ANYWHERE' || permission in permissions));
  assert.ok(own.length === 8 && roles.length === 21 && Object.values(permissions).every((row) => row.length === roles.length));
});

test('nothing but the listed few answers without authentication', async () => {
  // What is public (keys, metadata, certificates, revocation), and what takes its own proof: sign-in, tokens, enrolment.
  const open = ['GET /healthz', 'POST /api/v1/session', 'POST /api/v1/session/invitation', 'GET /api/v1/session/provider', 'GET /api/v1/session/oidc', 'GET /api/v1/session/oidc/callback', 'GET /metrics', 'POST /oauth2/token', 'POST /token', 'POST /oauth2/introspect',
    'POST /oauth2/revoke', 'GET /oauth2/jwks', 'GET /.well-known/oauth-authorization-server', 'GET /.well-known/openid-configuration',
    ...['', '{t}/'].flatMap((t) => ['GET ', 'GET ', 'POST ', 'POST '].map((method, i) =>
      `${method}/.well-known/est/${t}${['cacerts', 'csrattrs', 'simpleenroll', 'simplereenroll'][i]}`)),
    'GET /pki/root.crl', 'GET /pki/intermediate.crl', 'GET /pki/{t}/ca.crt', 'GET /pki/{t}/ca.cer', 'GET /pki/{t}/ca.crl', 'POST /pki/{t}/ocsp', 'GET /pki/{t}/ocsp/{o}'];
  const wrong = [];
  const cases = [...native.map((route) => ({ ...route, at: fill(route.path, 'acme') })), ...google.map((route) => ({ ...route, at: fillGoogle(route.path, 'acme') }))];
  await eachOf(cases, async ({ method, path, at, flags = [] }) => {
    const isOpen = open.includes(`${method} ${path}`);
    assert.equal(flags.includes('OPEN'), isOpen, `${method} ${path} is in the list`);
    for (const token of isOpen ? [] : [undefined, 'wrong', `${tokens.get('admin')}x`]) {
      const { status } = await call(method, at, token);
      if (status !== 401) wrong.push(`${method} ${at} with ${token === undefined ? 'no' : 'a wrong'} token: ${status}`);
    }
  });
  assert.deepEqual(wrong, []);
  assert.equal((await call('POST', '/api/v1/session')).status, 400, 'signing in takes a name and a password');
  assert.ok([401, 403].includes((await call('GET', '/metrics')).status), 'metrics are for whoever may read them');
});

const decided = native.filter(({ flags }) => !['OPEN', 'LIST', 'OWN'].some((flag) => flags.includes(flag)));

test('nobody but a person with a session has an account of his own', async () => {
  const routes = native.filter(({ flags }) => flags.includes('OWN'));
  assert.ok(routes.length > 10 && routes.every(({ permission, flags }) => permission === undefined && !flags.includes('OPEN')));
  await matrix(routes.flatMap(({ method, path }) => own.flatMap((role) => ['', 'acme'].map((of) =>
    ({ method, path: fill(path, 'acme'), token: tokens.get(`${role}@${of}`), who: `${role}@${of}`, allowed: false })))), 'own account');
});

test('the native API: own tenant, foreign tenant, the server', async () => {
  const cases = [];
  for (const role of own)
    for (const { method, path, permission, flags } of decided) {
      const inTenant = flags.includes('TENANT'), granted = grants(role, permission);
      const add = (tenant, of, allowed) => cases.push({ method, path: fill(path, tenant), token: tokens.get(`${role}@${of}`), who: `${role}@${of}`, allowed });
      add('acme', 'acme', inTenant && granted);
      add('other', 'acme', false);
      add('absent', 'acme', false);
      add('other', '', granted);
    }
  await matrix(cases, 'native');
});

test('the native API: lists hold what their reader may read', async () => {
  const lists = native.filter(({ flags, method, path }) => flags.includes('LIST') && method === 'GET' && path !== '/api/v1/session');
  assert.ok(lists.length > 4);
  await eachOf(own.flatMap((role) => lists.map((route) => ({ role, ...route }))), async ({ role, path, permission }) => {
    for (const query of ['', '?tenant=other']) {
      const { status, text } = await call('GET', `${path}${query}`, tokens.get(`${role}@acme`));
      assert.ok([200, 400, 403].includes(status), `${role} ${path}${query}: ${status}`);
      assert.ok(!text.includes('hidden-') && !/"name": ?"other"/.test(text), `${role} reads another tenant in ${path}${query}: ${text}`);
      if (permission !== undefined && !grants(role, permission)) assert.ok(!/acme-|"name": ?"acme"/.test(text), `${role} reads ${path}: ${text}`);
    }
  });
});

test('checklist 15: Google\'s API: own tenant, foreign tenant', async () => {
  const cases = [];
  for (const role of own)
    for (const { method, path, permission } of google.filter((route) => route.permission !== 'ANYWHERE')) {
      const granted = grants(role, permission);
      const add = (tenant, of, allowed) => cases.push({ method, path: fillGoogle(path, tenant), token: tokens.get(`${role}@${of}`), who: `${role}@${of}`, allowed });
      add('acme', 'acme', granted);
      add('other', 'acme', false);
      add('absent', 'acme', false);
      add('other', '', granted);
    }
  await matrix(cases, 'google, own roles');
});

test('checklist 15: Google\'s API: roles by binding, on one registry', async () => {
  const bound = roles.filter((name) => !own.includes(name));
  const registry = '/v1/projects/acme-project/locations/europe-west1/registries/acme-plant';
  const bindings = bound.map((role) => ({ role, members: [`serviceAccount:${role.replaceAll(/[/.]/g, '-')}`] }));
  const set = await server.call('POST', `${registry}:setIamPolicy`, { token: tokens.get('admin'), body: { policy: { bindings } } });
  assert.equal(set.status, 200, set.text);
  const cases = [];
  for (const role of bound)
    for (const { method, path, permission } of google.filter((route) => route.permission !== 'ANYWHERE')) {
      const onRegistry = path.includes('{r}');
      if (onRegistry && path.endsWith('{r}') && method === 'DELETE') continue; // an owner would
      if (path.endsWith(':setIamPolicy') && onRegistry) continue; // and take the bindings away
      const add = (tenant, name, allowed) => cases.push({ method, path: fillGoogle(path, tenant, name), token: tokens.get(role), who: role, allowed });
      add('acme', 'acme-plant', onRegistry && grants(role, permission));
      if (onRegistry) add('acme', 'second-plant', false);
      add('other', 'hidden-plant', false);
    }
  await matrix(cases, 'google, bindings');
});

// --- bindings on every scope

const levels = ['house', 'tenant', 'registry', 'group', 'device'];
const levelOf = ({ path }) => /\/devices\/\{d\}(\/|$)/.test(path) ? 'device' : /\/registries\/\{r\}(\/|$)/.test(path) ? 'registry' : /\/groups\/\{g\}(\/|$)/.test(path) ? 'group' : 'tenant';
const bindingPaths = {
  house: '/api/v1/bindings',
  tenant: '/api/v1/tenants/acme/bindings', registry: '/api/v1/tenants/acme/registries/acme-plant/bindings',
  group: '/api/v1/tenants/acme/groups/north/bindings', device: '/api/v1/tenants/acme/registries/acme-plant/devices/acme-pump/bindings' };
// Whether what is bound on `level` says something about a route of level `at`: the pump is in the group.
const reaches = (level, at) => level === 'house' || level === 'tenant' || level === at || at === 'device';
const fillAt = (path, tenant, registry, device, group) => path.replace('{t}', tenant).replace('{r}', registry).replace('{d}', device).replace('{g}', group).replace(/\{\w+\}/g, 'absent');
const conditions = {
  always: undefined, here: { sources: ['127.0.0.0/8', '::1'], from: '2020-01-01T00:00:00Z' },
  elsewhere: { sources: ['192.0.2.0/24'] }, past: { until: '2020-01-01T00:00:00Z' }, future: { from: '9000-01-01T00:00:00Z' } };
const memberOf = (role, level, condition) => `user:${role.replaceAll(/[/.]/g, '-')}-${level}-${condition}`;
const bound = [];

async function bindAll() {
  const admin = tokens.get('admin');
  const must = async (method, path, body) => {
    const answer = await server.call(method, path, { token: admin, body });
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
    return answer.body;
  };
  for (const role of mixed)
    await must('PUT', role.startsWith('house/') ? `/api/v1/roles/${role.slice(6)}` : `/api/v1/tenants/acme/roles/${role.slice(7)}`, { permissions: customs[role].map((name) => spelled[name]) });
  await must('POST', '/api/v1/tenants/acme/registries/acme-plant/devices', { id: 'acme-valve' });
  for (const group of ['north', 'south']) await must('PUT', `/api/v1/tenants/acme/groups/${group}`);
  await must('POST', '/api/v1/tenants/acme/groups/north/add', { registry: 'acme-plant', device: 'acme-pump' });
  await must('POST', '/api/v1/tenants/acme/groups/south/add', { registry: 'acme-plant', device: 'acme-valve' });
  for (const level of levels) {
    const bindings = [];
    for (const role of [...roles, ...mixed].filter((name) => level !== 'house' || !name.startsWith('custom/')))
      for (const [name, condition] of Object.entries(conditions)) {
        if (name !== 'always' && !['administrator', 'roles/owner', 'custom/odd', 'house/fives'].includes(role)) continue;
        bindings.push({ role, members: [memberOf(role, level, name)], ...(condition ? { condition } : {}) });
        bound.push({ role, level, condition: name });
      }
    await must('PUT', bindingPaths[level], { bindings });
  }
  await eachOf(bound, async (row) => { row.token = (await must('POST', '/api/v1/tokens', { member: memberOf(row.role, row.level, row.condition), ttl_s: 3600 })).token; });
}

test('the native API: roles bound in the house, on a tenant, a registry, a group and a device', async () => {
  await bindAll();
  const cases = [];
  for (const { role, level, condition, token } of bound)
    for (const route of decided.filter(({ flags }) => flags.includes('TENANT'))) {
      const { method, permission } = route, at = levelOf(route), holds = ['always', 'here'].includes(condition) && grants(role, permission);
      const add = (path, allowed) => {
        if (!allowed || method !== 'DELETE' || path.endsWith('/absent')) cases.push({ method, path, token, who: `${role} on the ${level} (${condition})`, allowed });
      };
      add(fillAt(route.path, 'acme', 'acme-plant', 'acme-pump', 'north'), holds && reaches(level, at));
      // Beside it: another device of the registry, another group; then another registry; then another tenant.
      add(fillAt(route.path, 'acme', 'acme-plant', 'acme-valve', 'south'), holds && (['house', 'tenant'].includes(level) || level === 'registry' && ['registry', 'device'].includes(at)));
      if (condition !== 'always') continue;
      if (at !== 'tenant') add(fillAt(route.path, 'acme', 'second-plant', 'absent', 'absent'), holds && ['house', 'tenant'].includes(level));
      add(fillAt(route.path, 'other', 'hidden-plant', 'hidden-pump', 'absent'), holds && level === 'house');
    }
  for (const { role, level, condition, token } of bound.filter((row) => row.condition === 'always'))
    for (const { method, path, permission } of decided.filter(({ flags }) => !flags.includes('TENANT')))
      cases.push({ method, path: fill(path, ''), token, who: `${role} on the ${level} (${condition})`, allowed: level === 'house' && grants(role, permission) });
  await matrix(cases, 'native, bindings');
});

test('a policy is attached by who may on that device, or may write the policies of the tenant', async () => {
  const cases = [], plant = 'acme-plant';
  const targets = [['acme', { registry: plant, device: 'acme-pump' }, (level) => reaches(level, 'device')],
    ['acme', { registry: plant, device: 'acme-valve' }, (level) => ['house', 'tenant', 'registry'].includes(level)],
    ['acme', { registry: plant, device: 'absent' }, (level) => ['house', 'tenant'].includes(level)],
    ['other', { registry: 'hidden-plant', device: 'hidden-pump' }, (level) => level === 'house'],
    ['absent', { registry: plant, device: 'acme-pump' }, (level) => level === 'house'],
    ...[{}, { registry: plant }, { group: 'north' }].map((body) => ['acme', body, (level) => ['house', 'tenant'].includes(level), 'wide'])];
  const wide = (role) => grants(role, 'POLICIES_ATTACH') && grants(role, 'POLICIES_PUT');
  for (const [tenant, body, where, width] of targets)
    for (const deed of ['attach', 'detach']) {
      const add = (token, who, allowed) => cases.push({ method: 'POST', path: `/api/v1/tenants/${tenant}/policies/absent/${deed}`, body: JSON.stringify(body), token, who, allowed });
      const granted = (role) => (width ? wide(role) : grants(role, 'POLICIES_ATTACH'));
      for (const { role, level, condition, token } of bound)
        add(token, `${role} on the ${level} (${condition}) to ${JSON.stringify(body)}`, ['always', 'here'].includes(condition) && granted(role) && where(level));
      for (const role of own) {
        add(tokens.get(`${role}@acme`), `${role}@acme`, tenant === 'acme' && granted(role));
        add(tokens.get(`${role}@`), `${role}@`, granted(role));
      }
    }
  await matrix(cases, 'attaching');
});

test('Google\'s API: roles bound in the house, on a tenant, a registry, a group and a device', async () => {
  const cases = [];
  const fillDevice = (path, registry, device) => fillGoogle(path.replace('{d}', device), 'acme', registry);
  for (const { role, level, condition, token } of bound)
    for (const { method, path, permission } of google.filter((route) => route.permission !== 'ANYWHERE' && /\{r\}\/devices\/\{\w+\}/.test(route.path))) {
      if (path.includes('{r}') && path.endsWith('{r}') && method === 'DELETE') continue;
      const holds = ['always', 'here'].includes(condition) && grants(role, permission), named = path.replace(/(\/devices\/)\{\w+\}/, '$1{d}');
      const add = (at, allowed) => { if (!allowed || method !== 'DELETE') cases.push({ method, path: at, token, who: `${role} on the ${level} (${condition})`, allowed }); };
      add(fillDevice(named, 'acme-plant', 'acme-pump'), holds);
      add(fillDevice(named, 'acme-plant', 'acme-valve'), holds && ['house', 'tenant', 'registry'].includes(level));
    }
  assert.ok(cases.length > 1000);
  await matrix(cases, 'google, bindings on devices');
});
