// bench/compare: see there. Each round runs every work on every broker once; the table shows, for each work, the median
// over the rounds of the broker's CPU time for one delivery (works of connections.mjs: of their own number), then the
// best round, and both as ratios to Gatehouse's. Nobody but Gatehouse authenticates or asks a policy; the rivals check
// the chain of a client certificate.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FlashMQ, Mosquitto, NanoMQ } from './brokers.mjs';
import { connectionsOf, connectionWorks } from './connections.mjs';
import { describe, openFilesMax, placed, placement, swarm } from './machine.mjs';
import { NativeGatehouse } from './native.mjs';
import { survivalWorks, survive } from './survival.mjs';

const text = { type: 'string' }, flag = { type: 'boolean', default: false };
const { values: options, positionals } = parseArgs({ allowPositionals: true, options: {
  rounds: { ...text, default: '3' }, 'run-ms': { ...text, default: '1500' }, folder: { ...text, default: os.tmpdir() }, json: text,
  fifo: flag, quick: flag, profile: text, loops: text, mosquitto: text, 'mosquitto-sqlite': text, flashmq: text, nanomq: text,
} });

const small = options.quick ? { publishers: '--publishers', subscribers: '--subscribers' } : null;
const shrink = (args, publishers, subscribers) => (small ? [...args, small.publishers, publishers, small.subscribers, subscribers] : args);
const pairs = (...more) => shrink(['pairs', ...more], '5', '5');
const fleet = (...more) => shrink(['fleet', '--qos', '1', ...more], '30', '1');
const works = {
  pairs0: { what: '50 pairs, QoS 0', load: pairs('--qos', '0') },
  pairs1: { what: '50 pairs, QoS 1', load: pairs('--qos', '1') },
  'pairs1-durable': { what: '50 pairs, QoS 1, stored sessions', load: pairs('--qos', '1', '--stored', '1') },
  'pairs1-tls': { what: '50 pairs, QoS 1, TLS 1.3', load: pairs('--qos', '1'), transport: 'tls' },
  fleet: { what: '1,000 publishers, one in flight, to 1, QoS 1', load: fleet() },
  'fleet-durable': { what: 'the same to a stored session', load: fleet('--stored', '1') },
  in0: { what: '200 to 1, QoS 0', load: shrink(['fan-in', '--qos', '0'], '10', '1') },
  in1: { what: '200 to 1, QoS 1', load: shrink(['fan-in', '--qos', '1'], '10', '1') },
  out0: { what: '1 to 200, QoS 0', load: shrink(['fan-out', '--qos', '0'], '1', '10') },
  out1: { what: '1 to 200, QoS 1', load: shrink(['fan-out', '--qos', '1'], '1', '10') },
  latency: { what: '20,000 messages a second, 50 pairs, QoS 1', load: pairs('--qos', '1', '--rate', options.quick ? '500' : '20000', '--window', '500') },
  'latency-durable': { what: 'the same to stored sessions', load: pairs('--qos', '1', '--stored', '1', '--rate', options.quick ? '500' : '20000', '--window', '500') },
  ...survivalWorks(options.quick),
  ...connectionWorks(options.quick),
};
const chosen = positionals.length > 0 ? positionals : Object.keys(works);
const problems = chosen.filter((name) => !works[name]).map((name) => `there is no work ${name}`);
const clientsMax = Math.max(1001, ...chosen.filter((name) => works[name]?.unit && !works[name].collect).map((name) => connectionsOf(works[name])));
if (clientsMax + 200 > openFilesMax()) problems.push(`${clientsMax} connections need more open files than the ${openFilesMax()} that this machine allows: raise ulimit -H -n`);
const certificates = chosen.some((name) => works[name]?.transport === 'mutual');
// With --loops the server and the load share all cores.
const places = placement({ pin: !options.quick && !options.loops && os.cpus().length > 1, fifo: options.fifo });

// Samples what Gatehouse's processes do, until it is interrupted: for `perf report -i`.
const profile = (side, name) => spawn(...placed(options.fifo ? ['chrt', '-f', '20'] : [], 'perf', ['record', '-e', 'cpu-clock', '-q', '-F', '1999', '-g', '-p', side.pids.join(','), '-o', join(options.profile, `${name}.data`)]),
  { stdio: ['ignore', 'ignore', 'inherit'] });

function run(side, name, load = works[name].load) {
  const { transport = 'plain' } = works[name];
  const mutual = transport === 'mutual';
  const [program, args] = placed(places.load, swarm, ['bench', load[0], '--settle-ms', '150', ...load.slice(1), ...(mutual ? side.mutualIdentity : side.identity),
    '--server', side[transport], ...(transport !== 'plain' ? ['--ca', side.ca] : []), ...(mutual ? ['--identities', side.identities] : []),
    '--pids', side.pids.join(','), '--run-ms', options.quick ? '200' : options['run-ms']]);
  const profiler = options.profile && side instanceof NativeGatehouse ? profile(side, name) : null;
  return new Promise((done) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk) => { out += chunk; });
    child.once('close', (code) => { profiler?.kill('SIGINT'); done({ failed: code !== 0, ...(out.trim() ? JSON.parse(out) : {}) }); });
  });
}

async function makeSides(folder) {
  const gatehouse = await NativeGatehouse.prepare(folder, clientsMax, places.server, { certificates });
  if (options.loops) return [gatehouse.withLoops(Number(options.loops)), gatehouse];
  const others = [new Mosquitto({ program: options.mosquitto, sqlite: options['mosquitto-sqlite'] })];
  if (options.flashmq) others.push(new FlashMQ({ program: options.flashmq }));
  if (options.nanomq) others.push(new NanoMQ({ program: options.nanomq }));
  const sides = [gatehouse];
  for (const side of others.filter(({ program }) => program)) {
    side.prepare(folder, clientsMax, places.server, gatehouse.prepared, gatehouse.deviceCa);
    const identity = ['--id', 'dev{n}', '--topic', 'load/dev{n}'];
    sides.push(Object.assign(side, { identity, mutualIdentity: identity, identities: gatehouse.identities }));
  }
  return sides;
}

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

function noteConnections(name, side, report, round, reports) {
  const { value, unit, also } = works[name];
  if (report.failed || report.refused !== 0) problems.push(`${name} ${side.name}: ${report.lost === undefined ? `refused ${report.refused}` : `lost ${report.lost}, doubled ${report.duplicates}`}`);
  if (report.failed) return;
  ((reports[name] ??= {})[side.name] ??= []).push(report);
  process.stderr.write(`round ${round + 1} ${name.padEnd(18)} ${side.name.padEnd(10)} ${value(report).toFixed(2)} ${unit} ${also?.(report) ?? ''}\n`);
}

async function once(side, name) {
  await side.start();
  const report = await run(side, name);
  await side.stop();
  return report;
}

async function measure(sides) {
  const reports = {}; // work -> side -> list
  for (let round = 0; round < Number(options.rounds); round++)
    for (const name of chosen)
      for (const side of sides) {
        const report = await (works[name].collect ? survive(side, works[name], (load) => run(side, name, load)) : once(side, name));
        if (works[name].unit) {
          noteConnections(name, side, report, round, reports);
          continue;
        }
        if (report.failed || report.lost !== 0 || report.duplicates !== 0 || report.disordered !== 0)
          problems.push(`${name} ${side.name}: ${report.failed ? 'failed, ' : ''}lost ${report.lost}, doubled ${report.duplicates}, out of order ${report.disordered}`);
        if (report.sent) ((reports[name] ??= {})[side.name] ??= []).push(report);
        process.stderr.write(`round ${round + 1} ${name.padEnd(16)} ${side.name.padEnd(10)} ${report.server_cpu_us_per_delivery} us, ${report.received_per_s}/s\n`);
      }
  return reports;
}

function summary(name, list) {
  const { unit, value, also } = works[name];
  if (unit) return { unit, median: median(list.map(value)), best: Math.min(...list.map(value)), also: also?.(list[0]) };
  const of = (value) => median(list.map(value));
  return {
    cpu_us: of((r) => r.server_cpu_us_per_delivery), cpu_us_best: Math.min(...list.map((r) => r.server_cpu_us_per_delivery)),
    per_s: of((r) => r.received_per_s), puback_p50_us: of((r) => r.puback_us?.p50 ?? 0), puback_p99_us: of((r) => r.puback_us?.p99 ?? 0),
    delivery_p50_us: of((r) => r.delivery_us.p50), delivery_p99_us: of((r) => r.delivery_us.p99), rss_mib: of((r) => r.memory.rss_bytes / 2 ** 20),
  };
}

// A paced work is about waiting, the others about CPU time; those of connections say themselves.
function cells(name, own, other) {
  const digits = other.unit === 'MiB' ? 1 : 0;
  const figures = other.unit
    ? [`${other.median.toFixed(digits)} / ${other.best.toFixed(digits)}${other.also ? `, ${other.also}` : ''}`, own && [own.median / other.median, own.best / other.best]]
    : name.startsWith('latency')
    ? [`${other.delivery_p50_us.toFixed(0)} / ${other.delivery_p99_us.toFixed(0)}`, own && [own.delivery_p50_us / other.delivery_p50_us, own.delivery_p99_us / other.delivery_p99_us]]
    : options.loops
    ? [`${other.cpu_us.toFixed(2)} us, ${Math.round(other.per_s / 1000)}k/s`, own && [own.cpu_us / other.cpu_us, own.per_s / other.per_s]]
    : [`${other.cpu_us.toFixed(2)} / ${other.cpu_us_best.toFixed(2)}`, own && [own.cpu_us / other.cpu_us, own.cpu_us_best / other.cpu_us_best]];
  return figures[1] ? `${figures[0]} (${figures[1].map((ratio) => ratio.toFixed(2)).join(' / ')})` : figures[0];
}

function table(sides, all) {
  const rows = [['work', ...sides.map(({ name, version }) => `${name} ${version}`)], ['---', ...sides.map(() => '---')]];
  for (const [name, bySide] of Object.entries(all))
    rows.push([`${name}: ${works[name].what}`, ...sides.map((side) => (!bySide[side.name] ? '' : cells(name, side === sides[0] ? null : bySide[sides[0].name], bySide[side.name])))]);
  return rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const folder = mkdtempSync(join(options.folder, 'gatehouse-compare-'));
try {
  const machine = describe(folder), sides = await makeSides(folder), reports = await measure(sides);
  const all = Object.fromEntries(Object.entries(reports).map(([name, bySide]) => [name,
    Object.fromEntries(Object.entries(bySide).map(([side, list]) => [side, summary(name, list)]))]));
  console.log(`CPU microseconds for a delivery, median / best of ${options.rounds} rounds (in brackets: Gatehouse's divided by it);`);
  console.log('latency: delivery p50 / p99 in microseconds, medians; connections: as the row says.\n');
  console.log(table(sides, all));
  const result = { machine, date: new Date().toISOString(), rounds: Number(options.rounds), fifo: options.fifo,
    versions: Object.fromEntries(sides.map(({ name, version }) => [name, version])), works: all };
  if (options.json) writeFileSync(options.json, `${JSON.stringify(result, null, 1)}\n`);
  else console.log(`\n${JSON.stringify(result)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) console.error(`bench/compare: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
