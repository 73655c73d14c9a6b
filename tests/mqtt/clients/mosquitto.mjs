// Debian's mosquitto_sub and mosquitto_pub: a process for each subscribing client and for each message.
import { spawn } from 'node:child_process';
import { Inbox, lines } from './inbox.mjs';

let publishers = 0;
const format = 'message\t%t\t%x\t%q\t%r\t%R\t%D\t%C\t%P';

function common(server, version) {
  const { username, password } = server.identity();
  return ['-V', version === 5 ? '5' : '311', '-h', '127.0.0.1', '-p', `${server.port}`, ...(server.caFile ? ['--cafile', server.caFile] : []),
    ...(username ? ['-u', username, '-P', password] : [])];
}

function ended(child, what) {
  return new Promise((done, fail) => {
    let errors = '';
    child.stderr.on('data', (chunk) => { errors += chunk; });
    child.once('exit', (code) => { if (code === 0) done(); else fail(new Error(`${what} ended with ${code}: ${errors}`)); });
  });
}

class Client extends Inbox {
  constructor(server, options, version) {
    super();
    Object.assign(this, { server, options, version, children: [] });
    this.lost = new Promise((done) => { this.isLost = done; });
  }

  // mosquitto_sub with these filters; resolves when they are granted.
  listen(filters, qos) {
    const { id, stored, will, keepAlive, expiry = 300 } = this.options;
    const v5 = this.version === 5;
    // A client without a session of its own may have several processes, each a client.
    const name = this.children.length === 0 ? id : `${id}-${this.children.length}`;
    const args = [...common(this.server, this.version), '-i', name, '-d', '-F', format, '-q', `${qos}`,
      ...filters.flatMap((filter) => ['-t', filter]), ...(stored ? ['-c'] : []), ...(stored && v5 ? ['-x', `${expiry}`] : []),
      ...(keepAlive ? ['-k', `${keepAlive}`] : [])];
    if (will) {
      args.push('--will-topic', will.topic, '--will-payload', will.payload, '--will-qos', `${will.qos ?? 0}`);
      if (will.retain) args.push('--will-retain');
      if (will.delay && v5) args.push('-D', 'will', 'will-delay-interval', `${will.delay}`);
    }
    this.filters = { filters, qos };
    // Its output is not to wait in a buffer.
    const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.children.push(child);
    child.once('exit', () => this.isLost());
    return new Promise((done, fail) => {
      let errors = '';
      child.stderr.on('data', (chunk) => { errors += chunk; });
      child.once('exit', (code) => fail(new Error(`mosquitto_sub ended with ${code}: ${errors}`)));
      lines(child.stdout, (line) => {
        if (/^Subscribed \(mid: \d+\)/.test(line)) {
          if (/\b(128|13\d|14\d|15\d)\b/.test(line.split('):')[1])) fail(new Error('SUBACK says failure'));
          else done();
        }
        if (!line.startsWith('message\t')) return;
        const [, topic, payload, q, retain, responseTopic, correlation, contentType, user] = line.split('\t');
        this.arrived({ topic, payload: Buffer.from(payload, 'hex'), qos: Number(q), retain: retain === '1', responseTopic: responseTopic || undefined,
          correlationData: correlation ? Buffer.from(correlation) : undefined, contentType: contentType || undefined,
          user: user ? user.split(':') : undefined });
      });
    });
  }

  subscribe(filters, qos) { return this.listen([filters].flat(), qos); }

  args(topic, { qos = 0, retain, responseTopic, correlationData, contentType, user, expiry }) {
    // Each a client of its own: without an id, all of a device are the one that is named like it.
    const args = [...common(this.server, this.version), '-i', `pub${++publishers}x${process.pid}`, '-t', topic, '-q', `${qos}`, ...(retain ? ['-r'] : [])];
    const property = (name, ...value) => { if (value[0] !== undefined && this.version === 5) args.push('-D', 'publish', name, ...value.map(String)); };
    property('response-topic', responseTopic);
    property('correlation-data', correlationData);
    property('content-type', contentType);
    property('user-property', ...(user ?? [undefined]));
    property('message-expiry-interval', expiry);
    return args;
  }

  async publish(topic, payload, options = {}) {
    const bytes = Buffer.from(payload);
    const child = spawn('mosquitto_pub', [...this.args(topic, options), ...(bytes.length === 0 ? ['-n'] : ['-s'])], { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.on('error', () => {});
    child.stdin.end(bytes);
    await ended(child, 'mosquitto_pub');
  }

  async publishMany(topic, payloads, qos) {
    const child = spawn('mosquitto_pub', [...this.args(topic, { qos }), '-l'], { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.end(payloads.map((payload) => `${payload}\n`).join(''));
    await ended(child, 'mosquitto_pub');
  }

  async stop(signal) {
    await Promise.all(this.children.map((child) => new Promise((done) => {
      if (child.stdout.destroyed) return done();
      child.once('close', done); // all that it printed has been read
      return child.kill(signal);
    })));
  }

  drop() { return this.stop('SIGKILL'); }
  end() { return this.stop('SIGTERM'); } // it says DISCONNECT
}

function adapter(version) {
  const open = async (server, options) => {
    const client = new Client(server, options, version);
    // Only a process that listens has a connection, a session and a will.
    if (options.will) await client.listen([`nothing/${options.id}`], 0);
    return client;
  };
  return {
    name: `mosquitto clients ${version === 5 ? '5' : '3.1.1'}`, version, can: new Set(['binary', 'shared', 'resume', ...(version === 5 ? ['v5'] : ['signOff'])]),
    cannot: { unsubscribe: 'mosquitto_sub unsubscribes only before it listens', many: 'one list of filters for each process', noLocal: 'no such option',
      signOff: 'mosquitto_sub asks for its will when it ends', handsOver1: 'mosquitto_sub acknowledges before it prints', handsOver2: 'mosquitto_sub acknowledges before it prints' },
    open,
    resume: async (server, { options, filters }) => {
      const client = new Client(server, options, version);
      await client.listen(filters.filters, filters.qos);
      return client;
    },
  };
}

export default [adapter(4), adapter(5)];
