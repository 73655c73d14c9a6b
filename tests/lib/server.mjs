// A Gatehouse server of a test's own: a fresh data folder, ports that the kernel chose, ended with the test.
// GATEHOUSE_BIN names the folder of the programs (build/debug/bin when it is not set).
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assertNoReport, patience } from './sanitizer.mjs';

// What nothing takes, however slow: a wait that came to this is one that would have had no end. The server itself answers every
// request within two minutes and ends within half of one.
const WAIT_MS = 60000 * patience;
const within = (work, what, late) => {
  let timer;
  const end = new Promise((_, fail) => { timer = setTimeout(() => { late(); fail(new Error(`not within ${WAIT_MS / 1000} s: ${what}`)); }, WAIT_MS); });
  return Promise.race([work, end]).finally(() => clearTimeout(timer));
};

const execute = promisify(execFile);
const run = (file, args, options) => execute(file, args, { timeout: WAIT_MS, ...options });
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const bin = process.env.GATEHOUSE_BIN ?? join(root, 'build', 'debug', 'bin');

// Of servers whose test changes one device or registry again and again: without the rate of such changes.
export const unhurried = ['--google-device-updates-per-second', '0', '--google-registry-updates-per-second', '0'];

export class Server {
  // Makes the data folder; `start` serves it.
  static async create(options = {}) {
    const server = new Server();
    server.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'gatehouse-'));
    server.data = join(server.folder, 'data');
    server.options = options.options ?? [];
    server.listen = options.listen ?? '127.0.0.1:0'; // a test that starts it again on the port that it got sets it to that, at `ownAddress`
    const named = options.listen ? ['--host', options.listen.split(':')[0]] : [];
    const { stdout } = await run(join(bin, 'gatehouse'), ['init', '--data', server.data, ...named]);
    server.password = /Password\s+(\S+)/.exec(stdout)[1];
    server.operator = /Operator\s+(\S+)/.exec(stdout)[1];
    server.ca = readFileSync(join(server.data, 'ca.crt'));
    server.caFile = join(server.data, 'ca.crt');
    return server;
  }

  // Starts gatehoused and waits for its word. `log` collects what it writes to standard error.
  async start() {
    await this.ready(spawn(join(bin, 'gatehoused'),
      ['--data', this.data, '--listen', this.listen, ...this.options], { stdio: ['ignore', 'pipe', 'pipe'] }));
    for (const line of readFileSync(join(this.data, 'listeners'), 'utf8').split('\n')) {
      const [kind, address] = line.split(' ');
      if (kind === 'tls') this.port = Number(address.split(':').pop());
      if (kind === 'plain') this.plainPort = Number(address.split(':').pop());
    }
    this.host = this.listen.split(':')[0];
    this.url = `https://${this.host}:${this.port}`;
    return this;
  }

  // Takes a process just started as the server: `ended` resolves when it is gone, with all that its family said.
  adopt(child) {
    assertNoReport(this.log ?? '', 'the server before this one');
    this.log = '';
    this.process = child;
    child.stderr.on('data', (chunk) => { this.log += chunk; });
    this.ended = new Promise((done) => child.once('close', (code, signal) => done({ code, signal })));
  }

  // The same, and waits for its word.
  async ready(child) {
    this.adopt(child);
    const word = new Promise((ready, fail) => {
      let out = '';
      child.stdout.on('data', (chunk) => { out += chunk; if (out.includes('ready\n')) ready(); });
      this.ended.then(({ code, signal }) => fail(new Error(`gatehoused ended (${code ?? signal}):\n${this.log}`)));
    });
    await within(word, 'the word of gatehoused', () => child.kill('SIGKILL'));
  }

  // Ends it in order; with 'SIGKILL' as a power cut would. A report of a sanitizer in what it said is an error of the test.
  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    const end = await within(this.ended, 'the end of gatehoused', () => this.process.kill('SIGKILL'));
    assertNoReport(this.log, 'the server');
    return end;
  }

  // Waits until it has said this: what a call has caused may be read after the call's answer.
  async said(pattern) {
    await eventually(() => pattern.test(this.log), 15000, `${pattern} on standard error`);
  }

  async close() {
    try {
      if (this.process) await this.stop();
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  // The command line on this server's data folder.
  async cli(...args) {
    const { stdout } = await run(join(bin, 'gatehouse'), [...args, '--data', this.data], { maxBuffer: 1 << 26 });
    return stdout.trim();
  }

  // The same with standard input; does not throw: {code, stdout, stderr}.
  tryCli(args, input = '') {
    return new Promise((done, fail) => {
      const child = execFile(join(bin, 'gatehouse'), [...args, '--data', this.data], { timeout: WAIT_MS },
        (error, stdout, stderr) => {
          try {
            assertNoReport(stderr, `gatehouse ${args[0]}`);
            done({ code: error ? error.code : 0, stdout, stderr });
          } catch (problem) { fail(problem); }
        });
      child.stdin.on('error', () => {}); // it may have ended before it read anything
      child.stdin.end(input);
    });
  }

  token(role = 'administrator', ...more) {
    return this.cli('token', '--role', role, ...more);
  }

  // One HTTPS call; resolves with {status, headers, body (JSON when it is), text}.
  call(method, path, { token, body, headers = {}, agent } = {}) {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((done, fail) => {
      const request = https.request(`${this.url}${path}`, {
        method, ca: this.ca, agent,
        headers: {
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...headers,
        },
      }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          let json;
          try { json = JSON.parse(answer); } catch { json = undefined; }
          done({ status: response.statusCode, headers: response.headers, body: json, text: answer });
        });
      });
      request.setTimeout(WAIT_MS, () => request.destroy(new Error(`no answer to ${method} ${path}`)));
      request.on('error', fail);
      request.end(text);
    });
  }
}

// A loopback address of this test alone. Who comes back on a port of it finds it free: the kernel gives the ports of
// 127.0.0.1 to whatever client asks meanwhile, and those of this address to nobody.
export const ownAddress = [127, 64 + (process.pid >> 16 & 63), process.pid >> 8 & 255, process.pid & 255].join('.');

// A device's key pair: { privateKey, pem (public), alg }.
export function deviceKey(alg = 'ES256') {
  const pair = alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { alg, privateKey: pair.privateKey, pem: pair.publicKey.export({ type: 'spki', format: 'pem' }) };
}

// A device token as Google's samples make it. `claims` and `header` replace members.
export function deviceToken(key, project, claims = {}, header = {}) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode({ alg: key.alg, typ: 'JWT', ...header })}.${
    encode({ iat: now, exp: now + 3600, aud: project, ...claims })}`;
  const signature = sign('sha256', Buffer.from(input), key.alg === 'ES256'
    ? { key: key.privateKey, dsaEncoding: 'ieee-p1363' } : key.privateKey);
  return `${input}.${signature.toString('base64url')}`;
}

// Resolves when `probe` (may be async) gives something truthy; rejects after `limitMs` (times `patience`).
export async function eventually(probe, limitMs = 15000, what = 'condition') {
  const until = Date.now() + limitMs * patience;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > until) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((next) => { setTimeout(next, 20); });
  }
}

// What has to be done while something lives, such as a token: `attempt(seconds)` makes it for so long and gives something
// truthy when it was in time. A machine that is too slow for a short life gets a longer one.
export async function inTime(attempt, what, lives = [2, 10, 40, 160]) {
  for (const seconds of lives) {
    const got = await attempt(seconds);
    if (got) return got;
  }
  throw new Error(`not even within ${lives.at(-1)} s: ${what}`);
}

// That something happened at once, not only when a timer ran out: it is promised within a second, to which the callers of
// `begun` and `ended` (of performance.now()) and whatever else the machine does add their own.
export function assertSoon(begun, what, ended = performance.now()) {
  assert.ok(ended - begun < 1000 * patience, `${what}: after ${Math.round(ended - begun)} ms`);
}
