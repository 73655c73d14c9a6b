// Telemetry records as series of numbers, one for each numeric field of each channel.

import type { TelemetryRecord } from '../api/types';
import { parseTime } from './time';

export interface Series {
  key: string; // channel and field: unique
  channel: string;
  field: string; // dotted path inside the payload
  times: number[]; // ms, ascending
  values: number[];
}

export type TimeAxis = 'received' | 'site';

const DEPTH_MAX = 3;
const SERIES_MAX = 24; // a page of charts, not a wall

/** The numbers in a payload by their dotted path. Lists are left out: their places have no names. */
export function numbersOf(data: unknown, prefix = '', depth = 0): [string, number][] {
  if (typeof data === 'number') return Number.isFinite(data) ? [[prefix || 'value', data]] : [];
  if (typeof data !== 'object' || data === null || Array.isArray(data) || depth >= DEPTH_MAX) return [];
  return Object.entries(data).flatMap(([key, value]) =>
    numbersOf(value, prefix ? `${prefix}.${key}` : key, depth + 1),
  );
}

/** When a record counts: as received, or by the clock of the site when its payload tells that. */
export function recordTime(record: TelemetryRecord, axis: TimeAxis): number | null {
  if (axis === 'site' && typeof record.data === 'object' && record.data !== null) {
    const told = (record.data as Record<string, unknown>).site_time;
    return typeof told === 'string' ? parseTime(told) : null;
  }
  return parseTime(record.at);
}

export function hasSiteTime(records: readonly TelemetryRecord[]): boolean {
  return records.some((record) => recordTime(record, 'site') !== null);
}

export function seriesOf(records: readonly TelemetryRecord[], axis: TimeAxis = 'received'): Series[] {
  const found = new Map<string, Series>();
  for (const record of records) {
    const at = recordTime(record, axis);
    if (at === null) continue;
    for (const [field, value] of numbersOf(record.data)) append(found, record.channel, field, at, value);
  }
  for (const series of found.values()) sortByTime(series);
  return [...found.values()].sort((a, b) => a.key.localeCompare(b.key));
}

function append(found: Map<string, Series>, channel: string, field: string, at: number, value: number): void {
  const key = `${channel} ${field}`;
  let series = found.get(key);
  if (!series) {
    if (found.size >= SERIES_MAX) return;
    series = { key, channel, field, times: [], values: [] };
    found.set(key, series);
  }
  series.times.push(at);
  series.values.push(value);
}

function sortByTime(series: Series): void {
  const { times, values } = series;
  if (times.every((at, i) => i === 0 || at >= (times[i - 1] ?? 0))) return;
  const order = times.map((_, i) => i).sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0));
  series.times = order.map((i) => times[i] ?? 0);
  series.values = order.map((i) => values[i] ?? 0);
}

/** The list with a live record at its end; records before `from` and beyond `limit` fall off its start. */
export function appendRecord(
  records: readonly TelemetryRecord[],
  record: TelemetryRecord,
  from: number,
  limit: number,
): TelemetryRecord[] {
  const kept = records.filter((item) => (parseTime(item.at) ?? 0) >= from);
  kept.push(record);
  return kept.length > limit ? kept.slice(kept.length - limit) : kept;
}

export interface Summary {
  last: number;
  least: number;
  most: number;
  mean: number;
}

export function summary(values: readonly number[]): Summary | null {
  const last = values[values.length - 1];
  if (last === undefined) return null;
  let least = last;
  let most = last;
  let sum = 0;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
    sum += value;
  }
  return { last, least, most, mean: sum / values.length };
}

/** Several series over one axis, as uPlot wants them: a value or null for each time. */
export function joined(series: readonly Series[]): { times: number[]; columns: (number | null)[][] } {
  const times = [...new Set(series.flatMap((item) => item.times))].sort((a, b) => a - b);
  const place = new Map(times.map((at, i) => [at, i]));
  const columns = series.map((item) => {
    const column = new Array<number | null>(times.length).fill(null);
    item.times.forEach((at, i) => {
      column[place.get(at) ?? 0] = item.values[i] ?? null;
    });
    return column;
  });
  return { times, columns };
}
