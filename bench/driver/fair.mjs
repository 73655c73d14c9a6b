// bench/fair: see there. Pairs of live devices publish at a fixed rate and measure from publish to PUBACK and to delivery,
// in turns: alone, then while somebody makes trouble. Prints a table, and a JSON line for each trouble. Nobody may be
// dropped and no message of theirs lost (--check makes that the exit code); nothing is asserted of time.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { deviceKey, deviceToken, Server } from '../../tests/lib/server.mjs';
import { Peer } from '../../tests/mqtt/lib/peer.mjs';
import { Gatehouse } from './brokers.mjs';
import { clientHello, keepHalfOpen, pause } from './half-open.mjs';
import { describe, memory, swarm } from './machine.mjs';

const number = (value) => ({ type: 'string', default: String(value) }), flag = { type: 'boolean', default: false };
const { values, positionals: [chosen = 'all'] } = parseArgs({ allowPositionals: true, options: {
  pairs: number(20), rate: number(500), seconds: number(10), rounds: number(3),
  flood: number(4000), subscribers: number(10000), fans: number(1), 'half-open': number(5000), concurrency: number(256), fleet: number(1000),
  stored: flag, check: flag, fifo: flag, folder: { type: 'string', default: os.tmpdir() },
} });
const flags = ['stored', 'check', 'fifo', 'folder'];
const size = Object.fromEntries(Object.entries(values).filter(([name]) => !flags.includes(name)).map(([name, value]) => [name, Number(value)]));
const tenant = 'bench', registry = 'fleet', FLOODERS = 4;

// The clock of the live devices is not to wait for the trouble's own CPU time. With --fifo server and trouble are before
// whatever else this machine does, in this order: live devices, server, trouble.
const may = spawnSync('chrt', ['-f', '10', 'true']).status === 0;
const [first, second, third] = [may, may && values.fifo, may && values.fifo].map((yes, at) => (yes ? ['chrt', '-f', String([12, 11, 9][at])] : []));

const problems = [];
const folder = mkdtempSync(join(values.folder, 'gatehouse-fair-'));
const file = (name) => join(folder, name);

function load(side, clients, args, prefix = []) {
  const [program, ...all] = [...prefix, swarm, 'bench', ...args, '--server', side.tls, '--ca', side.ca, '--clients', file(clients),
    '--pids', side.pids.join(','), '--settle-ms', '100'];
  const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  const report = new Promise((done) => child.once('close', (code) => done({ failed: code !== 0, ...(out.trim() ? JSON.parse(out) : {}) })));
  return { child, report };
}

async function live(side) {
  const report = await load(side, 'live.tsv', ['publish', '--publishers', String(size.pairs), '--subscribers', String(size.pairs),
    '--rate', String(size.rate), '--window', '60', '--run-ms', String(size.seconds * 1000), ...(values.stored ? ['--stored', '1'] : [])], first).report;
  if (report.failed || report.lost !== 0 || report.duplicates !== 0 || report.sent === 0)
    problems.push(`live devices: sent ${report.sent}, lost ${report.lost}, doubled ${report.duplicates}, failed ${report.failed}`);
  return report;
}

async function metrics(side) {
  const [host, port] = side.plain.split(':');
  const text = await new Promise((done, fail) => {
    const socket = net.connect(Number(port), host, () => socket.end(`GET /metrics HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer ${side.token}\r\n\r\n`));
    let got = '';
    socket.on('data', (chunk) => { got += chunk; });
    socket.once('close', () => done(got));
    socket.once('error', fail);
  });
  return Object.fromEntries([...text.matchAll(/^gatehouse_(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
}

// Devices of the native dialect that may do everything, each with a key of its own, and a clients' file for each part.
async function prepare() {
  const parts = { 'live.tsv': [2 * size.pairs, (i) => `live/${i}`], 'flood.tsv': [FLOODERS, (i) => `flood/${i}`],
    'fan.tsv': [1 + size.subscribers, () => 'fan'], 'fleet.tsv': [size.fleet, (i) => `fleet/${i}`], 'slow.tsv': [4, () => 'flood'] };
  const side = new Gatehouse();
  Object.assign(side, { folder, prefix: second, base: file('base'), slow: [] });
  mkdirSync(side.base);
  const server = await (await Server.create({ folder: side.base })).start();
  const lines = [];
  for (const [name, [count, topic]] of Object.entries(parts)) {
    const rows = Array.from({ length: count }, (_, i) => {
      const key = deviceKey(), id = `${name.split('.')[0]}-${i}`, user = `${tenant}/${registry}/${id}`;
      lines.push(JSON.stringify({ tenant, registry, id, public_key: key.pem }));
      const row = [id, deviceToken(key, tenant, { sub: id, exp: Math.floor(Date.now() / 1000) + 20 * 3600 }), topic(i), user];
      if (name === 'slow.tsv') side.slow.push(row);
      return `${row.join('\t')}\n`;
    });
    writeFileSync(file(name), rows.join(''));
  }
  writeFileSync(file('devices.jsonl'), `${lines.join('\n')}\n`);
  writeFileSync(file('all.json'), JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }));
  await server.cli('tenant', 'create', tenant);
  await server.cli('registry', 'create', `${tenant}/${registry}`);
  await server.cli('device', 'import', file('devices.jsonl'));
  await server.cli('policy', 'put', `${tenant}/all`, file('all.json'));
  await server.cli('policy', 'attach', `${tenant}/all`, `${tenant}/${registry}`);
  side.token = await server.token('administrator', '--ttl', '30d');
  await server.stop();
  side.prepared = server.data;
  return side;
}

// The troubles: each begins, and gives what ends it and tells of it.
const troubles = {
  // Four subscribers that read nothing (QoS 0 and 1, stored or not) to what four publishers send.
  async slow(side) {
    const [host, port] = side.plain.split(':');
    const subscribers = await Promise.all(side.slow.map(async ([clientId, password, , username], i) => {
      const peer = new Peer(net.connect(Number(port), host), 5);
      peer.send({ type: 'connect', clientId, username, password, clean: true, keepAlive: 0, props: { sessionExpiry: i < 2 ? 0 : 300 } });
      await peer.expect('connack');
      await peer.subscribe({ filter: 'flood/#', qos: i % 2 });
      peer.transport.pause();
      return peer;
    }));
    const flood = load(side, 'flood.tsv', ['publish', '--publishers', String(FLOODERS), '--rate', String(size.flood), '--run-ms', '100000000'], third);
    return async () => {
      flood.child.kill('SIGKILL');
      await flood.report;
      subscribers.forEach((peer) => peer.drop());
      const { messages_dropped_total: dropped } = await metrics(side);
      return { what: `${size.flood} messages a second to 4 subscribers that read nothing`, dropped };
    };
  },

  // A client with as many subscriptions as it may have, which asks for more and for the same ones again, without end.
  async filters(side) {
    const [host, port] = side.plain.split(':'), [clientId, password, , username] = side.slow[0];
    const peer = new Peer(net.connect(Number(port), host), 5);
    peer.send({ type: 'connect', clientId, username, password, clean: true, keepAlive: 0 });
    await peer.expect('connack');
    let over = false, asked = 0;
    const ask = () => peer.subscribe(Array.from({ length: 1000 }, () => ({ filter: `filters/${asked++ % 11000}/+`, qos: 0, retainHandling: 2 })));
    for (let i = 0; i < 10; i++) await ask();
    const asking = (async () => { while (!over) await ask(); })();
    return async () => {
      over = true;
      await asking;
      peer.drop();
      return { what: 'a client with 10,000 filters that asks for a thousand more, and for those it has, without end', asked };
    };
  },

  // One publisher and a crowd of subscribers.
  async 'fan-out'(side) {
    const before = await metrics(side);
    const fans = load(side, 'fan.tsv', ['publish', '--publishers', '1', '--subscribers', String(size.subscribers), '--filter', 'fan', '--fan-out', '1',
      '--lag-max', '1000000000', '--rate', String(size.fans), '--run-ms', String(1000 * size.seconds + 2000)], third);
    for (;;) {
      const now = await metrics(side);
      if (now.messages_sent_total - before.messages_sent_total >= 1) break;
      if (fans.child.exitCode !== null) throw new Error('the crowd did not connect');
      await pause(50);
    }
    return async () => {
      const { sent, received, lost, failed, delivery_us } = await fans.report;
      if (failed || lost !== 0) problems.push(`fan-out: sent ${sent}, received ${received}, failed ${failed}`);
      return { what: `${size.fans} messages a second to ${size.subscribers} subscribers each`, sent, received, delivery_us };
    };
  },

  // Half-open handshakes, and a fleet that connects again and again.
  async storm(side) {
    const half = keepHalfOpen(Number(side.tls.split(':')[1]), size['half-open'], await clientHello());
    await half.begun;
    const at = await metrics(side);
    const storm = load(side, 'fleet.tsv', ['connect', '--count', '100000000', '--concurrency', String(size.concurrency)], third);
    await pause(500);
    return async () => {
      storm.child.kill('SIGKILL');
      await storm.report;
      const then = await metrics(side);
      half.stop();
      await pause(1500);
      const connects = then.connects_accepted_total - at.connects_accepted_total;
      return { what: `${size['half-open']} half-open handshakes, ${size.concurrency} devices at a time that connect again and again`, connects };
    };
  },
};

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const figures = [['PUBACK', 'puback_us'], ['delivery', 'delivery_us']];

function show(name, what, alone, during, more) {
  const ratio = {};
  console.log(`\n${name}: ${what}`);
  for (const [title, key] of figures) {
    const of = (reports, q) => median(reports.map((report) => report[key]?.[q] ?? NaN));
    const line = (label, reports) => console.log(`${title.padEnd(9)}${label.padEnd(8)} p50 ${String(of(reports, 'p50')).padStart(7)} us   p99 ${
      String(of(reports, 'p99')).padStart(7)} us   p99.9 ${String(of(reports, 'p999')).padStart(7)} us`);
    line('alone', alone);
    line('during', during);
    ratio[key] = Object.fromEntries(['p50', 'p99', 'p999'].map((q) => [q, Number((of(during, q) / of(alone, q)).toFixed(2))]));
    console.log(`${title.padEnd(9)}${'ratio'.padEnd(8)} p50 ${ratio[key].p50.toFixed(2).padStart(7)}      p99 ${ratio[key].p99.toFixed(2).padStart(7)}`);
  }
  console.log(JSON.stringify({ figure: 'fair', trouble: name, what, ...size, stored: values.stored, fifo: values.fifo, machine: describe(folder), ratio, rounds: more, alone, during }));
}

try {
  if (chosen !== 'all' && !troubles[chosen]) { console.error(`bench/fair: no trouble is called ${chosen}`); process.exit(2); }
  const side = await prepare();
  for (const [name, begin] of Object.entries(troubles).filter(([each]) => chosen === 'all' || chosen === each)) {
    const alone = [], during = [], more = [];
    for (let round = 0; round < size.rounds; round++) {
      await side.start();
      try {
        alone.push(await live(side));
        const end = await begin(side);
        during.push(await live(side));
        const memoryDuring = memory(side.pids);
        more.push({ ...await end(), rss_mib: Math.round(memoryDuring.rss / 2 ** 20) });
      } finally { await side.stop(); }
    }
    show(name, more[0].what, alone, during, more);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) console.error(`bench/fair: ${problem}`);
process.exit(values.check && problems.length > 0 ? 1 : 0);
