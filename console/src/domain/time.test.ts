import assert from 'node:assert/strict';
import test from 'node:test';
import { ago, duration, fromUtcInput, parseTime, toUtcInput, utc, utcDay } from './time';

const AT = Date.UTC(2026, 6, 14, 13, 20, 5);
const S = 1000;
const MIN = 60 * S;
const H = 60 * MIN;
const D = 24 * H;

test('times are written in UTC and say so', () => {
  assert.equal(utc(AT), '2026-07-14 13:20:05 UTC');
  assert.equal(utcDay(AT), 'Tue 14 Jul 2026, 13:20');
});

for (const [ms, text] of [
  [-5, '0 s'],
  [59 * S, '59 s'],
  [60 * S, '1 min'],
  [59 * MIN + 59 * S, '59 min'],
  [H, '1 h'],
  [3 * H + 20 * MIN, '3 h 20 min'],
  [D, '1 d'],
  [5 * D + 2 * H + 40 * MIN, '5 d 2 h'],
] as const) {
  test(`a duration of ${ms} ms reads ${text}`, () => assert.equal(duration(ms), text));
}

test('distance from now has a direction, and a second of tolerance', () => {
  assert.equal(ago(AT, AT + S), 'just now');
  assert.equal(ago(AT, AT + 5 * MIN), '5 min ago');
  assert.equal(ago(AT + 2 * H, AT), 'in 2 h');
});

test('what is no time is null, never NaN', () => {
  for (const text of ['', null, undefined, 'yesterday']) assert.equal(parseTime(text), null);
  assert.equal(parseTime('2026-07-14T13:20:05.000Z'), AT);
});

test('the date field is read as UTC and comes back as written', () => {
  const text = toUtcInput(AT);
  assert.equal(text, '2026-07-14T13:20');
  assert.equal(fromUtcInput(text), Date.UTC(2026, 6, 14, 13, 20));
  assert.equal(fromUtcInput('soon'), null);
});
