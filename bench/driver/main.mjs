// bench/run: see there. Prints a table for each figure, then one JSON line for each side of each line of it.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Gatehouse, Mosquitto } from './brokers.mjs';
import { connect, idle, qos1, startColumns } from './figures.mjs';
import { busySeconds, describe, memory, opensslSpeed, placed, placement, swarm } from './machine.mjs';

const figures = { qos1, idle, connect };
const whole = { rounds: 3, starts: 11, runMs: 4000, settleMs: 1000, rate: 2000, fleet: 1000, idle: 5000, connects: 3000 };
const quick = { rounds: 1, starts: 1, runMs: 300, settleMs: 100, rate: 200, fleet: 60, idle: 60, connects: 60 };

function usage() {
  console.log('usage: bench/run qos1|idle|connect|start|all [--quick] [--check] [--rounds N] [--run-ms N] [--fifo] [--folder DIR]\n\n'
    + '  --quick     small loads, nothing pinned: shows that it works, the numbers mean nothing\n'
    + '  --check     fails when a figure is missing or a message was lost or doubled\n'
    + '  --rounds N  alternating rounds of each measurement (3); the table shows medians\n'
    + '  --run-ms N  length of a measurement of messages (4000)\n'
    + '  --fifo      real-time priority for server and load (root), for a machine that has other work\n'
    + '  --folder D  where the data folders are made; its file system counts (the temporary folder)');
  process.exit(2);
}

function readOptions() {
  const flag = { type: 'boolean', default: false };
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: { quick: flag, check: flag, fifo: flag, rounds: { type: 'string' }, 'run-ms': { type: 'string' }, folder: { type: 'string' } },
    });
  } catch { usage(); }
  const { values, positionals: [figure, ...rest] } = parsed;
  if (rest.length > 0 || ![...Object.keys(figures), 'start', 'all'].includes(figure)) usage();
  const size = { ...(values.quick ? quick : whole) };
  if (values.rounds) size.rounds = Number(values.rounds);
  if (values['run-ms']) size.runMs = Number(values['run-ms']);
  return { ...values, figure, size, pin: !values.quick && os.cpus().length > 1, folder: values.folder ?? os.tmpdir() };
}

const options = readOptions();
const places = placement(options);
const problems = [];

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

// One run of the load generator against a side that is up. Resolves with its report and how many cores did other work.
function runLoad(side, transport, args) {
  const more = ['--server', side[transport], ...(transport === 'tls' ? ['--ca', side.ca] : []), '--clients', side.clients,
    '--pids', side.pids.join(','), ...(args.includes('--settle-ms') ? [] : ['--settle-ms', String(options.size.settleMs)])];
  const [program, all] = placed(places.load, swarm, ['bench', ...args, ...more]);
  const busyBefore = busySeconds(), from = Date.now();
  return new Promise((done, fail) => {
    const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk) => { out += chunk; });
    child.once('close', (code) => {
      if (!out.trim()) { fail(new Error(`the load generator ended with ${code}: ${all.join(' ')}`)); return; }
      const report = JSON.parse(out);
      const others = busySeconds() - busyBefore - report.server_cpu_s - report.load_cpu_s;
      done({ ...report, failed: code !== 0, cores_busy_with_other_work: Math.max(0, others / ((Date.now() - from) / 1000)) });
    });
  });
}

function check(name, report) {
  const lost = report.lost ?? report.refused ?? 0;
  if (report.failed || lost !== 0 || (report.duplicates ?? 0) !== 0)
    problems.push(`${name}: ${report.failed ? 'failed' : ''} lost ${lost} doubled ${report.duplicates ?? 0}`);
}

function printTable(title, columns, rows) {
  const cells = [['', ...columns.map(([name]) => name)],
    ...rows.map(({ side, reports }) => [side, ...columns.map(([, value, digits]) => median(reports.map(value)).toFixed(digits))])];
  const ours = rows.find(({ side }) => side === 'gatehouse');
  for (const { side, reports } of rows.filter((row) => row !== ours))
    cells.push([`gatehouse : ${side}`, ...columns.map(([, value]) =>
      (median(ours.reports.map(value)) / median(reports.map(value))).toFixed(2))]);
  const widths = cells[0].map((_, at) => Math.max(...cells.map((row) => row[at].length)));
  console.log(`\n${title}`);
  for (const row of cells) console.log(row.map((cell, at) => at === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[at])).join('  '));
}

function printJson(figure, line, columns, rows) {
  for (const { side, version, reports } of rows)
    console.log(JSON.stringify({
      figure, ...line, broker: side, version, rounds: reports.length,
      median: Object.fromEntries(columns.map(([name, value]) => [name, Number(median(reports.map(value)).toPrecision(6))])),
      cores_busy_with_other_work: Number(median(reports.map((r) => r.cores_busy_with_other_work ?? 0)).toFixed(2)),
      reports,
    }));
}

function finish(figure, line, columns, rows) {
  const other = median(rows.flatMap(({ reports }) => reports.map((r) => r.cores_busy_with_other_work ?? 0)));
  printTable(`${[figure, line.line, line.transport].filter(Boolean).join(', ')}: ${line.what}${
    other > 0.2 ? `\n(meanwhile ${other.toFixed(1)} cores did other work: look at CPU and ratios, not at rates)` : ''}`, columns, rows);
  printJson(figure, line, columns, rows);
  for (const { side, reports } of rows)
    if (reports.length === 0 || columns.some(([, value]) => reports.some((r) => value(r) === undefined)))
      problems.push(`${figure} ${line.line} ${side}: a figure is missing`);
}

// One line: every side in turn, and that for each round.
async function measure(figure, { line, what, transport, shows, sides }, brokers) {
  const rows = Object.entries(sides).filter(([name]) => brokers[name])
    .map(([name, load]) => ({ side: name, version: brokers[name].version, load, reports: [] }));
  for (let round = 0; round < options.size.rounds; round++)
    for (const row of rows) {
      const side = brokers[row.side];
      await side.start();
      try {
        const report = await runLoad(side, transport, row.load(side));
        check(`${figure} ${line} ${transport} ${row.side}`, report);
        row.reports.push(report);
      } finally {
        await side.stop();
      }
    }
  finish(figure, { line, what, transport }, shows, rows);
}

async function measureStart(brokers) {
  const rows = ['gatehouse', 'mosquitto'].filter((name) => brokers[name])
    .map((name) => ({ side: name, version: brokers[name].version, reports: [] }));
  for (let round = 0; round < options.size.starts; round++)
    for (const row of rows) {
      const side = brokers[row.side];
      await side.start({ empty: true });
      await new Promise((done) => { setTimeout(done, options.size.settleMs); });
      row.reports.push({ start_ms: side.startedMs, ...memory(side.pids), processes: side.pids.length });
      await side.stop();
    }
  finish('start', { line: 'start', what: `${options.size.starts} starts on an empty data folder, then ${options.size.settleMs} ms of idling; `
    + 'memory is the sum over the processes' }, startColumns, rows);
}

// What a TLS 1.3 handshake with an ES256 token cannot do without: one signature, one verification, and X25519 twice (a
// fresh key and the exchange).
function printFloor() {
  const speed = opensslSpeed(places.server);
  const floor = 1e6 / speed.ecdsa_p256_sign_per_s + 1e6 / speed.ecdsa_p256_verify_per_s + 2e6 / speed.x25519_per_s;
  console.log(`\nopenssl speed on the same core: P-256 signs ${speed.ecdsa_p256_sign_per_s.toFixed(0)}/s, verifies ${
    speed.ecdsa_p256_verify_per_s.toFixed(0)}/s, X25519 ${speed.x25519_per_s.toFixed(0)}/s: the arithmetic of a connect with a token is ${
    floor.toFixed(0)} us, ${(1e6 / floor).toFixed(0)} per CPU second`);
  console.log(JSON.stringify({ figure: 'connect', line: 'arithmetic', ...speed, us_per_connect: Number(floor.toFixed(1)) }));
}

async function makeBrokers(folder) {
  const { size } = options;
  const clients = Math.max(size.idle, size.connects, size.fleet, 100); // of whom each line takes as many as it needs
  const gatehouse = await Gatehouse.prepare(folder, clients, places.server);
  const brokers = { gatehouse };
  if (Mosquitto.program() === null) {
    console.log('mosquitto is not installed (apt-get install mosquitto): Gatehouse alone');
    return brokers;
  }
  const plain = new Mosquitto().prepare(folder, clients, places.server, gatehouse.prepared);
  const persistent = new Mosquitto({ persistence: true }).prepare(folder, clients, places.server, gatehouse.prepared);
  return Object.assign(brokers, { mosquitto: plain, 'mosquitto pairs': plain, 'mosquitto persistent': persistent });
}

async function main() {
  const folder = mkdtempSync(join(options.folder, 'gatehouse-bench-'));
  try {
    const machine = describe(folder);
    console.log(JSON.stringify({ machine, pinned: options.pin ? 'server on core 0, load on core 1' : 'no', fifo: options.fifo, date: new Date().toISOString() }));
    const brokers = await makeBrokers(folder);
    for (const [name, figure] of Object.entries(figures)) {
      if (options.figure !== name && options.figure !== 'all') continue;
      if (name === 'connect') printFloor();
      for (const line of figure(options.size)) await measure(name, line, brokers);
    }
    if (options.figure === 'start' || options.figure === 'all') await measureStart(brokers);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  for (const problem of problems) console.error(`bench/run: ${problem}`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

await main();
