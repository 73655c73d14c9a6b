// The two sides. Each is prepared once, then started afresh for every measurement, on the same core, with the same
// kind of certificate (P-256, signed by one CA) and ports of its own.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { assertNoReport, patience } from '../../tests/lib/sanitizer.mjs';
import { bin, Server } from '../../tests/lib/server.mjs';
import { family, kill, placed, runs, swarm, within } from './machine.mjs';

const project = 'bench', registry = 'fleet', location = 'europe-west1';
export const subscription = `/v1/projects/${project}/subscriptions/pull`;

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

function ended(child) {
  return new Promise((done) => child.once('exit', done));
}

const stopSeconds = 20, serveSeconds = 20;

const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null;

// In order, if it takes no longer than stopSeconds.
async function end(child, pids) {
  if (hasEnded(child)) return;
  const gone = ended(child);
  child.kill('SIGTERM');
  await within(stopSeconds, gone, () => kill(pids));
}

// Kills the side's broker, after something has gone wrong.
export async function abandon({ child }) {
  if (child && !hasEnded(child)) await kill(family(child.pid));
}

// Gatehouse. What is measured is a copy of the prepared data folder, so that no measurement sees another's log.
export class Gatehouse {
  name = 'gatehouse';
  promises = true; // that what it has acknowledged is safe

  static version() {
    return /project\(gatehouse VERSION ([\d.]+)/.exec(readFileSync(new URL('../../CMakeLists.txt', import.meta.url), 'utf8'))[1];
  }

  static async prepare(folder, devices, prefix) {
    const side = new Gatehouse();
    Object.assign(side, { folder, prefix, base: join(folder, 'base') });
    mkdirSync(side.base, { recursive: true });
    side.version = Gatehouse.version();
    const server = await Server.create({ folder: side.base });
    await server.start();
    await server.cli('tenant', 'create', project);
    side.token = await server.token('administrator', '--ttl', '30d');
    const put = async (method, path, body) => {
      const answer = await server.call(method, `/v1/projects/${project}/${path}`, { token: side.token, body });
      if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    };
    const topic = `projects/${project}/topics/telemetry`;
    await put('PUT', 'topics/telemetry', {});
    await put('PUT', 'subscriptions/pull', { topic, ackDeadlineSeconds: 600 });
    await put('POST', `locations/${location}/registries`, { id: registry, eventNotificationConfigs: [{ pubsubTopicName: topic }] });
    side.clients = join(folder, 'devices.tsv');
    const lines = join(folder, 'devices.jsonl');
    execFileSync(swarm, ['bench', 'devices', '--count', String(devices), '--project', project,
      '--registry', registry, '--location', location, '--import', lines, '--clients', side.clients]);
    await server.cli('device', 'import', lines);
    await server.stop();
    side.prepared = server.data;
    return side;
  }

  // `empty`: a data folder without devices. `again`: the one of the time before.
  async start({ empty = false, again = false } = {}) {
    const data = join(this.folder, 'data');
    if (!again) rmSync(data, { recursive: true, force: true });
    if (again) rmSync(join(data, 'listeners'), { force: true });
    else if (empty) execFileSync(join(bin, 'gatehouse'), ['init', '--data', data]);
    else cpSync(this.prepared, data, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    const [program, args] = placed(this.prefix, join(bin, 'gatehoused'), ['--data', data, '--listen', '127.0.0.1:0',
      '--listen-plain', '127.0.0.1:0', '--loops', String(this.loops ?? 1), '--messages-per-second', '0',
      '--google-bytes-in-per-second', '0', '--log-level', 'error']);
    const from = process.hrtime.bigint();
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.log = '';
    this.child.stderr.on('data', (chunk) => { this.log += chunk; process.stderr.write(chunk); });
    this.gone = new Promise((done) => { this.child.once('close', done); });
    await new Promise((ready, fail) => {
      let out = '';
      this.child.stdout.on('data', (chunk) => { out += chunk; if (out.includes('ready\n')) ready(); });
      this.child.once('exit', (code) => fail(new Error(`gatehoused ended with ${code}`)));
    });
    this.startedMs = Number(process.hrtime.bigint() - from) / 1e6;
    this.pids = family(this.child.pid);
    this.ca = join(data, 'ca.crt');
    for (const line of readFileSync(join(data, 'listeners'), 'utf8').split('\n')) {
      const [kind, address] = line.split(' ');
      if (kind === 'tls' || kind === 'plain') this[kind] = address;
    }
  }

  async stop() {
    this.child.kill('SIGTERM');
    const late = await within(stopSeconds * patience, this.gone.then(() => false), () => true);
    if (late) await kill(this.pids);
    assertNoReport(this.log, 'gatehoused');
    if (late) throw new Error(`gatehoused did not stop in ${stopSeconds * patience} s`);
  }

  // Somebody else has killed its processes.
  async killed() {
    await this.gone;
    while (this.pids.some(runs)) await pause(1);
  }
}

function freePort() {
  return new Promise((done) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

function accepts(port) {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); done(true); });
    socket.once('error', () => done(false));
  });
}

// What the rivals have in common: a certificate like Gatehouse's, two ports, a configuration file, one process. Nobody
// is authenticated; queues have no limit, so that they drop nothing (the defaults do). With a `deviceCa` a third port
// wants certificates that it signed.
class Rival {
  prepare(folder, clients, prefix, data, deviceCa = null) {
    Object.assign(this, { folder, prefix, deviceCa, ca: join(data, 'ca.crt') });
    this.version = this.readVersion();
    this.key = join(folder, `${this.name}.key`);
    this.certificate = join(folder, `${this.name}.crt`);
    const request = join(folder, 'server.csr'), extensions = join(folder, 'server.ext');
    const openssl = (...args) => execFileSync('openssl', args, { stdio: 'ignore' });
    writeFileSync(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n');
    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost',
      '-keyout', this.key, '-out', request);
    const key = join(folder, 'ca.key');
    writeFileSync(key, execFileSync(join(bin, 'gatehouse'), ['keys', 'export', 'ca.key', '--data', data]), { mode: 0o600 });
    openssl('x509', '-req', '-in', request, '-CA', this.ca, '-CAkey', key, '-days', '7',
      '-extfile', extensions, '-out', this.certificate);
    // The chain, as Gatehouse sends it.
    writeFileSync(this.certificate, readFileSync(this.certificate, 'utf8') + readFileSync(this.ca, 'utf8'));
    this.clients = join(folder, 'clients.tsv');
    writeFileSync(this.clients, Array.from({ length: clients }, (_, i) => `bench-${i}\t\tload/${i}\n`).join(''));
    return this;
  }

  readVersion() {
    return /([\d.]+\d)/.exec(spawnSync(this.program, ['--version'], { encoding: 'utf8', timeout: serveSeconds * 1000 }).stdout)?.[1] ?? '';
  }

  // `persistent`: it keeps what it can. `again`: on what it had kept.
  async start({ persistent = false, again = false } = {}) {
    this.persistent = persistent;
    // Its configuration may not say port 0, so that it gets ports that were free a moment ago; others when one is not.
    for (let attempt = 0; ; attempt++) {
      const [plain, tls, mutual] = [await freePort(), await freePort(), this.deviceCa && await freePort()];
      if (!again) this.store = join(this.folder, `${this.name}-${tls}`);
      mkdirSync(this.store, { recursive: true });
      const file = join(this.folder, `${this.name}.conf`);
      writeFileSync(file, this.configuration(plain, tls, this.store, mutual));
      if (await this.serves(file, tls)) {
        for (const [transport, port] of Object.entries({ plain, tls, mutual })) this[transport] = `127.0.0.1:${port}`;
        return;
      }
      if (attempt === 5) throw new Error(`ended at its start with ${this.child.exitCode ?? this.child.signalCode}`);
    }
  }

  // False when it has ended instead.
  async serves(file, port) {
    const [program, args] = placed(this.prefix, this.program, this.args(file));
    const from = process.hrtime.bigint();
    this.child = spawn(program, args, { stdio: 'ignore' });
    while (!hasEnded(this.child) && !await accepts(port)) {
      if (Number(process.hrtime.bigint() - from) > serveSeconds * 1e9) throw new Error(`did not serve in ${serveSeconds} s`);
      await pause(1);
    }
    this.startedMs = Number(process.hrtime.bigint() - from) / 1e6;
    if (hasEnded(this.child)) return false;
    this.pids = family(this.child.pid);
    return true;
  }

  stop() {
    return end(this.child, this.pids);
  }

  async killed() {
    if (!hasEnded(this.child)) await ended(this.child);
  }
}

const user = process.env.USER ?? (process.getuid() === 0 ? 'root' : '');

// FlashMQ, from a program of one's own; one thread.
export class FlashMQ extends Rival {
  name = 'flashmq';
  program;

  constructor({ program }) {
    super();
    this.program = program;
  }

  args(file) {
    return ['--config-file', file];
  }

  configuration(plain, tls, store, mutual) {
    const listen = (port, ...more) => ['listen {', '  protocol mqtt', `  port ${port}`, '  inet_protocol ip4',
      '  inet4_bind_address 127.0.0.1', '  tcp_nodelay true', ...more.map((line) => `  ${line}`), '}'];
    const shows = [`fullchain ${this.certificate}`, `privkey ${this.key}`];
    return [`log_file ${store}/log`, 'log_level none', 'thread_count 1', 'allow_anonymous true', 'max_qos_msg_pending_per_client 65535',
      'max_qos_bytes_pending_per_client 1073741824', 'client_max_write_buffer_size 16777216', `storage_dir ${store}`,
      ...listen(plain), ...listen(tls, ...shows),
      ...(mutual ? listen(mutual, ...shows, `client_verification_ca_file ${this.deviceCa}`) : []), ''].join('\n');
  }
}

// NanoMQ, from a program of one's own; one task thread.
export class NanoMQ extends Rival {
  name = 'nanomq';
  program;

  constructor({ program }) {
    super();
    this.program = program;
  }

  args(file) {
    return ['start', '--conf', file];
  }

  configuration(plain, tls, store, mutual) {
    const shows = `keyfile = "${this.key}", certfile = "${this.certificate}"`;
    return ['system { num_taskq_thread = 1, max_taskq_thread = 1, parallel = 256 }', 'mqtt { max_packet_size = 1MB, max_mqueue_len = 65535 }',
      `listeners.tcp { bind = "127.0.0.1:${plain}" }`,
      `listeners.ssl { bind = "127.0.0.1:${tls}", ${shows} }`,
      ...(mutual ? [`listeners.ssl.mutual { bind = "127.0.0.1:${mutual}", ${shows}, cacertfile = "${this.deviceCa}", verify_peer = true, fail_if_no_peer_cert = true }`] : []),
      `log { to = [file], level = error, dir = "${store}", file = "log" }`, 'auth { allow_anonymous = true, no_match = allow }', ''].join('\n');
  }
}

// Mosquitto, of Debian when no other program is named.
export class Mosquitto extends Rival {
  // `sqlite`: its plugin for that, which keeps more than its own snapshots; 2.0 has no such plugins.
  constructor({ name = 'mosquitto', persistence = false, program = Mosquitto.program(), sqlite } = {}) {
    super();
    Object.assign(this, { name, persistence, program, sqlite });
  }

  keeping(store) {
    if (this.persistent && this.sqlite && !this.version.startsWith('2.0.')) return [`plugin ${this.sqlite}`, `plugin_opt_db_file ${store}/store.sqlite3`, 'plugin_opt_sync full', 'plugin_opt_flush_period 1'];
    if (this.persistence || this.persistent) return ['persistence true', `persistence_location ${store}/`, 'autosave_interval 1'];
    return ['persistence false'];
  }

  static program() {
    const found = spawnSync('sh', ['-c', 'PATH=$PATH:/usr/sbin command -v mosquitto'], { encoding: 'utf8' });
    return found.stdout.trim() || null;
  }

  readVersion() {
    return /version ([\d.]+)/.exec(spawnSync(this.program, ['-h'], { encoding: 'utf8' }).stdout)[1];
  }

  args(file) {
    return ['-c', file];
  }

  configuration(plain, tls, store, mutual) {
    const shows = [`certfile ${this.certificate}`, `keyfile ${this.key}`];
    return [
      `user ${user}`.trim(), 'log_dest none', 'connection_messages false',
      'max_queued_messages 0', 'max_inflight_messages 0', 'set_tcp_nodelay true',
      ...this.keeping(store),
      `listener ${plain} 127.0.0.1`, 'allow_anonymous true',
      `listener ${tls} 127.0.0.1`, ...shows,
      ...(mutual ? [`listener ${mutual} 127.0.0.1`, ...shows, `cafile ${this.deviceCa}`, 'require_certificate true'] : []), '',
    ].join('\n');
  }
}
