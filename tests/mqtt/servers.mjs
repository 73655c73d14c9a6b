// The servers the suite runs against. MQTT_SERVER chooses: `gatehouse` (the default) or `mosquitto` (Debian's, without
// TLS, to hold the suite itself to account). Each has a folder of its own and ports that the kernel chose.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { Server, deviceKey, deviceToken } from '../lib/server.mjs';

export const chosen = process.env.MQTT_SERVER ?? 'gatehouse';
// Mosquitto's file may not say port 0, so that it gets one that was free a moment ago; it is asked again when not.
const freePort = () => new Promise((done, fail) => {
  const probe = net.createServer().once('error', fail).listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => done(port));
  });
});

class Mosquitto {
  name = 'mosquitto';
  tls = false;
  // Seen with 2.0.11: members of a shared subscription get nothing more after a restart, though their sessions are there.
  forgetsShared = true;

  static async create({ config = '' } = {}) {
    const server = new Mosquitto();
    server.folder = mkdtempSync(join(tmpdir(), 'mqtt-suite-'));
    server.config = config;
    return server;
  }

  async start() {
    for (let attempt = 0; ; attempt++) {
      this.port ??= await freePort();
      this.wsPort ??= await freePort();
      const file = join(this.folder, 'mosquitto.conf');
      writeFileSync(file, `listener ${this.port} 127.0.0.1\nlistener ${this.wsPort} 127.0.0.1\nprotocol websockets\n`
        + 'allow_anonymous true\nuser root\npersistence true\nautosave_interval 0\nmax_queued_messages 0\n'
        + `persistence_location ${this.folder}/\nlog_dest stderr\nlog_type all\nset_tcp_nodelay true\n${this.config}`);
      this.log = '';
      this.process = spawn('mosquitto', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
      this.ended = new Promise((done) => { this.process.once('exit', (code, signal) => done({ code, signal })); });
      const running = new Promise((done) => {
        this.process.stderr.on('data', (chunk) => {
          this.log += chunk;
          if (this.log.includes(' running\n')) done(true);
        });
      });
      if (await Promise.race([running, this.ended.then(() => false)])) return this;
      if (attempt === 5) throw new Error(`mosquitto does not start:\n${this.log}`);
      this.port = this.wsPort = undefined;
    }
  }

  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    return this.ended;
  }

  // The hardest end after which it still keeps its promises.
  async crash() { return this.stop('SIGTERM'); }

  async close() {
    if (this.process) await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  identity() { return {}; }
  socket() { return net.connect({ host: '127.0.0.1', port: this.port, noDelay: true }); }
  get url() { return `mqtt://127.0.0.1:${this.port}`; }
  get wsUrl() { return `ws://127.0.0.1:${this.wsPort}/mqtt`; }
}

const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
const tenant = 'suite', registry = 'bench', devices = 8;

class Gatehouse {
  name = 'gatehouse';
  tls = true;

  static async create({ options = [] } = {}) {
    const server = new Gatehouse();
    server.inner = await Server.create({ options });
    return server;
  }

  async start() {
    await this.inner.start();
    if (!this.made) await this.make();
    return this;
  }

  // A tenant whose devices may do everything: the suite asks what MQTT promises, not what policies forbid.
  async make() {
    const { inner } = this;
    this.made = Array.from({ length: devices }, (_, i) => ({
      username: `${tenant}/${registry}/device-${i}`, password: `a secret of the test ${i}` }));
    const policy = join(inner.folder, 'everything.json');
    writeFileSync(policy, JSON.stringify(everything));
    await inner.cli('tenant', 'create', tenant);
    await inner.cli('registry', 'create', `${tenant}/${registry}`);
    for (const [i, { username, password }] of this.made.entries()) {
      const file = join(inner.folder, `password-${i}`);
      writeFileSync(file, password, { mode: 0o600 });
      await inner.cli('device', 'create', username, '--password-file', file);
    }
    // One more signs in with a token, by MQTT 5's enhanced authentication too.
    this.key = deviceKey();
    const keyFile = join(inner.folder, 'key.pem');
    writeFileSync(keyFile, this.key.pem);
    await inner.cli('device', 'create', `${tenant}/${registry}/renewing`, '--public-key', keyFile);
    await inner.cli('policy', 'put', `${tenant}/all`, policy);
    await inner.cli('policy', 'attach', `${tenant}/all`, `${tenant}/${registry}`);
  }

  // The authentication method and how a client gets its data; undefined where a server has none.
  get authentication() {
    return { method: 'JWT', data: () => deviceToken(this.key, tenant, { sub: 'renewing' }),
      identity: () => ({ username: `${tenant}/${registry}/renewing`, password: undefined }) };
  }

  stop(signal) { return this.inner.stop(signal); }
  crash() { return this.inner.stop('SIGKILL'); }
  close() { return this.inner.close(); }
  identity(which = 0) { return this.made[which % devices]; }
  get log() { return this.inner.log; }
  get port() { return this.inner.port; }
  get ca() { return this.inner.ca; }
  get caFile() { return this.inner.caFile; }
  socket() {
    const socket = tls.connect({ host: '127.0.0.1', port: this.port, ca: this.ca, servername: 'localhost' });
    socket.setNoDelay(true);
    return socket;
  }
  get url() { return `mqtts://127.0.0.1:${this.port}`; }
  get wsUrl() { return `wss://127.0.0.1:${this.port}/mqtt`; }
}

const kinds = { mosquitto: Mosquitto, gatehouse: Gatehouse };

// A running server of the chosen kind.
export async function startServer(options) {
  const kind = kinds[chosen];
  if (!kind) throw new Error(`MQTT_SERVER is ${chosen}; it may be ${Object.keys(kinds).join(' or ')}`);
  const server = await kind.create(options);
  try {
    return await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
}
