// A work of bench/compare: how fast messages are stored for a subscriber that is away, and how many acknowledged ones are
// lost when the broker is killed (kill -9) the moment the last PUBACK has come. Then it starts again on what its disk has.
const count = (quick) => ['--stored', '1', '--count', quick ? '500' : '20000'];

export const survivalWorks = (quick) => ({
  store: {
    what: `${count(quick)[3]} messages of QoS 1 stored, then kill -9; microseconds of each`, unit: 'us',
    load: ['store', ...count(quick), '--kill', '1'], seconds: 30, digits: 1, collect: ['collect', ...count(quick), '--settle-ms', quick ? '1000' : '600'],
    value: (r) => 1e6 / r.acked_per_s,
    also: (r) => `${Math.round(r.acked_per_s / 1000)}k/s, ${r.server_cpu_us_per_message.toFixed(1)} us CPU, lost ${r.lost}`,
  },
});

// `load(args)` runs the load generator on the side; its report, with `why` when it had to be ended. Whoever calls ends the broker then.
export async function survive(side, work, load) {
  await side.start({ persistent: true });
  const stored = await load(work.load);
  if (stored.failed) return stored;
  await side.killed();
  await side.start({ persistent: true, again: true });
  const taken = await load(work.collect);
  if (taken.why) return taken;
  await side.stop();
  const failed = taken.failed || (side.promises && (taken.lost !== 0 || taken.duplicates !== 0));
  return { ...stored, failed, refused: 0, lost: taken.lost, duplicates: taken.duplicates };
}
