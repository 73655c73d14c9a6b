// bench/storm: see there. Live devices publish at a fixed rate and measure from publish to PUBACK, three times: alone,
// while half-open handshakes are kept up and a fleet connects again and again, and alone again. Prints a table and one
// JSON line. Nobody may be dropped and no message lost (--check makes that the exit code); nothing is asserted of time.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Gatehouse } from './brokers.mjs';
import { clientHello, keepHalfOpen, pause } from './half-open.mjs';
import { describe, memory, swarm } from './machine.mjs';

const number = (value) => ({ type: 'string', default: String(value) });
const { values } = parseArgs({ options: {
  'half-open': number(5000), live: number(100), rate: number(500), seconds: number(10), concurrency: number(256), fleet: number(1000),
  check: { type: 'boolean', default: false }, fifo: { type: 'boolean', default: false }, folder: { type: 'string', default: os.tmpdir() },
} });
const size = Object.fromEntries(Object.entries(values).filter(([name]) => !['check', 'fifo', 'folder'].includes(name)).map(([name, value]) => [name, Number(value)]));

// The clock of the live devices is not to wait for the storm's own CPU time. With --fifo server and storm are before
// whatever else this machine does, in this order: live devices, server, storm.
const may = spawnSync('chrt', ['-f', '10', 'true']).status === 0;
const [first, second, third] = [may, may && values.fifo, may && values.fifo].map((yes, at) => (yes ? ['chrt', '-f', String(12 - at)] : []));

function load(side, clients, args, prefix = []) {
  const [program, ...all] = [...prefix, swarm, 'bench', ...args, '--server', side.tls, '--ca', side.ca, '--clients', clients,
    '--pids', side.pids.join(','), '--settle-ms', '100'];
  const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  const report = new Promise((done) => child.once('close', (code) => done({ failed: code !== 0, ...(out.trim() ? JSON.parse(out) : {}) })));
  return { child, report };
}

const live = (side, clients) => load(side, clients, ['publish', '--publishers', String(size.live), '--rate', String(size.rate),
  '--window', '60', '--run-ms', String(size.seconds * 1000)], first).report;

const counters = (text) => Object.fromEntries([...text.matchAll(/^gatehouse_(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
async function metrics(side) {
  const answer = await fetchText(side, '/metrics');
  return counters(answer);
}
function fetchText(side, path) {
  const [host, port] = side.plain.split(':');
  return new Promise((done, fail) => {
    const socket = net.connect(Number(port), host, () => socket.end(`GET ${path} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer ${side.token}\r\n\r\n`));
    let text = '';
    socket.on('data', (chunk) => { text += chunk; });
    socket.once('close', () => done(text));
    socket.once('error', fail);
  });
}

const folder = mkdtempSync(join(values.folder, 'gatehouse-storm-'));
const problems = [];
let side;
try {
  side = await Gatehouse.prepare(folder, size.live + size.fleet, second);
  const lines = readFileSync(side.clients, 'utf8').trimEnd().split('\n');
  const [liveClients, fleetClients] = ['live.tsv', 'fleet.tsv'].map((name) => join(folder, name));
  writeFileSync(liveClients, `${lines.slice(0, size.live).join('\n')}\n`);
  writeFileSync(fleetClients, `${lines.slice(size.live).join('\n')}\n`);
  await side.start();

  const before = await live(side, liveClients);
  const memoryBefore = memory(side.pids);
  const half = keepHalfOpen(Number(side.tls.split(':')[1]), size['half-open'], await clientHello());
  await half.begun;
  const at = await metrics(side);
  const storm = load(side, fleetClients, ['connect', '--count', '100000000', '--concurrency', String(size.concurrency)], third);
  await pause(500);
  const running = live(side, liveClients);
  await pause(size.seconds * 500);
  const middle = await metrics(side), memoryDuring = memory(side.pids), halfOpen = half.open();
  const during = await running;
  // A slow machine needs longer for so many; not for ever.
  const accepted = async () => (await metrics(side)).connects_accepted_total - at.connects_accepted_total;
  for (let i = 0; i < 600 && await accepted() <= size.live; i++) await pause(100);
  storm.child.kill('SIGKILL');
  await storm.report;
  const then = await metrics(side);
  half.stop();
  await pause(1500);
  let last = await metrics(side);
  for (let i = 0; i < 300 && last.handshakes_open !== 0; i++) { await pause(100); last = await metrics(side); }
  const memoryAfter = memory(side.pids);
  const after = await live(side, liveClients);

  for (const [name, report] of Object.entries({ before, during, after })) {
    if (report.failed || report.acked !== report.sent || report.sent === 0) problems.push(`${name}: sent ${report.sent}, acknowledged ${report.acked}, failed ${report.failed}`);
  }
  const storms = then.connects_accepted_total - at.connects_accepted_total;
  if (storms < size.live + 1) problems.push(`the fleet connected ${storms} times`);
  if (last.handshakes_open !== 0) problems.push(`${last.handshakes_open} handshakes are left over`);

  console.log(`\n${size.live} live devices, ${size.rate} messages a second; ${size['half-open']} half-open handshakes, ${
    size.concurrency} devices at a time that connect again and again`);
  for (const [name, { puback_us: us, sent }] of Object.entries({ before, during, after }))
    console.log(`${name.padEnd(8)} sent ${String(sent).padStart(7)}   PUBACK p50 ${String(us.p50).padStart(7)} us   p99 ${String(us.p99).padStart(7)} us   p99.9 ${String(us.p999).padStart(7)} us`);
  const ratio = (q) => during.puback_us[q] / before.puback_us[q];
  console.log(`ratio    p50 ${ratio('p50').toFixed(2)}   p99 ${ratio('p99').toFixed(2)}   p99.9 ${ratio('p999').toFixed(2)}`);
  console.log(`${storms} connects of the fleet; ${halfOpen} half-open at half-time, ${middle.handshakes_open} under way, ${
    then.handshakes_evicted_total} evicted, accepting held ${then.accepts_held_total} times`);
  console.log(`RSS MiB before ${(memoryBefore.rss / 2 ** 20).toFixed(1)}, during ${(memoryDuring.rss / 2 ** 20).toFixed(1)}, after ${(memoryAfter.rss / 2 ** 20).toFixed(1)}`);
  console.log(JSON.stringify({ figure: 'storm', ...size, machine: describe(folder), before, during, after, ratio: { p50: ratio('p50'), p99: ratio('p99'), p999: ratio('p999') },
    storms, halfOpen, under_way: middle.handshakes_open, evicted: then.handshakes_evicted_total, held: then.accepts_held_total,
    memory: { before: memoryBefore, during: memoryDuring, after: memoryAfter } }));
} finally {
  if (side?.child) await side.stop();
  rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) console.error(`bench/storm: ${problem}`);
process.exit(values.check && problems.length > 0 ? 1 : 0);
