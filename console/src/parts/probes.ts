// What the single probes of a hall say.

import type { Quantity, Zone } from '../api/types';

/** Values of the probes that work, for one quantity; a single one says no more than the hall's own reading. */
export function probeValues(zone: Zone, key: Quantity): number[] {
  const values = zone.probes
    .filter((probe) => probe.ok)
    .map((probe) => probe[key])
    .filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  return values.length > 1 ? values : [];
}
