// A database that cannot grow: the audit trail cannot be written, so nothing may be changed; devices stay connected and publish; and
// it recovers by itself. The limit of the size of files (setrlimit(2)) stands for the full disk: the message log, whose files are
// already as large as they will be, goes on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, Server } from '../lib/server.mjs';
import { connect, makeDevice, makeProject, pull } from '../lib/warehouse.mjs';

let server, token;
before(async () => {
  server = await (await Server.create({ options: ['--audit-checkpoint-s', '1'] })).start();
  token = await makeProject(server);
});
after(() => server?.close());

// The core process: the child of the server that opens the sockets.
const core = () => readFileSync(`/proc/${server.process.pid}/task/${server.process.pid}/children`, 'utf8').trim().split(' ')
  .find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').includes('core'));
const limit = (bytes) => execFileSync('prlimit', ['--pid', core(), `--fsize=${bytes}:unlimited`]);
const walBytes = () => statSync(join(server.data, 'registry.db-wal')).size;

test('while the audit trail cannot be written changes stop with GH4201, devices go on, and it recovers by itself', async () => {
  const device = await makeDevice(server, token, 'pump'), client = await connect(server, device);
  let closed = false, made = 0;
  client.on('close', () => { closed = true; });
  const publish = (text) => client.publishAsync('/devices/pump/events', text, { qos: 1 });
  await publish('before');

  // What was written so far fits below the limit, what the database has to write next does not: its write-ahead log is at its end.
  await eventually(async () => {
    await server.call('PUT', `/v1/projects/demo/topics/filler-${made++}`, { token, body: {} });
    return walBytes() > 700000;
  }, 60000, 'the write-ahead log is large');
  limit(walBytes());

  const change = (name) => server.call('PUT', `/api/v1/tenants/demo/groups/${name}`, { token, body: {} });
  const refused = await eventually(async () => { const answer = await change(`g-${made++}`); return answer.status === 503 && answer; }, 30000, 'a change is refused');
  assert.equal(refused.body.error.code, 'GH4201', refused.text);
  assert.match(refused.body.error.message, /the audit trail cannot be written/);
  const kick = await server.call('POST', '/api/v1/tenants/demo/registries/warehouse/devices/pump/kick', { token });
  assert.equal(kick.body.error?.code, 'GH4201', 'what is not in the database is not done either');
  const google = await server.call('DELETE', '/v1/projects/demo/topics/filler-0', { token });
  assert.equal(google.status, 503, google.text);
  assert.equal((await server.call('POST', '/api/v1/session', { body: { name: 'admin', password: server.password } })).status, 503);

  for (let i = 0; i < 5; i++) await publish(`meanwhile ${i}`);
  assert.equal(closed, false, 'the device stays connected');
  assert.equal((await server.call('GET', '/api/v1/audit?limit=1', { token })).status, 200, 'and reading goes on');

  limit('unlimited');
  await eventually(async () => (await change('after')).status < 300, 30000, 'it recovers by itself');
  await publish('after');
  assert.equal((await pull(server, token, 7)).length, 7);
  await server.said(/changes are refused, the audit trail cannot be written/);
  await server.said(/the audit trail can be written again/);
  client.end(true);
  const said = await server.tryCli(['audit', 'verify']);
  assert.equal(said.code, 0, said.stdout + said.stderr);
});
