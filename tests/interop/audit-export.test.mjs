// Checkpoints of the audit trail leave the house by a web hook of this test: proved by its own CA, in order and whole, again and again
// until they are taken, while the file goes on; and what the hook has kept shows what was cut off the trail. (Syslog: audit_audit_test.)
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hasSqlite } from '../lib/ageing.mjs';
import { Pki } from '../lib/pki.mjs';
import { eventually, Server } from '../lib/server.mjs';

let server, pki, receiver, admin, own, foreign;
const asked = [], taken = []; // bodies; those that were answered with 204
let refuses = true;

before(async () => {
  pki = new Pki();
  const extensions = 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n';
  const root = pki.ca('keeper'), other = pki.ca('somebody else');
  own = pki.sign('hook', { subject: '/CN=hook', issuer: root, days: 7, extensions });
  foreign = pki.sign('not the hook', { subject: '/CN=hook', issuer: other, days: 7, extensions });
  receiver = https.createServer({ key: foreign.key, cert: foreign.cert }, async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    asked.push({ method: request.method, path: request.url, type: request.headers['content-type'], text });
    if (!refuses) taken.push(text);
    response.writeHead(refuses ? 500 : 204).end();
  });
  await new Promise((ready) => receiver.listen(0, '127.0.0.1', ready));
  server = await Server.create({ options: ['--audit-webhook-ca-file', root.certFile, '--audit-checkpoint-s', '1'] });
  appendFileSync(join(server.data, 'gatehouse.conf'), `\n[audit]\nwebhook = https://127.0.0.1:${receiver.address().port}/keep?for=ever\n`);
  await server.start();
  admin = await server.token();
});
after(async () => {
  receiver?.closeAllConnections();
  receiver?.close();
  try { await server?.close(); } finally { pki?.close(); }
});

const failures = async () => Number(/^gatehouse_audit_export_failures_total (\d+)$/m.exec((await server.call('GET', '/metrics', { token: admin })).text)[1]);
const filed = () => readFileSync(join(server.data, 'audit', 'checkpoints.jsonl'), 'utf8').trim().split('\n');
const deed = async () => { assert.equal((await server.call('PUT', '/api/v1/sign-in-policy', { token: admin, body: { second_factor: false } })).status, 200); };

test('whoever is not proved by the anchors that were named gets nothing; the file goes on', async () => {
  await eventually(async () => { await deed(); return await failures() > 1; }, 60000, 'a checkpoint that nobody took');
  assert.equal(asked.length, 0);
  await eventually(() => filed().length > 1, 30000, 'checkpoints in the file');
});

test('a hook that refuses is asked again, and then has every one, in order, as the file has it', async () => {
  receiver.setSecureContext({ key: own.key, cert: own.cert });
  await eventually(() => asked.length > 1, 60000, 'a second attempt');
  assert.ok(asked.every(({ method, path, type }) => method === 'POST' && path === '/keep?for=ever' && type === 'application/json'));
  assert.ok(asked.every(({ text }) => text === asked[0].text), 'the same one, until it is taken');
  refuses = false;
  await deed();
  await server.cli('audit', 'checkpoint');
  const last = filed().at(-1);
  await eventually(() => taken.includes(last), 60000, 'the newest one');
  const at = filed().indexOf(taken[0]);
  assert.ok(at >= 0 && taken.length > 1);
  assert.deepEqual(taken, filed().slice(at, at + taken.length));
});

test('what was cut off, with its checkpoints and the file, is named by what the hook has kept', { skip: hasSqlite ? false : 'sqlite3 is not installed' }, async () => {
  await server.stop();
  const kept = join(server.folder, 'kept.jsonl'), { seq } = JSON.parse(taken.at(-1));
  writeFileSync(kept, taken.map((line) => `${line}\n`).join(''));
  const whole = await server.tryCli(['audit', 'verify', '--checkpoints', kept]);
  assert.equal(whole.code, 0, whole.stdout + whole.stderr);
  execFileSync('sqlite3', [join(server.data, 'registry.db'), `DELETE FROM audit WHERE seq >= ${seq}; DELETE FROM audit_checkpoints WHERE seq >= ${seq}`]);
  rmSync(join(server.data, 'audit', 'checkpoints.jsonl'));
  const bent = await server.tryCli(['audit', 'verify', '--checkpoints', kept]);
  assert.equal(bent.code, 1);
  assert.match(bent.stdout, new RegExp(`ends before row ${seq},`));
});
