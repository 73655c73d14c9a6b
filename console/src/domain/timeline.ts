// When a device was connected, from the entries of its trail.

import type { LogEntry } from '../api/types';
import { parseTime } from './time';

export interface Span {
  from: number;
  to: number;
  state: 'connected' | 'disconnected' | 'unknown';
}

export interface Mark {
  at: number;
  entry: LogEntry;
}

/** What a window [from, to) looked like. `connectedNow` is what the device's document says. */
export function spansOf(
  entries: readonly LogEntry[],
  from: number,
  to: number,
  connectedNow: boolean,
): Span[] {
  const changes = entries
    .filter((entry) => entry.kind === 'connect' || entry.kind === 'disconnect')
    .map((entry) => ({ at: parseTime(entry.at) ?? 0, connects: entry.kind === 'connect' }))
    .filter((change) => change.at < to)
    .sort((a, b) => a.at - b.at);
  const spans: Span[] = [];
  const inside = changes.filter((change) => change.at >= from);
  const before = changes.filter((change) => change.at < from).pop();
  let at = from;
  let state = firstState(before, inside[0], connectedNow);
  for (const change of inside) {
    push(spans, at, change.at, state);
    at = change.at;
    state = change.connects ? 'connected' : 'disconnected';
  }
  push(spans, at, to, state);
  return spans;
}

function firstState(
  before: { connects: boolean } | undefined,
  first: { connects: boolean } | undefined,
  connectedNow: boolean,
): Span['state'] {
  if (before) return before.connects ? 'connected' : 'disconnected';
  if (first) return first.connects ? 'disconnected' : 'connected';
  return connectedNow ? 'connected' : 'disconnected';
}

function push(spans: Span[], from: number, to: number, state: Span['state']): void {
  if (to <= from) return;
  const last = spans[spans.length - 1];
  if (last && last.state === state) last.to = to;
  else spans.push({ from, to, state });
}

/** Refusals and denials in the window. */
export function marksOf(entries: readonly LogEntry[], from: number, to: number): Mark[] {
  return entries
    .filter((entry) => entry.kind === 'refusal' || entry.kind.endsWith('_denied'))
    .map((entry) => ({ at: parseTime(entry.at) ?? 0, entry }))
    .filter((mark) => mark.at >= from && mark.at < to);
}

/** The share of the window in which the device was connected, 0…1. */
export function availability(spans: readonly Span[]): number {
  let connected = 0;
  let whole = 0;
  for (const span of spans) {
    whole += span.to - span.from;
    if (span.state === 'connected') connected += span.to - span.from;
  }
  return whole > 0 ? connected / whole : 0;
}

/** Entries counted by reason, most frequent first. */
export function byReason(entries: readonly { reason: string | null }[]): { reason: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { reason } of entries) counts.set(reason ?? '', (counts.get(reason ?? '') ?? 0) + 1);
  return [...counts].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count);
}
