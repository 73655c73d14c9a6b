// bench/connects: see there. Each round runs every sign-in once, Gatehouse's and mosquitto's in turn; the table has medians.
// Gatehouse looks the device up, verifies, and asks a policy at every connect; mosquitto does no more than the handshake.
import { spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { deviceKey, deviceToken, Server } from '../../tests/lib/server.mjs';
import { Gatehouse, Mosquitto } from './brokers.mjs';
import { makeIdentities, trustIdentities } from './certified.mjs';
import { busySeconds, describe, memory, placed, placement, swarm } from './machine.mjs';

const text = { type: 'string' }, flag = { type: 'boolean', default: false };
const { values: options, positionals: [what = 'all'] } = parseArgs({ allowPositionals: true, options: {
  rounds: { ...text, default: '3' }, count: { ...text, default: '3000' }, devices: { ...text, default: '1000' },
  sessions: { ...text, default: '10000' }, folder: { ...text, default: os.tmpdir() }, fifo: flag, check: flag, 'one-core': flag,
} });
const size = Object.fromEntries(['rounds', 'count', 'devices', 'sessions'].map((name) => [name, Number(options[name])]));
const tenant = 'bench', registry = 'fleet';
const places = placement({ pin: os.cpus().length > 1 && !options.check, fifo: options.fifo });
const problems = [];

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const loader = (args, prefix = []) => {
  const [program, all] = placed(prefix, swarm, ['bench', ...args]);
  return spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'] });
};
const reportOf = (child) => new Promise((done) => {
  let out = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  child.once('close', (code) => { const line = out.trim().split('\n').pop(); done({ failed: code !== 0, ...(line ? JSON.parse(line) : {}) }); });
});

// A server with devices whose certificates one CA signed; each of `devices` has besides a key of its own, and a second
// registry has their twins with a symmetric key.
class Side extends Gatehouse {
  static async prepare(folder, count, { others = true } = {}) {
    const side = new Side();
    mkdirSync(folder, { recursive: true });
    const path = (name) => join(folder, name), file = (name, content) => { writeFileSync(path(name), content, { mode: 0o600 }); return path(name); };
    Object.assign(side, { folder, prefix: places.server, base: path('base'), version: Gatehouse.version() });
    mkdirSync(side.base, { recursive: true });
    Object.assign(side, makeIdentities(folder, count));
    const server = await Server.create({ folder: side.base });
    await server.start();
    await server.cli('tenant', 'create', tenant);
    await server.cli('registry', 'create', `${tenant}/${registry}`);
    await server.cli('policy', 'put', `${tenant}/load`, file('policy.json', JSON.stringify({ Version: '2012-10-17', Statement: [
      { Effect: 'Allow', Action: 'connect', Resource: 'client/${device}' },
      { Effect: 'Allow', Action: ['publish', 'subscribe', 'receive'], Resource: '*' }] })));
    await server.cli('policy', 'attach', `${tenant}/load`, tenant);
    side.caId = await trustIdentities(server, `${tenant}/${registry}`, folder, side);
    const each = (make) => Array.from({ length: count }, (_, i) => make(i));
    const name = (i) => `${tenant}/${registry}/dev${i}`, line = (id, credential) => `${JSON.stringify({ tenant, registry, id, ...credential })}\n`;
    const keys = others ? each(() => deviceKey()) : [], symmetric = others ? each(() => randomBytes(32).toString('base64')) : [];
    await server.cli('device', 'import', file('devices.jsonl', each((i) => line(`dev${i}`, others ? { public_key: keys[i].pem } : {})).join('')));
    if (others) {
      await server.cli('registry', 'create', `${tenant}/sas`);
      await server.cli('device', 'import', file('sas.jsonl', each((i) => line(`dev${i}`, { registry: 'sas', symmetric_key: symmetric[i] })).join('')));
    }
    const until = Math.floor(Date.now() / 1000) + 10 * 3600;
    const sas = (i) => {
      const sr = encodeURIComponent(`${tenant}/sas/dev${i}`);
      const sig = createHmac('sha256', Buffer.from(symmetric[i], 'base64')).update(`${sr}\n${until}`).digest('base64');
      return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${until}`;
    };
    const clients = (of, password, user = name) => file(`${of}.tsv`, each((i) => `dev${i}\t${password(i)}\tload/${i}\t${user(i)}\n`).join(''));
    side.mtls = clients('mtls', () => '');
    if (others) {
      side.jwt = clients('jwt', (i) => deviceToken(keys[i], tenant, { sub: `dev${i}`, exp: until }));
      side.sas = clients('sas', sas, (i) => `${tenant}/sas/dev${i}`);
    }
    side.token = await server.token('administrator', '--ttl', '1d');
    await server.stop();
    side.prepared = server.data;
    return side;
  }
}

async function connects(folder) {
  const side = await Side.prepare(join(folder, 'fleet'), size.devices);
  const lines = [
    ['gatehouse', 'JWT, ES256', side, ['--clients', side.jwt]],
    ['gatehouse', 'mutual TLS, by CA', side, ['--clients', side.mtls, '--identities', side.identities]],
    ['gatehouse', 'SAS', side, ['--clients', side.sas]],
  ];
  if (Mosquitto.program() !== null) {
    const rival = new Mosquitto().prepare(side.folder, size.devices, places.server, side.prepared, side.deviceCa);
    lines.push(['mosquitto', 'TLS, nobody asked', rival, ['--clients', rival.clients]],
      ['mosquitto', 'mutual TLS', rival, ['--clients', rival.clients, '--identities', side.identities], 'mutual']);
  }
  const rows = lines.map(([broker, signIn, of, args, transport = 'tls']) => ({ broker, sign_in: signIn, of, args, transport, reports: [] }));
  for (let round = 0; round < size.rounds; round++)
    for (const row of rows) {
      await row.of.start();
      try {
        const busyBefore = busySeconds(), from = Date.now();
        const report = await reportOf(loader(['connect', '--count', String(size.count), '--concurrency', '32', '--server', row.of[row.transport], '--ca', row.of.ca,
          '--pids', row.of.pids.join(','), '--settle-ms', '500', ...row.args], places.load));
        if (report.failed || report.refused !== 0) problems.push(`${row.broker} ${row.sign_in}: refused ${report.refused}`);
        report.others = Math.max(0, (busySeconds() - busyBefore - report.server_cpu_s - report.load_cpu_s) / ((Date.now() - from) / 1000));
        row.reports.push(report);
      } finally { await row.of.stop(); }
    }
  const plain = rows.find(({ sign_in: signIn }) => signIn.startsWith('TLS')), each = (row) => median(row.reports.map((r) => r.server_cpu_s * 1e6 / r.connected));
  console.log(`\nconnects: ${size.count} times TCP, TLS 1.3 handshake, CONNECT, DISCONNECT, 32 at a time, ${size.devices} devices, median of ${size.rounds}`);
  console.log(`${'broker'.padEnd(10)} ${'sign-in'.padEnd(20)} ${'per CPU s'.padStart(10)} ${'CPU us each'.padStart(12)} ${'p50 ms'.padStart(8)} ${'p99 ms'.padStart(8)} ${': TLS'.padStart(6)}`);
  for (const row of rows) {
    const figures = { connects_per_cpu_s: Math.round(median(row.reports.map((r) => r.connects_per_server_cpu_s))), cpu_us: Math.round(each(row)),
      p50_ms: median(row.reports.map((r) => r.connack_us.p50)) / 1000, p99_ms: median(row.reports.map((r) => r.connack_us.p99)) / 1000 };
    row.figures = figures;
    console.log(`${row.broker.padEnd(10)} ${row.sign_in.padEnd(20)} ${String(figures.connects_per_cpu_s).padStart(10)} ${String(figures.cpu_us).padStart(12)} ${
      figures.p50_ms.toFixed(1).padStart(8)} ${figures.p99_ms.toFixed(1).padStart(8)} ${(plain ? each(row) / each(plain) : NaN).toFixed(2).padStart(6)}`);
  }
  for (const { broker, sign_in: signIn, figures, reports, of } of rows)
    console.log(JSON.stringify({ figure: 'connects', broker, version: of.version, sign_in: signIn, rounds: reports.length, count: size.count, devices: size.devices,
      ...figures, cores_busy_with_other_work: Number(median(reports.map((r) => r.others)).toFixed(2)) }));
}

// The agent is warm: what is measured is the revocation, not another handshake.
function patch(side, agent, path, body) {
  const [host, port] = side.tls.split(':'), content = JSON.stringify(body);
  return new Promise((done, fail) => {
    const request = https.request({ host, port, path, method: body === undefined ? 'GET' : 'PATCH', agent, ca: readFileSync(side.ca),
      headers: { authorization: `Bearer ${side.token}`, ...(content ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) } : {}) } },
    (response) => { response.resume(); response.on('end', () => done(response.statusCode)); });
    request.on('error', fail);
    request.end(content);
  });
}

async function revoke(folder) {
  const side = await Side.prepare(join(folder, 'revoke'), size.sessions, { others: false });
  // As it is run: on all cores, a loop for each, beside the devices; or on one, which the devices leave alone.
  if (!options['one-core']) Object.assign(side, { prefix: [], loops: os.cpus().length });
  const rounds = [];
  for (let round = 0; round < size.rounds; round++) {
    await side.start();
    try {
      const agent = new https.Agent({ keepAlive: true }), path = `/api/v1/tenants/${tenant}/registries/${registry}/cas/${side.caId}`;
      const load = loader(['hold', '--count', String(size.sessions), '--concurrency', '64', '--server', side.tls, '--ca', side.ca, '--clients', side.mtls,
        '--identities', side.identities, '--pids', side.pids.join(',')], options['one-core'] ? places.load : []);
      const report = reportOf(load);
      await Promise.race([report, new Promise((held) => { load.stdout.on('data', (chunk) => { if (String(chunk).includes('held')) held(); }); })]);
      const held = memory(side.pids);
      await patch(side, agent, path);
      const from = process.hrtime.bigint();
      const status = await patch(side, agent, path, { enabled: false });
      const answered = Number(process.hrtime.bigint() - from) / 1e6;
      const { closed, failed, closed_ns: at } = await report;
      agent.destroy();
      if (failed || status !== 200 || closed !== size.sessions) { problems.push(`revoke: status ${status}, ${closed} of ${size.sessions} closed`); continue; }
      const ms = (key) => Number((Number(BigInt(at[key]) - from) / 1e6).toFixed(1));
      rounds.push({ first_ms: ms('first'), p50_ms: ms('p50'), p99_ms: ms('p99'), max_ms: ms('max'), answered_ms: Number(answered.toFixed(1)), rss_mib: Math.round(held.rss / 2 ** 20) });
      console.log(JSON.stringify({ figure: 'revoke', sessions: size.sessions, round: round + 1, ...rounds.at(-1) }));
    } finally { await side.stop(); }
  }
  if (rounds.length === 0) return;
  const mid = (key) => median(rounds.map((r) => r[key])), worst = Math.max(...rounds.map((r) => r.max_ms));
  console.log(`\nrevoke: ${size.sessions} sessions of as many devices, each by its own certificate under one CA; ms from the request that disables the CA to the close as the device sees it`);
  console.log(`${'first'.padStart(8)} ${'p50'.padStart(8)} ${'p99'.padStart(8)} ${'max'.padStart(8)} ${'worst max'.padStart(10)}`);
  console.log(['first_ms', 'p50_ms', 'p99_ms', 'max_ms'].map((key) => mid(key).toFixed(1).padStart(8)).join(' ') + worst.toFixed(1).padStart(11));
  console.log(JSON.stringify({ figure: 'revoke', sessions: size.sessions, rounds: rounds.length, p50_ms: mid('p50_ms'), p99_ms: mid('p99_ms'), max_ms: mid('max_ms'), worst_max_ms: worst }));
}

const figures = { connects, revoke };
if (what !== 'all' && !figures[what]) { console.error(`bench/connects: there is no ${what}`); process.exit(2); }
const folder = mkdtempSync(join(options.folder, 'gatehouse-connects-'));
try {
  console.log(JSON.stringify({ machine: describe(folder), load_average: os.loadavg()[0], fifo: options.fifo, date: new Date().toISOString() }));
  for (const [name, figure] of Object.entries(figures)) if (what === 'all' || what === name) await figure(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) console.error(`bench/connects: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
