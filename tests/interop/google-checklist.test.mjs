// What a server of Google's dialect has to show, as a list of eighteen; each item is a test whose name begins with "checklist"
// and its number. Most stand where their subject is; here are those that have no other place, and the one that counts them.
//    1 vectors           4 takeover      7 forbidden topics  10 commands      13 client library  16 Pub/Sub
//    2 flags of the SDK  5 QoS 2         8 no topic          11 attaching     14 JSON forms      17 activity log
//    3 end of the token  6 durability    9 configuration     12 HTTP bridge   15 roles           18 revocation
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bin, Server } from '../lib/server.mjs';
import { makeProject, registryPath } from '../lib/warehouse.mjs';

let server, token;
before(async () => {
  server = await (await Server.create()).start();
  token = await makeProject(server);
});
after(() => server?.close());

test('checklist 1: the 35 tokens and 9 credentials of the vectors are judged right', () => {
  const table = execFileSync(join(bin, 'vectors'), { encoding: 'utf8', cwd: new URL('../..', import.meta.url) });
  for (const [set, cases] of [['tokens', 35], ['registration', 9]])
    assert.match(table, new RegExp(`^google-jwt-vectors ${set} +\\| +${cases} \\| +${cases} \\| +0 \\| +0$`, 'm'));
});

describe('checklist 14: JSON as the client libraries and people write it', () => {
  const devices = `/v1/${registryPath}/devices`;
  const bodies = [
    ['an enum by name', { logLevel: 'DEBUG' }, (device) => device.logLevel === 'DEBUG'],
    ['an enum as number', { logLevel: 40 }, (device) => device.logLevel === 'DEBUG'],
    ['an unknown enum', { logLevel: 'LOUD' }, null],
  ];
  for (const [at, [name, body, holds]] of bodies.entries())
    test(name, async () => {
      const made = await server.call('POST', devices, { token, body: { id: `form-${at}`, ...body } });
      assert.equal(made.status, holds ? 200 : 400, made.text);
      if (!holds) { assert.equal(made.body.error.status, 'INVALID_ARGUMENT'); return; }
      assert.ok(holds(made.body), made.text);
      assert.match(made.body.numId, /^\d+$/, 'an int64 is a text in answers');
    });

  for (const [name, version, status] of [['as text', '1', 200], ['as number', 1, 200], ['that is none', 'one', 400], ['with a fraction', 1.5, 400], ['another than the newest', '7', 409]])
    test(`an int64 ${name}`, async () => {
      const id = `version-${name.replaceAll(' ', '-')}`;
      await server.call('POST', devices, { token, body: { id } });
      const answer = await server.call('POST', `${devices}/${id}:modifyCloudToDeviceConfig`, { token, body: { versionToUpdate: version, binaryData: '' } });
      assert.equal(answer.status, status, answer.text);
      if (status === 200) assert.equal(answer.body.version, '2', 'and a text in the answer');
    });

  for (const id of ['plus+percent%tilde~', 'a+b', 'a%b'])
    test(`the id ${id}, encoded in the path`, async () => {
      const made = await server.call('POST', devices, { token, body: { id } });
      assert.equal(made.status, 200, made.text);
      const read = await server.call('GET', `${devices}/${encodeURIComponent(id)}`, { token });
      assert.equal(read.body.id, id, read.text);
      assert.equal((await server.call('DELETE', `${devices}/${encodeURIComponent(id)}`, { token })).status, 200);
    });
});

test('each of the eighteen has its test', () => {
  const found = new Set();
  for (const folder of ['../interop/', '../fault/'])
    for (const file of readdirSync(new URL(folder, import.meta.url)).filter((name) => name.endsWith('.test.mjs')))
      for (const [, list] of readFileSync(new URL(folder + file, import.meta.url), 'utf8').matchAll(/(?:test|describe)\([`'"]checklist ([\d and]+):/g))
        for (const [item] of list.matchAll(/\d+/g)) found.add(Number(item));
  assert.deepEqual(Array.from({ length: 18 }, (_, i) => i + 1).filter((item) => !found.has(item)), []);
});
