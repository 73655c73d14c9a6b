// Starts the demo warehouse of a build in a fresh folder, runs the tests of this folder against it, ends it.
//   GATEHOUSE_BIN   folder of the programs (build/debug/bin when it is not set)
// Arguments are test files (all of this folder when there are none).

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assertNoReport, patience } from '../lib/sanitizer.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const bin = resolve(process.env.GATEHOUSE_BIN ?? join(here, '..', '..', 'build', 'debug', 'bin'));
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-console-'));
const data = join(folder, 'data');
const READY_MS = 60_000 * patience; // sanitizers, and 22 devices that connect in their own time

const demo = spawn(join(bin, 'gatehouse'),
  ['up', '--data', data, '--demo', 'warehouse', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
const ended = new Promise((done) => demo.once('close', (code, signal) => done(code ?? signal)));
let said = '';
for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (piece) => (said += piece));

try {
  const word = (pattern) => pattern.exec(said)?.[1];
  await until(() => word(/Password\s+(\S+)\s/), 'the first password');
  const environment = {
    GATEHOUSE_URL: word(/Console\s+(https:\S+?)\/?\s/),
    GATEHOUSE_CA: join(data, 'ca.crt'),
    GATEHOUSE_OPERATOR: word(/Operator\s+(\S+)/),
    GATEHOUSE_PASSWORD: word(/Password\s+(\S+)/),
  };
  await until(() => warehouseLives(environment), 'three halls with all their devices');
  const files = process.argv.length > 2 ? process.argv.slice(2)
    : readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => join(here, name));
  // One after the other: the last file makes the server wary of this address.
  for (const file of files) {
    const tests = spawn(process.execPath, ['--test', file], { stdio: 'inherit', env: { ...process.env, ...environment } });
    const code = await new Promise((done) => tests.once('exit', done));
    if (code !== 0) process.exitCode = 1;
  }
} catch (error) {
  console.error(`${error.message}\n${said}`);
  process.exitCode = 1;
} finally {
  demo.kill('SIGINT');
  await ended;
  rmSync(folder, { recursive: true, force: true });
  assertNoReport(said, 'the demo warehouse');
}

async function until(probe, what) {
  const end = Date.now() + READY_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (demo.exitCode !== null) throw new Error(`gatehouse up ended before there was ${what}:`);
    if (Date.now() > end) throw new Error(`There was not ${what} within ${READY_MS / 1000} s:`);
    await new Promise((next) => { setTimeout(next, 250); });
  }
}

async function warehouseLives({ GATEHOUSE_URL, GATEHOUSE_CA }) {
  try {
    const { stdout } = await promisify(execFile)(join(bin, 'gatehouse'), ['token', '--data', data, '--ttl', '5m']);
    const { zones } = JSON.parse(await read(`${GATEHOUSE_URL}/api/v1/zones`, stdout.trim(), readFileSync(GATEHOUSE_CA)));
    return zones.length === 3 && zones.every(({ probes, equipment }) => probes.length === 3 && equipment.length === 4);
  } catch {
    return false;
  }
}

function read(url, token, ca) {
  return new Promise((done, fail) => {
    get(url, { ca, headers: { authorization: `Bearer ${token}` } }, (answer) => {
      let text = '';
      answer.on('data', (piece) => (text += piece));
      answer.on('end', () => done(text));
    }).on('error', fail);
  });
}
