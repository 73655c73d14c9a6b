// Eclipse Paho's C library (Debian's libpaho-mqtt-dev), by paho.c, which the first use compiles.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Inbox, lines } from './inbox.mjs';

let built;
function program() {
  if (built) return built;
  const folder = mkdtempSync(join(tmpdir(), 'paho-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'paho');
  execFileSync('cc', ['-std=gnu17', '-O1', '-Wall', '-Wextra', '-o', file, join(dirname(fileURLToPath(import.meta.url)), 'paho.c'),
    '-lpaho-mqtt3cs', '-lpthread']);
  built = { file, folder };
  return built;
}

const hex = (value) => {
  if (value === undefined) return '-';
  const bytes = Buffer.from(value);
  return bytes.length === 0 ? '' : bytes.toString('hex');
};
const unhex = (field) => field === '-' ? undefined : Buffer.from(field, 'hex');

class Client extends Inbox {
  constructor(options, version) {
    super();
    Object.assign(this, { options, version, answers: [] });
    this.child = spawn(program().file, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin.on('error', () => {});
    this.lost = new Promise((done) => { this.isLost = done; });
    // Not before all that it printed has been read.
    this.ended = new Promise((done) => { this.child.once('close', done); });
    this.ended.then(() => { this.isLost(); for (const { fail } of this.answers) fail(new Error('the client ended')); });
    lines(this.child.stdout, (line) => this.line(line.split('\t')));
  }

  line([what, ...fields]) {
    if (what === 'ok') this.answers.shift().done();
    if (what === 'error') this.answers.shift().fail(new Error(`paho: ${fields.join(' ')}`));
    if (what === 'lost') this.isLost();
    if (what !== 'message') return;
    const [topic, payload, qos, retain, response, correlation, contentType, name, value] = fields;
    this.arrived({ topic: unhex(topic).toString(), payload: unhex(payload) ?? Buffer.alloc(0), qos: Number(qos), retain: retain === '1',
      responseTopic: unhex(response)?.toString(), correlationData: unhex(correlation), contentType: unhex(contentType)?.toString(),
      user: name === '-' ? undefined : [unhex(name).toString(), unhex(value)?.toString() ?? ''] });
  }

  ask(...fields) {
    this.child.stdin.write(`${fields.join('\t')}\n`);
    return new Promise((done, fail) => { this.answers.push({ done, fail }); });
  }

  connect(server, { id, stored, expiry = 300, keepAlive = 60, will }) {
    const { username, password } = server.identity();
    const folder = join(program().folder, id.replace(/[^a-zA-Z0-9]/g, '_'));
    mkdirSync(folder, { recursive: true });
    return this.ask('connect', hex(`${server.tls ? 'ssl' : 'tcp'}://127.0.0.1:${server.port}`), hex(id), this.version, stored ? 0 : 1,
      stored && this.version === 5 ? expiry : '-', keepAlive, hex(username), hex(password), hex(server.caFile), hex(folder),
      hex(will?.topic), hex(will?.payload), will?.qos ?? 0, will?.retain ? 1 : 0, will?.delay ?? '-');
  }

  async subscribe(filters, qos, { noLocal } = {}) {
    for (const filter of [filters].flat()) await this.ask('subscribe', hex(filter), qos, noLocal ? 1 : 0);
  }

  unsubscribe(filter) { return this.ask('unsubscribe', hex(filter)); }

  publish(topic, payload, { qos = 0, retain, responseTopic, correlationData, contentType, user, expiry } = {}) {
    return this.ask('publish', hex(topic), hex(payload), qos, retain ? 1 : 0, hex(responseTopic), hex(correlationData), hex(contentType),
      hex(user?.[0]), hex(user?.[1]), expiry ?? '-');
  }

  publishMany(topic, payloads, qos) {
    return Promise.all([...payloads.map((payload) => this.ask('begin', hex(topic), hex(payload), qos)), this.ask('finish')]);
  }

  async drop() { this.child.kill('SIGKILL'); await this.ended; }
  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    await this.ask('disconnect').catch(() => {});
    this.child.stdin.end();
    await this.ended;
  }
}

function adapter(version) {
  const open = async (server, options) => {
    const client = new Client(options, version);
    await client.connect(server, options);
    return client;
  };
  return {
    name: `Paho C ${version === 5 ? '5' : '3.1.1'}`, version,
    missing: existsSync('/usr/include/MQTTClient.h') ? undefined : 'libpaho-mqtt-dev is not installed',
    can: new Set(['binary', 'unsubscribe', 'many', 'resume', 'shared', 'signOff', ...(version === 5 ? ['v5', 'noLocal'] : [])]),
    // Its MQTTProtocol_handlePublishes sends PUBACK before it stores the message. For QoS 2, seen with a server that did
    // all it should: PUBREL again after the kill, PUBCOMP for it, and no message.
    cannot: {
      handsOver1: 'Paho C acknowledges before it stores: a kill in between loses the message',
      handsOver2: 'Paho C loses a QoS 2 message now and then when it is killed between PUBREC and PUBREL',
    },
    open,
    resume: (server, { options }) => open(server, options),
  };
}

export default [adapter(4), adapter(5)];
