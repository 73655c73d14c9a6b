// The four quantities of a hall's air, and numbers with their units.

import type { Quantity } from '../api/types';

export interface QuantityFacts {
  key: Quantity;
  name: string;
  unit: string;
  digits: number;
  step: number; // the gauge's scale ends on multiples of it
  floor: number; // physics: nothing is below
  near: number; // so close to a limit is worth a look; control may rest a little inside the edge
}

export const QUANTITIES: readonly QuantityFacts[] = [
  { key: 'temperature_c', name: 'Temperature', unit: '°C', digits: 1, step: 1, floor: -273.15, near: 0.5 },
  { key: 'humidity_pct', name: 'Relative humidity', unit: '%', digits: 0, step: 5, floor: 0, near: 2 },
  { key: 'co2_ppm', name: 'Carbon dioxide', unit: 'ppm', digits: 0, step: 100, floor: 0, near: 50 },
  { key: 'pm25_ugm3', name: 'Fine dust PM2.5', unit: 'µg/m³', digits: 1, step: 5, floor: 0, near: 1 },
];

/** "1 234.5", with a thin no-break space between thousands and a true minus. */
export function number(value: number, digits = 0): string {
  const fixed = Math.abs(value).toFixed(digits);
  const [whole = '0', fraction] = fixed.split('.');
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, '\u202f') : whole;
  const sign = value < 0 && Number(fixed) !== 0 ? '−' : '';
  return sign + grouped + (fraction ? `.${fraction}` : '');
}

export function measure(value: number | null | undefined, facts: QuantityFacts): string {
  return typeof value === 'number' && Number.isFinite(value)
    ? `${number(value, facts.digits)}\u00a0${facts.unit}`
    : '–';
}

/** "24.0 kW", "850 W" */
export function power(watts: number): string {
  return Math.abs(watts) >= 1000 ? `${number(watts / 1000, 1)}\u00a0kW` : `${number(watts)}\u00a0W`;
}

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function bytes(count: number): string {
  let rest = count;
  let unit = 0;
  while (rest >= 1024 && unit < BINARY.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${number(rest, unit === 0 ? 0 : 1)}\u00a0${BINARY[unit]}`;
}

// Field names end in their unit; what stands behind the last underscore of a known one is the unit.
const UNITS: Record<string, string> = {
  c: '°C', pct: '%', ppm: 'ppm', ugm3: 'µg/m³', w: 'W', kw: 'kW', wh: 'Wh', kwh: 'kWh', wm2: 'W/m²',
  pa: 'Pa', hpa: 'hPa', kpa: 'kPa', s: 's', ms: 'ms', v: 'V', a: 'A', hz: 'Hz', lux: 'lx', m: 'm', kg: 'kg',
};

/** "temperature_c" is shown as "temperature" in °C. */
export function fieldLabel(field: string): { name: string; unit: string } {
  const cut = field.lastIndexOf('_');
  const unit = cut > 0 ? UNITS[field.slice(cut + 1)] : undefined;
  const name = unit ? field.slice(0, cut) : field;
  return { name: name.replace(/_/g, ' '), unit: unit ?? '' };
}
