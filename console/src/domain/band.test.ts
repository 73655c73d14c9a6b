import assert from 'node:assert/strict';
import test from 'node:test';
import { along, assess, scaleOf, words, worst } from './band';
import { bytes, fieldLabel, measure, number, power, QUANTITIES } from './quantity';

const [temperature, humidity, co2] = QUANTITIES as unknown as [
  (typeof QUANTITIES)[0], (typeof QUANTITIES)[0], (typeof QUANTITIES)[0],
];

for (const [claim, value, standing, text] of [
  ['the middle is inside', 20, 'inside', 'in band'],
  ['the limit itself belongs to the band', 25, 'near', 'near the limit'],
  ['half a kelvin from the limit is near', 24.6, 'near', 'near the limit'],
  ['a kelvin from it is not', 24, 'inside', 'in band'],
  ['below is said with its distance', 13.8, 'below', '1.2\u00a0°C below band'],
  ['above is said with its distance', 26.5, 'above', '1.5\u00a0°C above band'],
  ['outside never reads as zero', 25.01, 'above', '0.1\u00a0°C above band'],
  ['no value is unknown', null, 'unknown', 'no reading'],
  ['not a number is unknown', Number.NaN, 'unknown', 'no reading'],
] as const) {
  test(claim, () => {
    const found = assess(value, [15, 25], temperature);
    assert.equal(found.standing, standing);
    assert.equal(words(found, temperature), text);
  });
}

test('without a band nothing can be said', () => {
  assert.equal(assess(20, undefined, temperature).standing, 'unknown');
});

test('the physical floor of a one-sided band is no limit to be near to', () => {
  assert.equal(assess(0, [0, 60], humidity).standing, 'inside');
  assert.equal(assess(430, [0, 1000], co2).standing, 'inside');
  assert.equal(assess(980, [0, 1000], co2).standing, 'near');
});

test('the scale holds the band and every value, ends on round numbers, and stays physical', () => {
  const scale = scaleOf([15, 25], [31.2, 14, null], temperature);
  assert.deepEqual(scale, { from: 11, to: 32 });
  assert.deepEqual(scaleOf([0, 1000], [600], co2), { from: 0, to: 1400 });
  assert.equal(scaleOf(undefined, [], temperature).to > 0, true);
});

test('a place on the scale stays between its ends', () => {
  const scale = { from: 10, to: 30 };
  assert.equal(along(20, scale), 0.5);
  assert.equal(along(-50, scale), 0);
  assert.equal(along(99, scale), 1);
});

test('the worst standing wins', () => {
  assert.equal(worst(['inside', 'near', 'above']), 'above');
  assert.equal(worst(['inside', 'unknown']), 'unknown');
  assert.equal(worst([]), 'inside');
});

test('numbers are grouped from five digits on, and zero has no sign', () => {
  assert.equal(number(1234), '1234');
  assert.equal(number(1234567.25, 1), '1\u202f234\u202f567.3');
  assert.equal(number(-3.25, 1), '−3.3');
  assert.equal(number(-0.01, 1), '0.0');
  assert.equal(measure(undefined, temperature), '–');
  assert.equal(power(24000), '24.0\u00a0kW');
  assert.equal(power(850), '850\u00a0W');
  assert.equal(bytes(1536), '1.5\u00a0KiB');
});

test('a field name carries its unit', () => {
  assert.deepEqual(fieldLabel('temperature_c'), { name: 'temperature', unit: '°C' });
  assert.deepEqual(fieldLabel('ghi_wm2'), { name: 'ghi', unit: 'W/m²' });
  assert.deepEqual(fieldLabel('stages'), { name: 'stages', unit: '' });
});
