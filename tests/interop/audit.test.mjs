// The audit trail: one row for every call that changes something, read from the tables of routes; no row for what only reads; no
// secret in any; and what `gatehouse audit` says of a trail that was bent.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasSqlite } from '../lib/ageing.mjs';
import { apiTable } from '../lib/routes.mjs';
import { eventually, Server } from '../lib/server.mjs';

const source = (path) => readFileSync(new URL(`../../src/${path}`, import.meta.url), 'utf8');
const strings = (text, macros) => [...text.matchAll(/"([^"]*)"|(\w+)/g)].map(([, string, name]) => string ?? macros[name]).join('');
const macrosOf = (text) => {
  const macros = {};
  for (const [, name, value] of text.matchAll(/^#define (\w+) ((?:\w+ )?"[^\n]*"|PROJECT[^\n]*|REGISTR\w+[^\n]*)$/gm)) macros[name] = strings(value, macros);
  return macros;
};
const rest = source('dialect/google/rest_route.c');
const native = apiTable()
  .map((route) => ({ ...route, open: route.flags.includes('OPEN'), audited: route.flags.includes('AHEAD') || route.flags.includes('LAST') || (route.method !== 'GET' && !route.flags.includes('READS')) }));
const google = rest.slice(rest.indexOf('routes[] = {')).split('{.method = ').slice(1)
  .map((row) => ({ method: /"([A-Z]+)"/.exec(row)[1], path: strings(/\.pattern = ([^,]+),/.exec(row)[1], macrosOf(rest)), handler: /\.(?:handler|waiting) = (\w+)/.exec(row)[1], audited: !row.includes('GOOGLE_AUDIT_NOT') && !row.startsWith('"GET"') }));

let server, admin, viewer;
before(async () => {
  server = await (await Server.create({ options: ['--audit-checkpoint-s', '1'] })).start();
  await server.cli('tenant', 'create', 'acme', '--google-project', 'acme-project');
  await server.cli('registry', 'create', 'acme/plant', '--location', 'europe-west1');
  admin = await server.token();
  viewer = await server.token('viewer');
});
after(() => server?.close());

const rows = async (query = '') => (await server.call('GET', `/api/v1/audit?${query}`, { token: admin })).body.rows;
const newest = async () => (await rows('limit=1'))[0].seq;

// One call; the answer is not waited for to its end where it has none.
const call = (method, path, token) => new Promise((done, fail) => {
  const body = method === 'GET' || method === 'DELETE' ? undefined : '{}';
  const request = https.request(`${server.url}${path}`, {
    method, ca: server.ca,
    headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body ? { 'content-type': 'application/json', 'content-length': body.length } : {}) },
  }, (response) => {
    const endless = String(response.headers['content-type']).includes('event-stream');
    const finish = () => done(response.statusCode);
    response.on('data', () => {}).on('end', finish).on('error', finish);
    if (endless) { response.destroy(); finish(); }
  });
  request.on('error', fail);
  request.end(body);
});
const fill = (path) => path.replace('{t}', 'acme').replace('{p}', path.startsWith('/v1') ? 'acme-project' : 'absent').replace('{l}', 'europe-west1').replace(/\{\w+\}/g, 'absent-thing');

describe('coverage', () => {
  test('the tables were read', () => {
    assert.equal(google.length, [...rest.matchAll(/\.method = /g)].length);
    assert.ok(native.filter(({ audited }) => audited).length > 50 && google.filter(({ audited }) => audited).length > 20);
  });

  for (const [name, routes] of [['the native API', native], ["Google's API", google]]) {
    test(`every call of ${name} leaves exactly one row when it changes something, whoever calls, and none when it reads`, async () => {
      const wrong = [];
      let called = 0;
      for (const { method, path, audited, open } of routes) {
        for (const [who, token] of [['an administrator', admin], ['a viewer', viewer], ['nobody', undefined]]) {
          const seq = await newest(), status = await call(method, fill(path), token);
          const left = (await rows(`after=${seq}&order=oldest`)).filter(({ face }) => face !== 'server');
          called++;
          const what = `${method} ${path} by ${who}: ${status}`;
          if (left.length !== (audited ? 1 : 0)) wrong.push(`${what}, ${left.length} rows`);
          if (!audited || left.length !== 1) continue;
          const [row] = left;
          const refused = status === 401 || status === 403;
          if (refused !== (row.result === 'refused')) wrong.push(`${what}, a row that says ${row.result}`);
          if (!open && who !== 'nobody' && !row.actor_id) wrong.push(`${what}, without an actor`);
          if (!/^[\w-]+\.[\w-]+$/.test(row.action) || !row.object || row.source !== '127.0.0.1') wrong.push(`${what}: ${JSON.stringify(row)}`);
        }
      }
      console.log(`${name}: ${called} calls`);
      assert.deepEqual(wrong, []);
    });
  }

  test('a call over gRPC leaves the row of its REST path', async () => {
    const name = Buffer.from('projects/acme-project/locations/europe-west1/registries/plant/devices/absent');
    const message = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    for (const [token, result, code] of [[admin, 'failed', '5'], [viewer, 'refused', '7'], ['none', 'refused', '16']]) {
      const seq = await newest();
      const client = http2.connect(server.url, { ca: server.ca });
      try {
        const status = await new Promise((done, fail) => {
          const stream = client.request({ ':method': 'POST', ':path': '/google.cloud.iot.v1.DeviceManager/DeleteDevice', 'content-type': 'application/grpc', te: 'trailers', authorization: `Bearer ${token}` });
          let of;
          stream.on('response', (headers) => { of ??= headers['grpc-status']; }).on('trailers', (headers) => { of = headers['grpc-status']; });
          stream.on('data', () => {}).on('end', () => done(of)).on('error', fail);
          stream.end(frame);
        });
        assert.equal(status, code);
      } finally { client.destroy(); }
      const [row, ...more] = await rows(`after=${seq}`);
      assert.equal(more.length, 0);
      assert.deepEqual([row.face, row.action, row.result], ['grpc', 'devices.delete', result]);
    }
  });

  test('what was done is told once: by whom, how and from where', async () => {
    const registry = '/api/v1/tenants/acme/registries/plant';
    const deeds = [
      ['POST', `${registry}/devices`, { id: 'pump', credentials: [{ password: 'a-password-that-nobody-has' }] }, 'devices.create'],
      ['PATCH', `${registry}/devices/pump`, { blocked: true }, 'devices.update'],
      ['PUT', '/api/v1/tenants/acme/groups/wet', {}, 'groups.put'],
      ['POST', '/api/v1/tenants/acme/groups/wet/add', { registry: 'plant', device: 'pump' }, 'groups.add'],
      ['PUT', '/api/v1/tenants/acme/policies/talk', { document: { Version: '2012-10-17', Statement: [] } }, 'policies.put'],
      ['POST', `${registry}/devices/pump/config`, { data: { on: true } }, 'devices.config'],
      ['POST', `${registry}/devices/pump/ban`, {}, 'devices.ban'],
      ['DELETE', `${registry}/devices/pump/ban`, undefined, 'ban.delete'],
      ['PUT', '/api/v1/tenants/acme/limits', { connections_max: 10 }, 'limits.put'],
      ['POST', '/api/v1/tokens', { role: 'viewer', ttl_s: 60 }, 'tokens.create'],
      ['DELETE', `${registry}/devices/pump`, undefined, 'devices.delete'],
    ];
    for (const [method, path, body, action] of deeds) {
      const seq = await newest(), answer = await server.call(method, path, { token: admin, body });
      const left = await rows(`after=${seq}`);
      assert.equal(left.length, 1, `${method} ${path}: ${answer.text}`);
      assert.deepEqual([left[0].action, left[0].object, left[0].method, left[0].face], [action, path, 'token', 'api']);
      assert.equal(left[0].result, answer.status < 300 ? 'done' : 'failed', answer.text);
    }
    const done = await rows('result=done&object=/api/v1/tenants/acme&limit=1000');
    assert.ok(done.length >= 6 && done.every(({ tenant }) => tenant === 'acme'));
  });

  test('signing in, well and not', async () => {
    for (const [name, password, expected] of [[server.operator, 'not-the-password', ['refused', null, server.operator]],
      ['my-password-in-the-wrong-field', 'x-not-the-password', ['refused', null, null]]]) {
      const seq = await newest();
      await server.call('POST', '/api/v1/session', { body: { name, password } });
      const [row, ...more] = await rows(`after=${seq}`);
      assert.equal(more.length, 0);
      assert.deepEqual([row.action, row.method], ['session.create', 'password']);
      if (row.code !== 2006) assert.deepEqual([row.result, row.actor, row.subject], expected); // not while it is slowed down
    }
    const seq = await newest();
    await eventually(async () => (await server.call('POST', '/api/v1/session', { body: { name: server.operator, password: server.password } })).status === 200, 30000, 'signed in');
    const [row] = await rows(`after=${seq}&result=done`);
    assert.deepEqual([row.action, row.actor], ['session.create', server.operator]);
  });

  test('no secret is in it, and no payload', async () => {
    const text = await server.cli('audit', 'export');
    assert.equal(text.split('\n').length, await newest());
    for (const secret of [server.password, admin, viewer, 'a-password-that-nobody-has', 'not-the-password', 'my-password-in-the-wrong-field', '"on"'])
      assert.ok(!text.includes(secret), secret);
  });
});

describe('reading', () => {
  test('filters and pages', async () => {
    const all = await rows('order=oldest&limit=1000');
    assert.ok(all.every((row, i) => i === 0 || row.seq === all[i - 1].seq + 1));
    const [third] = await rows('after=2&order=oldest&limit=1');
    assert.equal(third.seq, 3);
    assert.ok((await rows('action=devices.&limit=1000')).every(({ action }) => action.startsWith('devices.')));
    assert.ok((await rows('result=refused&limit=1000')).every(({ result }) => result === 'refused'));
    assert.equal((await rows('actor=nobody-has-this-name')).length, 0);
    const from = all[10].at, until = all[20].at;
    assert.ok((await rows(`from=${from}&to=${until}&limit=1000`)).every(({ at }) => at >= from && at < until));
    for (const query of ['order=up', 'result=perhaps', 'limit=0', 'from=yesterday'])
      assert.equal((await server.call('GET', `/api/v1/audit?${query}`, { token: admin })).status, 400, query);
  });

  test('whoever sees one tenant sees no others', async () => {
    const auditor = await server.token('auditor', '--tenant', 'acme');
    assert.equal((await server.call('GET', '/api/v1/audit', { token: auditor })).status, 403);
    const mine = await server.call('GET', '/api/v1/tenants/acme/audit', { token: auditor });
    assert.ok(mine.body.rows.length > 5 && mine.body.rows.every(({ tenant }) => tenant === 'acme'));
    assert.equal((await server.call('GET', '/api/v1/tenants/acme/audit', { token: viewer })).status, 403);
  });
});

// A copy of a folder, bent, and what is said of it.
const bent = async (data, sql, ...options) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-audit-'));
  try {
    cpSync(data, folder, { recursive: true });
    if (sql) execFileSync('sqlite3', [join(folder, 'registry.db'), sql]);
    return await server.tryCli(['audit', 'verify', '--data', folder, ...options]);
  } finally { rmSync(folder, { recursive: true, force: true }); }
};

describe('verifying', () => {
  test('a live server, its exported checkpoints, a proof of one row', async () => {
    const seq = await newest();
    await eventually(async () => (await server.call('GET', '/api/v1/audit/verify', { token: admin })).body.signed_seq >= seq, 20000, 'a checkpoint');
    const said = JSON.parse(await server.cli('audit', 'verify', '--json'));
    assert.equal(said.verdict, 'whole', said.text);
    assert.ok(said.signed_seq >= seq && said.checkpoints > 0);
    const proof = await server.cli('audit', 'prove', '7');
    const file = join(server.folder, 'proof.json'), key = join(server.data, 'audit', 'key.pem');
    writeFileSync(file, proof);
    const good = await server.tryCli(['audit', 'verify', '--proof', file, '--key', key]);
    assert.equal(good.code, 0, good.stderr);
    writeFileSync(file, proof.replace('"seq": 7', '"seq": 8'));
    assert.equal((await server.tryCli(['audit', 'verify', '--proof', file, '--key', key])).code, 1);
    assert.equal((await server.tryCli(['audit', 'prove', 'seven'])).code, 2);
  });

  test('a name is forgotten, and old rows are cut at a checkpoint, and both are told', async () => {
    await server.cli('audit', 'forget', '127.0.0.1');
    assert.equal((await rows('order=oldest&limit=20')).filter(({ source }) => source === '127.0.0.1').length, 0);
    await server.cli('audit', 'checkpoint');
    // The row after the newest checkpoint is asked for: the cut goes back to where a checkpoint stands.
    const { signed_seq } = (await server.call('GET', '/api/v1/audit/verify', { token: admin })).body;
    const cut = JSON.parse(await server.cli('audit', 'cut', String(signed_seq + 1), '--json')).cut;
    const [first] = await rows('order=oldest&limit=1');
    assert.ok(cut > 0 && cut <= signed_seq + 1 && first.seq === cut + 1);
    const [told] = await rows('action=audit.cut&result=done');
    assert.equal(told.object, `audit/rows/1-${cut}`);
    const said = await server.tryCli(['audit', 'verify']);
    assert.equal(said.code, 0, said.stdout + said.stderr);
  });

  test('flipped, dropped, swapped, cut off: the first bad row is named', async (context) => {
    if (!hasSqlite) { context.skip('sqlite3 is not installed'); return; }
    for (let rows_after_cut = 0; rows_after_cut < 10; rows_after_cut++) await server.cli('audit', 'checkpoint');
    const last = await newest(), row = last - 5;
    await server.stop();
    const own = join(server.folder, 'kept.jsonl');
    writeFileSync(own, readFileSync(join(server.data, 'audit', 'checkpoints.jsonl')));
    const cases = [
      ['whole', undefined, 0, /are as they were written/],
      ['flipped', `UPDATE audit SET object = object || '/' WHERE seq = ${row}`, 1, new RegExp(`^row ${row} is not as it was written`)],
      ['dropped', `DELETE FROM audit WHERE seq = ${row}`, 1, new RegExp(`^row ${row} is missing`)],
      ['swapped', `UPDATE audit SET seq = 0 WHERE seq = ${row}; UPDATE audit SET seq = ${row} WHERE seq = ${row + 1}; UPDATE audit SET seq = ${row + 1} WHERE seq = 0`, 1, new RegExp(`^row ${row} is not as it was written`)],
      ['cut off', `DELETE FROM audit WHERE seq >= ${row}; DELETE FROM audit_checkpoints WHERE seq >= ${row}`, 1, new RegExp(`ends before row ${row},`)],
    ];
    for (const [claim, sql, code, text] of cases) {
      const said = await bent(server.data, sql, '--checkpoints', own);
      assert.equal(said.code, code, `${claim}: ${said.stdout}${said.stderr}`);
      assert.match(said.stdout, text, claim);
    }
    await server.start();
    assert.equal((await server.tryCli(['audit', 'verify'])).code, 0, 'it goes on');
  });
});
