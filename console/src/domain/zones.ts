// The halls as the stream changes them, and what is said about them.

import type { Zone } from '../api/types';
import { assess, worst, type Standing } from './band';
import { QUANTITIES } from './quantity';
import { parseTime } from './time';

/** A zone and when this console got it, on the local monotonic clock. */
export interface HeldZone {
  zone: Zone;
  heldAt: number;
}

/** The list with this document in its place. A document older than the one held changes nothing. */
export function upsertZone(held: readonly HeldZone[], zone: Zone, now: number): HeldZone[] {
  const same = held.findIndex((item) => item.zone.tenant === zone.tenant && item.zone.zone === zone.zone);
  const before = held[same];
  if (before && isOlder(zone, before.zone)) return [...held];
  const next = { zone, heldAt: now };
  const list = before ? held.map((item, i) => (i === same ? next : item)) : [...held, next];
  return list.sort((a, b) => order(a.zone).localeCompare(order(b.zone), 'en', { numeric: true }));
}

export function holdZones(zones: readonly Zone[], now: number): HeldZone[] {
  return zones.reduce<HeldZone[]>((held, zone) => upsertZone(held, zone, now), []);
}

function isOlder(zone: Zone, than: Zone): boolean {
  const a = parseTime(zone.updated_at);
  const b = parseTime(than.updated_at);
  return a !== null && b !== null && a < b;
}

function order(zone: Zone): string {
  return `${zone.tenant}/${zone.name || zone.zone}`;
}

/** The site's own clock, carried on from the last document at the site's speed. */
export function siteClock(held: HeldZone, now: number): number | null {
  const at = parseTime(held.zone.site_time);
  if (at === null) return null;
  const speed = Number.isFinite(held.zone.speed) ? held.zone.speed : 1;
  return at + Math.max(0, now - held.heldAt) * speed;
}

export const STALE_MS = 60_000;

/** A hall whose document does not change any more shows old numbers, and must say so. */
export function isStale(held: HeldZone, now: number): boolean {
  return now - held.heldAt > STALE_MS;
}

export interface HallState {
  standing: Standing;
  outside: string[]; // quantities beyond their band
  silent: number; // probes and machines that do not report
  alarms: number;
  powerW: number;
}

export function hallState(zone: Zone): HallState {
  const standings = QUANTITIES.map((facts) => ({
    name: facts.name,
    standing: assess(zone.reading?.[facts.key], zone.band[facts.key], facts).standing,
  }));
  return {
    standing: worst(standings.map((item) => item.standing)),
    outside: standings
      .filter((item) => item.standing === 'below' || item.standing === 'above')
      .map((item) => item.name),
    silent: [...zone.probes, ...zone.equipment].filter((item) => !item.ok).length,
    alarms: zone.alarms.length,
    powerW: zone.equipment.reduce((sum, machine) => sum + (machine.power_w ?? 0), 0),
  };
}

/** "hall-1" as "Hall 1". */
function spoken(id: string): string {
  const words = id.replace(/[-_]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A document from the wire with every list there is, so that the page need not ask. */
export function completeZone(raw: Partial<Zone>): Zone | null {
  if (typeof raw.tenant !== 'string' || typeof raw.zone !== 'string') return null;
  return {
    tenant: raw.tenant,
    zone: raw.zone,
    name: raw.name && raw.name !== raw.zone ? raw.name : spoken(raw.zone),
    season: raw.season ?? '',
    mode: raw.mode ?? 'auto',
    site_time: raw.site_time ?? null,
    speed: raw.speed ?? 1,
    band: raw.band ?? {},
    reading: raw.reading ?? null,
    outdoor: raw.outdoor ?? null,
    probes: Array.isArray(raw.probes) ? raw.probes : [],
    equipment: Array.isArray(raw.equipment) ? raw.equipment : [],
    alarms: Array.isArray(raw.alarms) ? raw.alarms : [],
    updated_at: raw.updated_at ?? null,
  };
}

