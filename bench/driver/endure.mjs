// bench/endure: see there. Registers the fleet, lets it connect, measures without kills, kills and starts again, and at the end
// compares what was acknowledged with what the back end was given. Prints a line for each step and one JSON line.
import { execFileSync, fork, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { patience } from '../../tests/lib/sanitizer.mjs';
import { ownAddress, Server } from '../../tests/lib/server.mjs';
import { cpuSeconds, describe, family, memory, runs, swarm } from './machine.mjs';

const number = (value) => ({ type: 'string', default: String(value) });
const { values } = parseArgs({ options: {
  devices: number(10000), gateways: number(100), behind: number(50), kills: number(20), rate: number(1000), seconds: number(10), commands: number(50),
  concurrency: number(64), seed: number(Math.floor(Math.random() * 2 ** 31)), check: { type: 'boolean', default: false }, folder: { type: 'string', default: os.tmpdir() },
} });
const size = Object.fromEntries(Object.entries(values).filter(([name]) => !['check', 'folder'].includes(name)).map(([name, value]) => [name, Number(value)]));
const bound = size.gateways * size.behind, project = 'bench';
if (bound + size.gateways > size.devices) { console.error('bench/endure: more gateways and devices behind them than devices'); process.exit(2); }

const problems = [];
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
let state = size.seed || 1;
const random = () => { // xorshift: the same moments for the same seed
  state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
};
const say = (text) => console.log(text);

async function eventually(what, condition, seconds) {
  for (const until = Date.now() + seconds * 1000 * patience; Date.now() < until; await pause(20)) if (await condition()) return;
  throw new Error(`${what}: not within ${seconds * patience} s`);
}

class BackEnd {
  #waiting = new Map();
  #next = 0;

  constructor(server, token) {
    this.child = fork(fileURLToPath(new URL('endure-back-end.mjs', import.meta.url)), { env: {
      ...process.env, NODE_EXTRA_CA_CERTS: server.caFile, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: server.caFile,
      GATEHOUSE_PROJECT: project, GATEHOUSE_HOST: server.host, GATEHOUSE_PORT: String(server.port), GATEHOUSE_TOKEN: token,
    } });
    this.child.on('message', ({ id, answer, problem }) => {
      const [done, fail] = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (problem === undefined) done(answer); else fail(new Error(problem));
    });
    this.child.on('exit', (code) => { for (const [, fail] of this.#waiting.values()) fail(new Error(`the back end ended with ${code}`)); });
  }

  ask(task, more = {}) {
    return new Promise((done, fail) => {
      const id = this.#next++;
      this.#waiting.set(id, [done, fail]);
      this.child.send({ id, task, ...more });
    });
  }
}

class Fleet {
  status = {};

  constructor(server, clients) {
    this.child = spawn(swarm, ['bench', 'endure', '--server', `${server.host}:${server.port}`, '--ca', server.caFile, '--clients', clients,
      '--gateways', String(size.gateways), '--behind', String(size.behind), '--concurrency', String(size.concurrency),
      '--window', String(2 * size.behind + 8), '--rate', '1'], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout }).on('line', (line) => { this.status = JSON.parse(line); });
    this.ended = new Promise((done) => { this.child.once('close', done); });
  }

  tell(line) { this.child.stdin.write(`${line}\n`); }

  // All take commands; `closes`: connections that ended before, so that a word from before a kill does not count.
  ready(closes = 0) {
    const { ready, devices, closes: closed } = this.status;
    return ready !== undefined && ready === devices && closed >= closes;
  }
}

// The devices, from the generator: [{ id, pem, gateway }], and the file of the clients.
function makeDevices(folder) {
  const lines = join(folder, 'devices.jsonl'), clients = join(folder, 'devices.tsv');
  execFileSync(swarm, ['bench', 'devices', '--count', String(size.devices), '--project', project, '--import', lines, '--clients', clients]);
  const devices = readFileSync(lines, 'utf8').trim().split('\n').map((line, row) => {
    const { id, public_key: pem } = JSON.parse(line);
    return { id, pem, gateway: row < size.gateways };
  });
  return { devices, clients };
}

// The server at rest: bytes of its memory and of its database.
async function rest(server) {
  await server.stop();
  const database = statSync(join(server.data, 'registry.db')).size;
  await server.start();
  return { resident: memory(family(server.process.pid)).rss, database };
}

async function register(server, backEnd, devices) {
  const figures = {}, before = await rest(server);
  const half = devices.length >> 1;
  for (const [face, list] of [['REST', devices.slice(0, half)], ['gRPC', devices.slice(half)]]) {
    const pids = family(server.process.pid), cpu = cpuSeconds(pids);
    const { seconds } = await backEnd.ask('register', { face, devices: list, atOnce: 32 });
    figures[face] = { per_s: Math.round(list.length / seconds), server_cpu_us: Math.round((cpuSeconds(pids) - cpu) * 1e6 / list.length) };
    say(`registered ${list.length} devices over ${face}: ${figures[face].per_s} a second, ${figures[face].server_cpu_us} us of the server's CPU each`);
  }
  const pairs = devices.slice(size.gateways, size.gateways + bound).map(({ id }, i) => [devices[Math.floor(i / size.behind)].id, id]);
  const { seconds } = await backEnd.ask('bind', { pairs, atOnce: 32 });
  if (bound > 0) say(`bound ${bound} of them to ${size.gateways} gateways: ${Math.round(bound / seconds)} a second`);
  const after = await rest(server);
  figures.bytes_per_device = Object.fromEntries(Object.keys(after).map((key) => [key, Math.round((after[key] - before[key]) / devices.length)]));
  say(`a registered device: ${figures.bytes_per_device.resident} bytes of memory, ${figures.bytes_per_device.database} bytes of the database`);
  return figures;
}

async function measure(server, backEnd, fleet) {
  const pids = family(server.process.pid);
  fleet.tell(`rate ${size.rate}`);
  await pause(1000); // the first second is a burst: everybody is free
  await backEnd.ask('latencies', { on: true });
  await pause(size.seconds * 1000);
  const latency = await backEnd.ask('latencies', { on: false });
  say(`at ${size.rate} messages a second, from publish to the back end: p50 ${(latency.p50_us / 1000).toFixed(1)} ms, p99 ${(latency.p99_us / 1000).toFixed(1)} ms (${latency.count} messages)`);
  fleet.tell('rate 0');
  await pause(1000);
  const from = Date.now(), cpu = cpuSeconds(pids), { received: before } = await backEnd.ask('count');
  await pause(size.seconds * 1000);
  const seconds = (Date.now() - from) / 1000, { received } = await backEnd.ask('count');
  const through = { per_s: Math.round((received - before) / seconds), server_cores: Number(((cpuSeconds(pids) - cpu) / seconds).toFixed(2)) };
  say(`as fast as it goes: ${through.per_s} messages a second through to the back end; the server used ${through.server_cores} cores`);
  fleet.tell(`rate ${size.rate}`);
  return { latency, through };
}

async function command(backEnd, devices) {
  const some = Array.from({ length: size.commands }, () => devices[Math.floor(random() * devices.length)].id);
  const { answered, refused } = await backEnd.ask('command', { devices: some });
  for (const line of refused.slice(0, 5)) problems.push(`a command was not answered: ${line}`);
  return answered;
}

async function kill(server, backEnd, fleet, devices) {
  const figures = { answered: 0, back_s: [], memory_mib: [] };
  for (let i = 0; i < size.kills; i++) {
    await pause(random() * 2000);
    const closes = fleet.status.closes + fleet.status.connections;
    const pids = family(server.process.pid);
    await server.stop('SIGKILL');
    // A start in the instant in which the kernel still takes the old processes down is refused (GH5004).
    await eventually('the killed processes are gone', () => !pids.some(runs), 30);
    const from = Date.now();
    await server.start();
    await eventually('the fleet is back', () => fleet.ready(closes), 120);
    figures.back_s.push((Date.now() - from) / 1000);
    figures.answered += await command(backEnd, devices);
    figures.memory_mib.push(Math.round(memory(family(server.process.pid)).rss / 2 ** 20));
    say(`kill ${i + 1} of ${size.kills}: all devices back after ${figures.back_s.at(-1).toFixed(1)} s, ${figures.memory_mib.at(-1)} MiB`);
  }
  return figures;
}

async function compare(backEnd, fleet) {
  fleet.tell('stop');
  await fleet.ended;
  const { acknowledged_of: acknowledged, ...report } = fleet.status;
  let missing;
  await eventually('the back end has what was acknowledged', async () => ({ list: missing } = await backEnd.ask('missing', { acknowledged })).list.length === 0, 180)
    .catch(() => { problems.push(`lost: ${missing.map(([row, n]) => `${row}:${n}`).join(' ')}`); });
  const counted = await backEnd.ask('count');
  if (counted.strange > 0) problems.push(`${counted.strange} messages were not the fleet's`);
  if (counted.errors.length > 0) problems.push(`the subscriber met an error: ${counted.errors[0]}`);
  say(`${report.acknowledged} messages acknowledged, ${missing.length} of them lost; ${counted.received} given to the back end, ${counted.repeated} of these again; ${report.commands} commands received`);
  return { ...report, lost: missing.length, ...counted };
}

const folder = mkdtempSync(join(values.folder, 'gatehouse-endure-'));
let server, fleet, backEnd;
try {
  server = await Server.create({ folder, listen: `${ownAddress}:0`, options: ['--log-level', 'error', '--google-compat', '0'] });
  await server.start();
  server.listen = `${ownAddress}:${server.port}`;
  await server.cli('tenant', 'create', project);
  backEnd = new BackEnd(server, await server.token('administrator', '--ttl', '1d'));
  await backEnd.ask('prepare');
  const { devices, clients } = makeDevices(folder);
  const registered = await register(server, backEnd, devices);
  await backEnd.ask('listen');
  fleet = new Fleet(server, clients);
  await eventually('the fleet connects', () => fleet.ready(), 180);
  say(`${size.devices} devices on ${fleet.status.connections} connections`);
  const measured = await measure(server, backEnd, fleet);
  const killed = await kill(server, backEnd, fleet, devices);
  const result = await compare(backEnd, fleet);
  say(`memory of the server: ${killed.memory_mib[0]} MiB after the first start, ${Math.max(...killed.memory_mib)} MiB at most`);
  console.log(JSON.stringify({ figure: 'endure', ...size, machine: describe(folder), registered, ...measured, killed, result }));
} catch (error) {
  problems.push(error.message);
} finally {
  fleet?.child.kill();
  await backEnd?.ask('close').catch(() => {});
  backEnd?.child.kill();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) console.error(`bench/endure: ${problem}`);
process.exit(problems.length > 0 && values.check ? 1 : 0);
