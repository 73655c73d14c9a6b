// What a machine was told, what it says it does, and whether the two agree.

import type { Equipment } from '../api/types';

export type Agreement = 'silent' | 'fault' | 'local' | 'differs' | 'agrees';

export function agreement(machine: Equipment): Agreement {
  if (machine.reported === null || machine.reported === undefined) return 'silent';
  if (!machine.ok) return 'fault'; // silent, or on without effect: the hall's alarms say which
  if (machine.commanded === null || machine.commanded === undefined) return 'local';
  return Math.abs(machine.commanded - machine.reported) > 0.005 ? 'differs' : 'agrees';
}

export const AGREEMENT_WORDS: Record<Agreement, string> = {
  silent: 'does not report',
  fault: 'in trouble, see the alarms',
  local: 'runs on its own',
  differs: 'differs from command',
  agrees: 'as commanded',
};

const STAGES_TOLD_MAX = 6; // more are a dial, not stages

/** "off", "1 of 2", "60 %": a level in words. */
export function level(value: number | null | undefined, stages: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (value === 0) return 'off';
  if (stages && stages > 1 && stages <= STAGES_TOLD_MAX && Number.isInteger(value)) return `${value} of ${stages}`;
  if (value === 1 && !(stages && stages > 1)) return 'on';
  return `${Math.round((value / (stages && stages > 1 ? stages : 1)) * 100)}\u00a0%`;
}

/** 0…1: how much of what the machine can do. */
export function share(value: number | null | undefined, stages: number | null | undefined): number {
  if (!value) return 0;
  return Math.min(1, Math.max(0, value / Math.max(1, stages ?? 1)));
}

const NAMES: Record<string, string> = {
  heating: 'Heating',
  cooling: 'Cooling',
  ventilation: 'Ventilation',
  dehumidifier: 'Dehumidifier',
};

export function equipmentName(kind: string): string {
  return NAMES[kind] ?? kind;
}
