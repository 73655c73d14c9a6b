// What bench/compare has measured, as a table: for each work the median over the rounds and the best of them, for each
// broker beside Gatehouse its figures and Gatehouse's divided by them. A broker that could not do a work has the reason.
import { readFileSync, writeFileSync } from 'node:fs';

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

// `list`: the reports of one broker. `shown`: the two figures of its cell, each with its `digits`.
function summary(work, list, byRate) {
  const { unit, value, also } = work, of = (read) => median(list.map(read)), rounds = list.length;
  const fault = list.map((r) => r.fault).find(Boolean);
  if (unit) {
    const shown = [of(value), Math.min(...list.map(value))], digits = work.digits ?? 0;
    return { rounds, fault, unit, median: shown[0], best: shown[1], also: also?.(list[0]), shown, digits: [digits, digits] };
  }
  const cpu = list.map((r) => r.server_cpu_us_per_delivery);
  const all = {
    rounds, fault, cpu_us: median(cpu), cpu_us_best: Math.min(...cpu), per_s: of((r) => r.received_per_s),
    puback_p50_us: of((r) => r.puback_us?.p50 ?? 0), puback_p99_us: of((r) => r.puback_us?.p99 ?? 0),
    delivery_p50_us: of((r) => r.delivery_us.p50), delivery_p99_us: of((r) => r.delivery_us.p99), rss_mib: of((r) => r.memory.rss_bytes / 2 ** 20),
  };
  // A paced work is about waiting, the others about CPU time. What the load adds to the waiting stands beside.
  if (work.paced) {
    const late = [of((r) => r.lateness_us.p50), of((r) => r.lateness_us.p99)];
    return { ...all, lateness_p50_us: late[0], lateness_p99_us: late[1], also: `sent ${late.map((us) => us.toFixed(0)).join(' / ')} late`,
      shown: [all.delivery_p50_us, all.delivery_p99_us], digits: [0, 0] };
  }
  return byRate ? { ...all, shown: [all.cpu_us, all.per_s], digits: [2, 0] } : { ...all, shown: [all.cpu_us, all.cpu_us_best], digits: [2, 2] };
}

// work -> broker -> its summary, or { why } it has none. `reports`: work -> broker -> reports; `failures`: work -> broker -> why.
// `byRate`: messages a second instead of the best round.
export function summaries(works, reports, failures, byRate) {
  return Object.fromEntries(works.map((work) => {
    const sides = new Set([...Object.keys(reports[work.name] ?? {}), ...Object.keys(failures[work.name] ?? {})]);
    return [work.name, Object.fromEntries([...sides].map((side) => [side,
      failures[work.name]?.[side] ? { why: failures[work.name][side] } : summary(work, reports[work.name][side], byRate)]))];
  }));
}

const ratios = (own, other) => own.map((figure, i) => (figure / other[i]).toFixed(2)).join(' / ');
const figures = ({ shown, digits, also }) => `${shown.map((figure, i) => figure.toFixed(digits[i])).join(' / ')}${also ? `, ${also}` : ''}`;

function cell(own, other) {
  if (!other) return '';
  if (other.why) return `– (${other.why})`;
  const compared = own && own !== other && !own.why ? ` (${ratios(own.shown, other.shown)})` : '';
  return `${figures(other)}${compared}${other.fault ? `; ${other.fault}` : ''}`;
}

// Gatehouse's figures by the least that any other has.
function toTheBest(own, others) {
  const able = others.filter((other) => other && !other.why);
  if (!own || own.why || able.length === 0) return '';
  return `**${ratios(own.shown, own.shown.map((_, i) => Math.min(...able.map(({ shown }) => shown[i]))))}**`;
}

// `sides`: Gatehouse first. `withBest`: a last column of ratios to the best of the others.
export function table(works, sides, all, withBest) {
  const [own, ...others] = sides.map(({ title }) => title);
  const rows = [['work', own, ...others, 'to the best of them'], Array(sides.length + 2).fill('---')];
  for (const work of works) {
    const bySide = all[work.name] ?? {}, mine = bySide[own];
    rows.push([`${work.name}: ${work.what}${work.rounds ? ` (rounds: ${mine?.rounds ?? 0})` : ''}`, ...[own, ...others].map((title) => cell(mine, bySide[title])), toTheBest(mine, others.map((title) => bySide[title]))]);
  }
  return rows.map((row) => `| ${row.slice(0, sides.length + 1 + Number(withBest)).join(' | ')} |`).join('\n');
}

const begin = '<!-- bench/compare: begin -->', end = '<!-- bench/compare: end -->';

// Puts `text` between the marks of the file; one without marks gets it at its end, below a heading.
export function writeBetweenMarks(file, text) {
  const whole = readFileSync(file, 'utf8'), from = whole.indexOf(begin), to = whole.indexOf(end);
  const body = `${begin}\n${text}\n${end}`;
  writeFileSync(file, from >= 0 && to > from
    ? whole.slice(0, from) + body + whole.slice(to + end.length)
    : `${whole.trimEnd()}\n\n## Beside each rival\n\n${body}\n`);
}
