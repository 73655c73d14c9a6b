// The attack: nothing is said, but how long the refusal takes tells how much of a guess was right. After dudect: two classes of guesses
// in an order that chance gives, Welch's t of their times; above 4.5 they can be told apart. What an interrupt has lengthened (the
// slowest tenth) is cut off. Noise lifts |t| in one round and not in another, a difference lifts it in all: the smallest of three counts.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { bin, Server } from '../lib/server.mjs';
import { patience } from '../lib/sanitizer.mjs';

const T_MAX = 4.5, ROUNDS = 3, run = promisify(execFile);

const mean = (times) => times.reduce((sum, time) => sum + time, 0) / times.length;
const spread = (times) => times.reduce((sum, time) => sum + (time - mean(times)) ** 2, 0) / (times.length - 1) / times.length;
// |t| of [{ which, time }] without the slowest tenth.
function tOf(samples) {
  const cut = samples.map(({ time }) => time).sort((a, b) => a - b)[Math.floor(samples.length * 0.9)];
  const [a, b] = [0, 1].map((which) => samples.filter((sample) => sample.which === which && sample.time <= cut).map(({ time }) => time));
  return Math.abs(mean(a) - mean(b)) / Math.sqrt(spread(a) + spread(b));
}

// Each class `count` times, shuffled.
function shuffled(count) {
  const order = Array.from({ length: 2 * count }, (_, i) => i % 2);
  for (let i = order.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

// The smallest |t| of the rounds; `guess(which, n)` makes the n-th guess of a class and resolves to the milliseconds that its refusal took.
async function least(what, count, guess) {
  let t = Infinity;
  for (let round = 0; round < ROUNDS && !(t < T_MAX); round++) {
    const samples = [], made = [0, 0];
    for (const which of shuffled(count)) samples.push({ which, time: await guess(which, made[which]++) });
    t = Math.min(t, tOf(samples));
  }
  console.log(`${what}: |t| ${t.toFixed(2)} of ${2 * count} guesses`);
  return t;
}

let server, agent;
before(async () => {
  server = await (await Server.create()).start();
  agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: server.ca });
});
after(async () => { agent?.destroy(); await server?.close(); });

// How long the answer to a call took.
async function timed(expected, method, path, options) {
  const from = process.hrtime.bigint(), { status } = await server.call(method, path, { agent, ...options });
  const took = Number(process.hrtime.bigint() - from) / 1e6;
  assert.ok(expected.includes(status), `${method} ${path}: ${status}`);
  return { took, status };
}

test('the measure tells what differs, and nothing else', () => {
  const times = (which, shift) => Array.from({ length: 1000 }, (_, i) => ({ which, time: 10 + (i * 7919) % 1000 / 1000 + shift }));
  assert.ok(tOf([...times(0, 0), ...times(1, 0)]) < T_MAX);
  assert.ok(tOf([...times(0, 0), ...times(1, 1)]) > T_MAX);
});

test('the comparisons of the server, from within: tokens, tags, devices\' and operators\' passwords', async () => {
  const { stdout } = await run(join(bin, 'bench-timing'), ['100000', String(ROUNDS)], { timeout: 300000 * patience }).catch((error) => error);
  console.log(stdout);
  const rows = stdout.trim().split('\n');
  assert.ok(rows.length >= 7, 'all were measured');
  const told = rows.filter((row) => / can be told apart$/.test(row));
  assert.ok(told.length === 1 && told[0].startsWith('(one that leaks'), `only the one that leaks, to show that it is found:\n${told.join('\n')}`);
});

// Beside it the same of a secret that was right but for its end: what is looked up by a prefix, or compared byte by byte, would show.
for (const [what, headers, begin] of [
  ['a bearer token', (secret) => ({ authorization: `Bearer ${secret}` }), async () => server.token()],
  ['a session', (secret) => ({ cookie: `__Host-gatehouse=${secret}` }), async () => {
    const { headers: answered, status } = await server.call('POST', '/api/v1/session', { body: { name: server.operator, password: server.password } });
    assert.equal(status, 200);
    return /__Host-gatehouse=([^;]+)/.exec(answered['set-cookie'].join('\n'))[1];
  }],
])
  test(`${what} that is nearly right, and one that is not`, async () => {
    const right = await begin(), size = right.length, prefix = /^[a-z]*_/.exec(right)?.[0] ?? '';
    const near = right.slice(0, -2) + (right.endsWith('AA') ? 'BB' : 'AA');
    const guesses = [() => near, () => prefix + randomBytes(size).toString('base64url').slice(0, size - prefix.length)];
    await timed([200], 'GET', '/api/v1/session', { headers: headers(right) });
    const t = await least(what, 1000, async (which) => (await timed([401], 'GET', '/api/v1/session', { headers: headers(guesses[which]()) })).took);
    assert.ok(t < T_MAX, `|t| ${t}`);
  });

// Each guess at another account and from another address, as the second one at either would have to wait; all of loopback is ours.
test('signing in with a name that is there, and with one that is not', async () => {
  const ACCOUNTS = 16, names = [[], []];
  for (let i = 0; i < ACCOUNTS; i++) {
    names[0].push(`there-${String(i).padStart(2, '0')}`);
    names[1].push(`never-${String(i).padStart(2, '0')}`);
    await server.cli('operator', 'create', names[0][i], '--role', 'viewer');
  }
  const guess = async (which, n) => {
    const from = new https.Agent({ keepAlive: true, localAddress: `127.0.${3 + which}.${1 + n}` });
    try {
      await timed([200], 'GET', '/healthz', { agent: from }); // the handshake is not measured
      const end = Date.now() + 60000 * patience;
      for (;;) {
        const { took, status } = await timed([401, 429, 503], 'POST', '/api/v1/session', { agent: from, body: { name: names[which][n], password: 'a wrong password of theirs' } });
        if (status === 401) return took;
        assert.ok(Date.now() < end, 'its turn comes');
        await new Promise((next) => { setTimeout(next, 200); });
      }
    } finally { from.destroy(); }
  };
  const t = await least('a name', ACCOUNTS, guess);
  assert.ok(t < T_MAX, `|t| ${t}`);
});
