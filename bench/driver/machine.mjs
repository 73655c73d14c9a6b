// What the figures stand on: this machine, where the processes run, and what else keeps it busy.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { bin } from '../../tests/lib/server.mjs';

// `swarm bench …` is the load.
export const swarm = join(bin, 'gatehouse-swarm');

const tick = 100; // USER_HZ of every Linux that node runs on

export function describe(folder) {
  const release = /PRETTY_NAME="([^"]*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const openssl = execFileSync('openssl', ['version'], { encoding: 'utf8' }).trim();
  const disk = execFileSync('stat', ['-f', '-c', '%T', folder], { encoding: 'utf8' }).trim();
  return {
    cpu: os.cpus()[0].model, cores: os.cpus().length, memory_gib: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(), system: release, openssl, data_folder_on: disk,
  };
}

// How many files a process may have open.
export function openFilesMax() {
  const [, most] = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return most === 'unlimited' ? Infinity : Number(most);
}

// The server on the first core and the load on the second; with one core, or in --quick, nothing is pinned.
export function placement(options) {
  const pin = (core) => [...(options.fifo ? ['chrt', '-f', '10'] : []), ...(options.pin ? ['taskset', '-c', String(core)] : [])];
  return { server: pin(0), load: pin(1) };
}

// [program, arguments] behind a prefix such as taskset.
export function placed(prefix, program, args) {
  const [first, ...rest] = [...prefix, program, ...args];
  return [first, rest];
}

// CPU seconds that all cores together have worked.
export function busySeconds() {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).map(Number);
  return (user + nice + system + irq + softirq) / tick;
}

// The process and its children.
export function family(pid) {
  const pids = [pid];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim();
    if (children) pids.push(...children.split(' ').map(Number));
  }
  return pids;
}

// CPU seconds of the processes so far.
export function cpuSeconds(pids) {
  return pids.reduce((sum, pid) => {
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ').slice(11, 13).map(Number);
    return sum + (user + system) / tick;
  }, 0);
}

// Whether the process is there and has not ended.
export function runs(pid) {
  try { return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')); } catch { return false; }
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// Ends the processes at once, and waits for the last of them.
export async function kill(pids) {
  for (const pid of pids.filter(runs)) process.kill(pid, 'SIGKILL');
  while (pids.some(runs)) await pause(1);
}

// What `promise` resolves with, or `late()` when it takes longer.
export async function within(seconds, promise, late) {
  let timer;
  const over = new Promise((done) => { timer = setTimeout(() => done(late()), seconds * 1000); });
  try { return await Promise.race([promise, over]); } finally { clearTimeout(timer); }
}

// Sums over processes, in bytes; pss is null when smaps_rollup may not be read (another user's process).
export function memory(pids) {
  const sum = { rss: 0, pss: 0 };
  for (const pid of pids) {
    const read = (name, key) => {
      const found = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${name}`, 'utf8'));
      return Number(found[1]) * 1024;
    };
    sum.rss += read('status', 'VmRSS');
    try { sum.pss += read('smaps_rollup', 'Pss'); } catch { sum.pss = null; }
  }
  return sum;
}

// Operations a second on one core by OpenSSL's own measure.
export function opensslSpeed(prefix) {
  const [program, args] = placed(prefix, 'openssl', ['speed', '-seconds', '1', '-mr', 'ecdsap256', 'ecdhx25519']);
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' });
  const [, sign, verify] = /^\+F4:\d+:256:([\d.]+):([\d.]+)/m.exec(stdout).map(Number);
  const [, exchange] = /^\+F5:\d+:253:([\d.]+)/m.exec(stdout).map(Number);
  return { ecdsa_p256_sign_per_s: sign, ecdsa_p256_verify_per_s: verify, x25519_per_s: exchange };
}
