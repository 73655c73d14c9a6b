// Where a value stands against its band, and the scale on which both are drawn.

import type { Range } from '../api/types';
import { number, type QuantityFacts } from './quantity';

export type Standing = 'inside' | 'near' | 'below' | 'above' | 'unknown';

export interface Assessment {
  standing: Standing;
  beyond: number; // how far outside; 0 inside
}

export function assess(
  value: number | null | undefined,
  band: Range | undefined,
  facts: QuantityFacts,
): Assessment {
  if (typeof value !== 'number' || !Number.isFinite(value) || !band) return { standing: 'unknown', beyond: 0 };
  const [low, high] = band;
  if (value < low) return { standing: 'below', beyond: low - value };
  if (value > high) return { standing: 'above', beyond: value - high };
  const margin = Math.min(facts.near, (high - low) / 4);
  const near = high - value < margin || (low > facts.floor && value - low < margin);
  return { standing: near ? 'near' : 'inside', beyond: 0 };
}

/** "in band", "0.8 °C above band": the words beside the gauge. */
export function words(assessment: Assessment, facts: QuantityFacts): string {
  const { standing, beyond } = assessment;
  if (standing === 'unknown') return 'no reading';
  if (standing === 'inside') return 'in band';
  if (standing === 'near') return 'near the limit';
  // Rounded up: what is outside must not read as "0 above".
  const least = 10 ** -facts.digits;
  return `${number(Math.max(beyond, least), facts.digits)}\u00a0${facts.unit} ${standing} band`;
}

export interface Scale {
  from: number;
  to: number;
}

/** A scale with the band in its middle part, wide enough for all values, ending on round numbers. */
export function scaleOf(
  band: Range | undefined,
  values: readonly (number | null | undefined)[],
  facts: QuantityFacts,
): Scale {
  const shown = values.filter((value): value is number => typeof value === 'number' && Number.isFinite(value));
  const [low, high] = band ?? [Math.min(...shown, Infinity), Math.max(...shown, -Infinity)];
  if (!Number.isFinite(low) || !Number.isFinite(high)) return { from: 0, to: facts.step };
  const room = Math.max((high - low) * 0.4, facts.step);
  const from = Math.min(low - room, ...shown.map((value) => value - facts.step / 2));
  const to = Math.max(high + room, ...shown.map((value) => value + facts.step / 2));
  return {
    from: Math.max(facts.floor, Math.floor(from / facts.step) * facts.step),
    to: Math.ceil(to / facts.step) * facts.step,
  };
}

/** 0…1 along the scale, never outside. */
export function along(value: number, scale: Scale): number {
  const share = (value - scale.from) / (scale.to - scale.from);
  return Math.min(1, Math.max(0, share));
}

const RANK: Record<Standing, number> = { inside: 0, unknown: 1, near: 2, below: 3, above: 3 };

/** The standing that matters most among several. */
export function worst(standings: readonly Standing[]): Standing {
  return standings.reduce<Standing>((a, b) => (RANK[b] > RANK[a] ? b : a), 'inside');
}

