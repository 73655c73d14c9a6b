// bench/compare: see there. Each round runs every work on every broker once; the table (table.mjs) shows, for each work,
// the median over the rounds of the broker's CPU time for one delivery (works of connections.mjs: of their own number),
// then the best round, and both as ratios to Gatehouse's. Nobody but Gatehouse authenticates or asks a policy; the rivals
// check the chain of a client certificate. It runs unattended: a broker that does not finish a work in its time is killed,
// and a rival that was has the reason in the table and is not asked for that work again. Messages that a rival loses or
// doubles stand beside its figures; those of Gatehouse fail the run.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { patience } from '../../tests/lib/sanitizer.mjs';
import { abandon, FlashMQ, Mosquitto, NanoMQ } from './brokers.mjs';
import { connectionsOf } from './connections.mjs';
import { describe, openFilesMax, placed, placement, swarm, within } from './machine.mjs';
import { NativeGatehouse } from './native.mjs';
import { survive } from './survival.mjs';
import { summaries, table, writeBetweenMarks } from './table.mjs';
import { allWorks } from './works.mjs';

const text = { type: 'string' }, flag = { type: 'boolean', default: false };
const { values: options, positionals } = parseArgs({ allowPositionals: true, options: {
  rounds: { ...text, default: '3' }, 'run-ms': { ...text, default: '1500' }, folder: { ...text, default: os.tmpdir() }, json: text, write: text, minutes: { ...text, default: 'Infinity' },
  fifo: flag, quick: flag, alone: flag, profile: text, loops: text, mosquitto: { ...text, multiple: true }, 'mosquitto-sqlite': text, flashmq: text, nanomq: text,
} });

const problems = [];
const works = allWorks(options.quick), rounds = Number(options.rounds);
const unknown = positionals.filter((name) => !works[name]);
if (unknown.length > 0) throw new Error(`there is no work ${unknown.join(', ')}; there are ${Object.keys(works).join(' ')}`);
const chosen = (positionals.length > 0 ? positionals : Object.keys(works)).map((name) => works[name]);
const clientsMax = Math.max(1001, ...chosen.filter((work) => work.unit && !work.collect).map(connectionsOf));
if (clientsMax + 200 > openFilesMax()) problems.push(`${clientsMax} connections need more open files than the ${openFilesMax()} that this machine allows: raise ulimit -H -n`);
const showsCertificate = (transport) => transport === 'mutual' || transport === 'registered';
const certificates = chosen.some(({ transport }) => showsCertificate(transport));
// With --loops the server and the load share all cores.
const places = placement({ pin: !options.quick && !options.loops && os.cpus().length > 1, fifo: options.fifo });

// Samples what Gatehouse's processes do, until it is interrupted: for `perf report -i`.
const profile = (side, name) => spawn(...placed(options.fifo ? ['chrt', '-f', '20'] : [], 'perf', ['record', '-e', 'cpu-clock', '-q', '-F', '1999', '-g', '-p', side.pids.join(','), '-o', join(options.profile, `${name}.data`)]),
  { stdio: ['ignore', 'ignore', 'inherit'] });

const runMs = ({ longer = 1 }) => (options.quick ? 200 : Number(options['run-ms']) * longer);

function loadArgs(side, { transport = 'plain', ...work }, [mode, ...load]) {
  const identity = { mutual: side.mutualIdentity, registered: side.registeredIdentity }[transport] ?? side.identity;
  return ['bench', mode, '--settle-ms', '150', ...load, ...identity, '--server', side[transport] ?? side.mutual,
    ...(transport !== 'plain' ? ['--ca', side.ca] : []), ...(showsCertificate(transport) ? ['--identities', side.identities] : []),
    '--pids', side.pids.join(','), '--run-ms', String(runMs(work))];
}

// One run of the load generator against a side that is up: its report, with `why` when there is none.
async function run(side, work, load = work.load) {
  const child = spawn(...placed(places.load, swarm, loadArgs(side, work, load)), { stdio: ['ignore', 'pipe', 'pipe'] });
  const profiler = options.profile && side instanceof NativeGatehouse ? profile(side, work.name) : null;
  let out = '', said = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  child.stderr.on('data', (chunk) => { said += chunk; process.stderr.write(chunk); });
  const seconds = (work.seconds + runMs(work) / 1000) * (options.quick ? patience : 1);
  const closed = new Promise((done) => { child.once('close', done); });
  const code = await within(seconds, closed, () => 'late');
  profiler?.kill('SIGINT');
  if (code === 'late') {
    child.kill('SIGKILL');
    return { failed: true, why: `no end in ${Math.round(seconds)} s` };
  }
  const { exitCode, signalCode } = side.child;
  if (!work.load.includes('--kill') && (exitCode ?? signalCode) !== null) return { failed: true, why: `the broker ended with ${exitCode ?? signalCode}` };
  try { return { failed: code !== 0, ...JSON.parse(out) }; } catch {
    return { failed: true, why: said.trim().split('\n').at(-1).replace(/^[\w -]+: /, '') || `the load ended with ${code}` };
  }
}

function makeRivals() {
  const named = options.mosquitto ?? [Mosquitto.program()].filter(Boolean);
  const others = named.map((program, i) => new Mosquitto({ name: i === 0 ? 'mosquitto' : `mosquitto-${i + 1}`, program, sqlite: options['mosquitto-sqlite'] }));
  if (options.flashmq) others.push(new FlashMQ({ program: options.flashmq }));
  if (options.nanomq) others.push(new NanoMQ({ program: options.nanomq }));
  for (const { program } of others) if (!existsSync(program)) throw new Error(`there is no ${program}`);
  return others;
}

async function makeSides(folder) {
  const gatehouse = await NativeGatehouse.prepare(folder, clientsMax, places.server, { certificates });
  const sides = [gatehouse];
  if (options.loops) sides.unshift(gatehouse.withLoops(Number(options.loops)));
  else for (const side of options.alone ? [] : makeRivals()) {
    side.prepare(folder, clientsMax, places.server, gatehouse.prepared, gatehouse.deviceCa);
    const identity = ['--id', 'dev{n}', '--topic', 'load/dev{n}'];
    sides.push(Object.assign(side, { identity, mutualIdentity: identity, registeredIdentity: identity, identities: gatehouse.identities }));
  }
  for (const side of sides) side.title = `${side.name.replace(/-\d+$/, '')} ${side.version}`;
  return sides;
}

// What is wrong with the report, or null. Of messages in memory nobody may lose one.
function fault(work, report) {
  if (report.why) return report.why;
  if (work.collect) return report.failed ? `lost ${report.lost}, doubled ${report.duplicates}` : null;
  if (work.unit) return report.failed || report.refused !== 0 ? `${report.refused} refused or closed` : null;
  const wrong = report.failed || report.lost !== 0 || report.duplicates !== 0 || report.disordered !== 0;
  return wrong ? `lost ${report.lost}, doubled ${report.duplicates}, out of order ${report.disordered}` : null;
}

// Leaves no process of the side behind, whatever happens.
async function once(side, work) {
  try {
    if (work.collect) return await survive(side, work, (load) => run(side, work, load));
    await side.start();
    const report = await run(side, work);
    if (!report.why) await side.stop();
    return report;
  } catch (error) {
    return { failed: true, why: error.message.split('\n')[0] };
  } finally {
    await abandon(side);
  }
}

function shown({ unit, value, also }, report) {
  return unit ? `${value(report).toFixed(2)} ${unit} ${also?.(report) ?? ''}` : `${report.server_cpu_us_per_delivery} us, ${report.received_per_s}/s`;
}

// reports and failures: work -> side -> list of reports, reason.
async function measure(sides) {
  const reports = {}, failures = {}, from = Date.now(), seconds = () => (Date.now() - from) / 1000;
  const inTime = () => seconds() < Number(options.minutes) * 60;
  for (let round = 1; round <= rounds; round++)
    for (const work of chosen.filter((each) => round <= (each.rounds ?? rounds)))
      for (const side of inTime() ? sides.filter(({ title, promises }) => promises || !failures[work.name]?.[title]) : []) {
        const report = await once(side, work), why = fault(work, report);
        if (why && side.promises) problems.push(`${work.name} ${side.title}: ${why}`);
        if (report.why || (why && work.unit && !work.collect)) (failures[work.name] ??= {})[side.title] = why;
        else ((reports[work.name] ??= {})[side.title] ??= []).push({ ...report, fault: why });
        process.stderr.write(`${Math.round(seconds())} s, round ${round} of ${rounds}: ${work.name.padEnd(18)} ${side.title.padEnd(18)} ${report.why ?? `${shown(work, report)} ${why ?? ''}`}\n`);
      }
  return { reports, failures };
}

// What the document says above the table: when, where and how; of paths only the last part.
function heading(machine, date) {
  const words = process.argv.slice(2).filter((word, i, all) => word !== '--write' && all[i - 1] !== '--write');
  return [`${date.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB, Linux ${machine.kernel}, ${machine.system}, ${machine.openssl}, data on ${machine.data_folder_on};`,
    `\`bench/compare ${words.map((word) => basename(word)).join(' ')}\`.`, ''];
}

const legend = [
  options.loops
    ? 'CPU microseconds for a delivery and deliveries a second, medians (in brackets: those of the first column divided by them);'
    : `CPU microseconds for a delivery, median / best of ${rounds} rounds (in brackets: Gatehouse's divided by it);`,
  'latency: delivery p50 / p99 in microseconds, medians, from when a message was due (of it the load itself needed what is called late);',
  'connections: as the row says.',
  ...(options.loops ? [] : ['The last column is Gatehouse\'s divided by the least that any other has. Gatehouse asks for passwords and policies in all of it,',
    'the others for nothing but certificates.']), ''];

const folder = mkdtempSync(join(options.folder, 'gatehouse-compare-'));
try {
  const machine = describe(folder), sides = await makeSides(folder), { reports, failures } = await measure(sides);
  const date = new Date().toISOString(), all = summaries(chosen, reports, failures, options.loops);
  const result = { machine, date, rounds, fifo: options.fifo, versions: sides.map(({ title }) => title), works: all };
  const page = [...legend, table(chosen, sides, all, sides.length > 1 && !options.loops)];
  console.log(page.join('\n'));
  if (options.write) writeBetweenMarks(options.write, [...heading(machine, date), ...page].join('\n'));
  if (options.json) writeFileSync(options.json, `${JSON.stringify(result, null, 1)}\n`);
  else console.log(`\n${JSON.stringify(result)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) console.error(`bench/compare: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
