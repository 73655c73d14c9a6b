// What the server's processes may still do, read from the kernel of the running ones, and that it is said.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { Server, eventually } from '../lib/server.mjs';

let server;
before(async () => { server = await Server.create(); });
afterEach(() => server?.process && server.stop());
after(() => server?.close());

// { name, Seccomp, NoNewPrivs, CapEff, … } of the parent and its children.
const status = (pid) => Object.fromEntries(readFileSync(`/proc/${pid}/status`, 'utf8').split('\n').map((line) => line.split(':\t')));
const family = () => [server.process.pid, ...readFileSync(`/proc/${server.process.pid}/task/${server.process.pid}/children`, 'utf8').trim().split(' ')];
// What `look` finds, or undefined when the process or thread has ended meanwhile.
const unlessGone = (look) => { try { return look(); } catch (error) { if (['ENOENT', 'ESRCH'].includes(error.code)) return undefined; throw error; } };
const threads = (pid) => readdirSync(`/proc/${pid}/task`).map((thread) => unlessGone(() => status(`${pid}/task/${thread}`))).filter(Boolean);
const NO_CAPABILITY = '0000000000000000';

test('every thread of every process has its list of calls, no new privileges and no capability', async () => {
  await server.start();
  const names = [];
  for (const pid of family()) {
    names.push(status(pid).Name);
    for (const thread of threads(pid)) {
      assert.equal(thread.Seccomp, '2', `${thread.Name}: a filter`);
      // The parent's, and a process's own on top of it.
      assert.equal(thread.Seccomp_filters, names.length === 1 ? '1' : '2', `${thread.Name}: filters`);
      assert.equal(thread.NoNewPrivs, '1', `${thread.Name}: no new privileges`);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.equal(thread[set], NO_CAPABILITY, `${thread.Name}: ${set}`);
      if (process.getuid() === 0) assert.equal(thread.CapBnd, NO_CAPABILITY, `${thread.Name}: CapBnd`);
    }
    // What is not dumpable belongs to root in /proc, and only root looks into it.
    if (process.getuid() === 0) assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /Max core file size +0 +0/);
    else assert.throws(() => readdirSync(`/proc/${pid}/fd`), /EACCES/);
  }
  assert.deepEqual(names.sort(), ['gatehoused', 'gatehoused:core', 'gatehoused:keys']);
  await server.said(/confined to its paths \(Landlock ABI \d+\)|not confined to its paths: this kernel has no Landlock/);
});

test('the processes that are started again have it too', async () => {
  await server.start();
  const [, ...first] = family();
  process.kill(Number(first[1]), 'SIGKILL');
  const again = await eventually(() => {
    assert.equal(server.process.exitCode, null, server.log);
    const [, ...now] = family();
    return now.length === 2 && now.every((pid) => !first.includes(pid) && unlessGone(() => status(pid).Seccomp_filters) === '2') && now;
  }, 30000, 'both are started again');
  for (const pid of again) assert.equal(status(pid).CapEff, NO_CAPABILITY);
});

test('for development it can be off, which is said', async () => {
  server.options = ['--sandbox', 'off'];
  await server.start();
  for (const pid of family()) {
    assert.equal(status(pid).Seccomp_filters, '0');
    assert.equal(status(pid).NoNewPrivs, '1', 'what costs nobody anything stays');
    assert.equal(status(pid).CapEff, NO_CAPABILITY);
  }
  await server.said(/warn +core not confined to its paths: the configuration's sandbox is not "on"/);
});
