// The works of bench/compare that are about connections, not messages: what an idle one holds, what a handshake costs,
// what is left when all have gone, and a fleet that comes back at once. Each gives one number, of which less is better.

const idleBytes = { unit: 'bytes', value: (r) => r.rss_bytes_per_connection };
const cpuEach = { unit: 'us', value: (r) => r.server_cpu_s * 1e6 / r.connected };
const leftMib = { unit: 'MiB', digits: 1, value: (r) => (r.memory_after.rss_bytes - r.memory_before.rss_bytes) / 2 ** 20 };

export function connectionWorks(quick) {
  const count = quick ? '50' : '10000', connects = quick ? '60' : '3000', mutual = quick ? '60' : '1000';
  const settle = (ms) => ['--settle-ms', quick ? '200' : ms];
  // What letting them in took is given back by then.
  const idle = ['idle', '--count', count, '--concurrency', '64', ...settle('8000')];
  const connect = (times) => ['connect', '--count', times, '--concurrency', '32', ...settle('1000')];
  const many = { seconds: 60, rounds: 5 }, most = { seconds: 150, rounds: 1 }, handshakes = { seconds: 40 };
  return {
    idle: { ...many, what: `${count} idle connections, resident bytes of each`, load: idle, ...idleBytes },
    'idle-tls': { ...many, what: 'the same with TLS 1.3', load: idle, transport: 'tls', ...idleBytes },
    'idle-mutual': { ...most, what: 'the same with client certificates', load: idle, transport: 'mutual', ...idleBytes },
    'tls-full': { ...handshakes, what: 'TLS 1.3 handshake, CONNECT, DISCONNECT; CPU microseconds', load: connect(connects), transport: 'tls', ...cpuEach },
    'tls-resumed': { ...handshakes, what: 'the same with the ticket of the time before', load: [...connect(connects), '--resume', '1'], transport: 'tls', ...cpuEach },
    'tls-mutual': { ...handshakes, what: 'the same with a client certificate, by its CA', load: connect(mutual), transport: 'mutual', ...cpuEach },
    'tls-mutual-registered': { ...handshakes, what: 'the same with one that is registered (here; the others know the CA)', load: connect(mutual), transport: 'registered', ...cpuEach },
    'tls-mutual-resumed': { ...handshakes, what: 'the same with certificate and ticket', load: [...connect(mutual), '--resume', '1'], transport: 'mutual', ...cpuEach },
    'memory-back': { ...many, what: `${count} TLS connections have come and gone; MiB more than before`, load: [...idle, ...settle('6000')], transport: 'tls', ...leftMib },
    'power-cut': { ...most, what: `${count} devices with certificates come back at once; CPU microseconds of each`,
      load: ['power-cut', ...idle.slice(1), ...settle('3000'), '--resume', '1'], transport: 'mutual', unit: 'us',
      value: (r) => r.back.server_cpu_s * 1e6 / r.connected, also: (r) => `${r.back.seconds.toFixed(1)} s` },
  };
}

// Connections of `work` at a time, at most.
export const connectionsOf = (work) => Number(work.load[work.load.indexOf('--count') + 1]);
