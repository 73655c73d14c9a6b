// The works of bench/compare: for each what the load generator is told, and how many seconds a run of it may take before
// the broker is killed (`seconds`). A work about connections gives one number of its own (`unit`, `value`), the others the
// CPU time for a delivery. `rounds`: a work that takes long and swings little is not run in more rounds than that. `longer`: so many times --run-ms.
import { connectionWorks } from './connections.mjs';
import { survivalWorks } from './survival.mjs';

const messageSeconds = 20, quietRate = '500', fullRate = '20000';
// A hundredth of the messages of a short run are sooner those of its beginning, when all have just connected, than what a fleet meets.
const pacedLonger = 5;

function messageWorks(quick) {
  const shrink = (args, publishers, subscribers) => (quick ? [...args, '--publishers', publishers, '--subscribers', subscribers] : args);
  const pairs = (...more) => shrink(['pairs', '--qos', ...more], '5', '5');
  const fleet = (...more) => shrink(['fleet', '--qos', '1', ...more], '30', '1');
  const paced = ['--rate', quick ? quietRate : fullRate, '--window', '500'];
  return {
    pairs0: { what: '50 pairs, QoS 0', load: pairs('0') },
    pairs1: { what: '50 pairs, QoS 1', load: pairs('1') },
    'pairs1-durable': { what: '50 pairs, QoS 1, stored sessions', load: pairs('1', '--stored', '1') },
    'pairs1-tls': { what: '50 pairs, QoS 1, TLS 1.3', load: pairs('1'), transport: 'tls' },
    fleet: { what: '1,000 publishers, one in flight, to 1, QoS 1', load: fleet() },
    'fleet-durable': { what: 'the same to a stored session', load: fleet('--stored', '1') },
    in0: { what: '200 to 1, QoS 0', load: shrink(['fan-in', '--qos', '0'], '10', '1') },
    in1: { what: '200 to 1, QoS 1', load: shrink(['fan-in', '--qos', '1'], '10', '1') },
    out0: { what: '1 to 200, QoS 0', load: shrink(['fan-out', '--qos', '0'], '1', '10') },
    out1: { what: '1 to 200, QoS 1', load: shrink(['fan-out', '--qos', '1'], '1', '10') },
    latency: { what: '20,000 messages a second, 50 pairs, QoS 1', load: pairs('1', ...paced), paced: true, longer: pacedLonger },
    'latency-durable': { what: 'the same to stored sessions', load: pairs('1', '--stored', '1', ...paced), paced: true, longer: pacedLonger },
  };
}

export function allWorks(quick) {
  const works = { ...messageWorks(quick), ...survivalWorks(quick), ...connectionWorks(quick) };
  for (const [name, work] of Object.entries(works)) Object.assign(work, { name, seconds: work.seconds ?? messageSeconds });
  return works;
}
