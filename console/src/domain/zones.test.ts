import assert from 'node:assert/strict';
import test from 'node:test';
import type { Equipment, Zone } from '../api/types';
import { agreement, level, share } from './equipment';
import { completeZone, hallState, holdZones, isStale, siteClock, STALE_MS, upsertZone } from './zones';

function zone(name: string, over: Partial<Zone> = {}): Zone {
  return completeZone({
    tenant: 'demo', zone: name, season: 'winter', site_time: '2026-01-10T12:00:00.000Z', speed: 60,
    band: { temperature_c: [15, 25], humidity_pct: [30, 60], co2_ppm: [0, 1000], pm25_ugm3: [0, 15] },
    reading: { temperature_c: 18, humidity_pct: 45, co2_ppm: 600, pm25_ugm3: 5 },
    updated_at: '2026-01-10T12:00:00.000Z', ...over,
  }) as Zone;
}

test('a document takes the place of its older one and keeps the order by name', () => {
  let held = holdZones([zone('hall-10'), zone('hall-2')], 0);
  assert.deepEqual(held.map((item) => item.zone.zone), ['hall-2', 'hall-10']);
  held = upsertZone(held, zone('hall-2', { season: 'spring', updated_at: '2026-01-10T12:00:01.000Z' }), 5);
  assert.equal(held.length, 2);
  assert.equal(held[0]?.zone.season, 'spring');
  assert.equal(held[0]?.heldAt, 5);
});

test('a late document changes nothing', () => {
  const held = holdZones([zone('hall-1')], 0);
  const next = upsertZone(held, zone('hall-1', { season: 'x', updated_at: '2026-01-10T11:59:59.000Z' }), 9);
  assert.equal(next[0]?.zone.season, 'winter');
});

test('the site clock runs at the speed of the site', () => {
  const [held] = holdZones([zone('hall-1')], 1000);
  assert.ok(held);
  assert.equal(siteClock(held, 1000), Date.parse('2026-01-10T12:00:00Z'));
  assert.equal(siteClock(held, 2000), Date.parse('2026-01-10T12:01:00Z'));
  assert.equal(siteClock({ zone: zone('x', { site_time: null }), heldAt: 0 }, 0), null);
});

test('old numbers are noticed', () => {
  const [held] = holdZones([zone('hall-1')], 0);
  assert.ok(held);
  assert.equal(isStale(held, STALE_MS), false);
  assert.equal(isStale(held, STALE_MS + 1), true);
});

test('the state of a hall names what is outside and counts what is silent', () => {
  const state = hallState(zone('hall-1', {
    reading: { temperature_c: 27, humidity_pct: 45, co2_ppm: 600, pm25_ugm3: null },
    probes: [{ device: 'a', kind: 'climate', ok: false, at: null }],
    equipment: [machine({ power_w: 500 }), machine({ power_w: null, ok: false })],
    alarms: [{ kind: 'temperature', text: 'too warm', since: null }],
  }));
  assert.deepEqual(state, {
    standing: 'above', outside: ['Temperature'], silent: 2, alarms: 1, powerW: 500,
  });
});

test('a hall that has only an id gets a name for people', () => {
  assert.equal(completeZone({ tenant: 'demo', zone: 'hall-1', name: 'hall-1' })?.name, 'Hall 1');
  assert.equal(completeZone({ tenant: 'demo', zone: 'h1', name: 'North wing' })?.name, 'North wing');
});

test('a document with nothing but its name still makes a page', () => {
  assert.equal(completeZone({ tenant: 'demo', zone: 'hall-1' })?.alarms.length, 0);
  assert.equal(completeZone({ tenant: 'demo' }), null);
});

function machine(over: Partial<Equipment>): Equipment {
  return { device: 'm', kind: 'heating', ok: true, commanded: 1, reported: 1, stages: 2, power_w: 0, since: null, ...over };
}

test('commanded and reported are compared, and silence comes first', () => {
  assert.equal(agreement(machine({})), 'agrees');
  assert.equal(agreement(machine({ reported: 0 })), 'differs');
  assert.equal(agreement(machine({ commanded: null })), 'local');
  assert.equal(agreement(machine({ reported: null })), 'silent');
  assert.equal(agreement(machine({ ok: false })), 'fault');
});

test('levels read as stages, percent, on and off', () => {
  assert.equal(level(0, 2), 'off');
  assert.equal(level(1, 2), '1 of 2');
  assert.equal(level(1, 1), 'on');
  assert.equal(level(3, 25), '12\u00a0%');
  assert.equal(level(1, 25), '4\u00a0%');
  assert.equal(level(0.6, 1), '60\u00a0%');
  assert.equal(level(null, 2), '–');
  assert.equal(share(1, 2), 0.5);
  assert.equal(share(3, 2), 1);
});
