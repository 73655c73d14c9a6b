// What is measured: for each figure its lines, for each line its sides. `load` is what the load generator is told;
// `shows` are the columns of the table, by the names of the generator's report.
import { subscription } from './brokers.mjs';

const rates = [
  ['msg/s', (r) => r.received_per_s ?? r.acked_per_s, 0],
  ['CPU s per million', (r) => r.server_cpu_s_per_million, 2],
  ['PUBACK p50 us', (r) => r.puback_us.p50, 0],
  ['p99 us', (r) => r.puback_us.p99, 0],
  ['p99.9 us', (r) => r.puback_us.p999, 0],
  ['RSS MiB', (r) => r.memory.rss_bytes / 2 ** 20, 1],
];

const only = (side) => (name) => name === side;
const puller = (token) => ['--pull', subscription, '--token', token];

// 50 publishers, 256 bytes, QoS 1. `all` brings the load of each size.
export function qos1(size) {
  const publish = (...more) => ['publish', '--publishers', '50', '--size', '256', '--run-ms', String(size.runMs), ...more];
  const lines = [];
  for (const transport of ['tls', 'plain']) {
    lines.push({
      line: 'publish', what: '50 publishers, window 20, nobody receives', transport, shows: rates,
      sides: { gatehouse: () => publish(), mosquitto: () => publish() },
    }, {
      line: 'deliver', what: '50 publishers, window 20; Gatehouse: 2 connections pull and acknowledge over REST; '
        + 'mosquitto: 1 subscriber of load/#, or 50 subscribers, one for each (pairs)', transport, shows: rates,
      sides: {
        gatehouse: ({ token }) => publish(...puller(token)),
        mosquitto: () => publish('--subscribers', '1', '--filter', 'load/#'),
        'mosquitto pairs': () => publish('--subscribers', '50'),
        ...(transport === 'tls' ? { 'mosquitto persistent': () => publish('--subscribers', '1', '--filter', 'load/#') } : {}),
      },
    });
  }
  lines.push({
    line: 'paced', what: `50 publishers, ${size.rate} messages a second in all, nobody receives`, transport: 'tls', shows: rates,
    sides: { gatehouse: () => publish('--rate', String(size.rate), '--window', '60'), mosquitto: () => publish('--rate', String(size.rate), '--window', '60') },
  }, {
    line: 'fleet', what: `${size.fleet} publishers, window 1, nobody receives`, transport: 'tls', shows: rates,
    sides: Object.fromEntries(['gatehouse', 'mosquitto'].map((side) => [side,
      () => ['publish', '--publishers', String(size.fleet), '--window', '1', '--size', '256', '--run-ms', String(size.runMs)]])),
  });
  return lines;
}

export function idle(size) {
  const load = () => ['idle', '--count', String(size.idle), '--settle-ms', String(size.settleMs * 2)];
  const columns = [
    ['RSS bytes per device', (r) => r.rss_bytes_per_connection, 0],
    ['RSS MiB before', (r) => r.memory_before.rss_bytes / 2 ** 20, 1],
    ['held', (r) => r.memory_held.rss_bytes / 2 ** 20, 1],
    ['after', (r) => r.memory_after.rss_bytes / 2 ** 20, 1],
  ];
  return ['tls', 'plain'].map((transport) => ({
    line: 'idle', what: `${size.idle} connected devices that say nothing`, transport, shows: columns,
    sides: { gatehouse: load, mosquitto: load },
  }));
}

export function connect(size) {
  const load = () => ['connect', '--count', String(size.connects), '--concurrency', '32'];
  return [{
    line: 'connect', what: `${size.connects} times TCP, TLS 1.3 handshake, CONNECT, DISCONNECT, 32 at a time; Gatehouse verifies an `
      + 'ES256 token at each, mosquitto lets everybody in', transport: 'tls',
    shows: [
      ['connects per server CPU s', (r) => r.connects_per_server_cpu_s, 0],
      ['server CPU us each', (r) => r.server_cpu_s * 1e6 / r.connected, 0],
      ['CONNACK p50 us', (r) => r.connack_us.p50, 0],
      ['p99 us', (r) => r.connack_us.p99, 0],
      ['p99.9 us', (r) => r.connack_us.p999, 0],
      ['RSS MiB after', (r) => r.memory_after.rss_bytes / 2 ** 20, 1],
    ],
    sides: { gatehouse: load, mosquitto: load },
  }];
}

export const startColumns = [
  ['ms to serve', (r) => r.start_ms, 1],
  ['idle PSS MiB', (r) => r.pss === null ? NaN : r.pss / 2 ** 20, 1],
  ['idle RSS MiB', (r) => r.rss / 2 ** 20, 1],
  ['processes', (r) => r.processes, 0],
];
