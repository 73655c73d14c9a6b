// The audit trail in words: what a row tells, and whether the trail holds.

import type { AuditRow, AuditVerdict } from '../api/types';

export const RESULTS: readonly { result: AuditRow['result']; title: string; meaning: string }[] = [
  { result: 'done', title: 'Done', meaning: 'It was allowed, and it happened.' },
  { result: 'refused', title: 'Refused', meaning: 'Whoever called is not known here, or may not do this. Nothing was changed.' },
  { result: 'failed', title: 'Failed', meaning: 'It was allowed, and it did not happen; the code says why.' },
  { result: 'begun', title: 'Begun', meaning: 'It was allowed and set going. The row was written before its effect; how it ended is in the device’s log.' },
];

export const resultTitle = (result: string): string => RESULTS.find((item) => item.result === result)?.title ?? result;
export const resultMeaning = (result: string): string => RESULTS.find((item) => item.result === result)?.meaning ?? '';

const METHODS: Record<string, string> = {
  session: 'signed in to the console',
  password: 'with name and password',
  token: 'with a bearer token',
  device: 'as a device',
  socket: 'on the server’s own host',
  owner: 'on a server that was not running',
  system: 'the server itself',
  none: 'without any proof',
};
export const methodWords = (method: string): string => METHODS[method] ?? method;

/** Who did it. A name that was forgotten leaves its pseudonym, of which some digits tell rows of one person apart. */
export function actorWords(row: AuditRow): string {
  if (row.actor) return row.actor;
  if (row.actor_id) return `forgotten (${row.actor_id.slice(0, 8)})`;
  return row.method === 'system' ? 'Gatehouse' : 'unknown';
}

/** The object without what every path begins with. */
export const objectWords = (object: string): string => object.replace(/^\/api\/v1\/|^\/v1\//, '');

export interface State {
  tone: 'good' | 'bad' | 'warn';
  title: string;
  text: string;
  advice: string;
}

const ADVICE: Record<string, string> = {
  changed: 'Somebody has changed the database from outside. Keep a copy of the data folder as it is, then restore a backup from before.',
  missing: 'Somebody has removed rows from the database. Keep a copy of the data folder as it is, then restore a backup from before.',
  truncated: 'The newest rows were removed from the database. Keep a copy of the data folder as it is; the checkpoints that were exported say how far it went.',
  rewritten: 'Rows were replaced by others that fit each other, but not the checkpoint that was signed. Keep a copy of the data folder as it is.',
  unsigned: 'A checkpoint was replaced, or the key is another one. Compare the key with the copy that you keep elsewhere.',
};

/** Whether the trail holds, in words for a person who has never heard of hashes. */
export function stateOf(verdict: AuditVerdict): State {
  if (verdict.verdict !== 'whole')
    return { tone: 'bad', title: 'The trail does not hold', text: sentence(verdict.text), advice: ADVICE[verdict.verdict] ?? '' };
  if (!verdict.trail.writable)
    return {
      tone: 'bad',
      title: 'The trail cannot be written',
      text: 'Every change is refused until it can be; devices go on.',
      advice: 'Free space on the file system of the data folder.',
    };
  const open = verdict.last - verdict.signed_seq;
  return {
    tone: open > 2000 ? 'warn' : 'good',
    title: 'The trail holds',
    text: `Rows ${verdict.first} to ${verdict.last} are as they were written. ${vouched(verdict)}${open > 0 ? `; the ${open} newest wait for the next checkpoint` : ''}.`,
    advice: 'That nothing was cut off the end is shown by checkpoints that are kept elsewhere: gatehouse audit verify --checkpoints FILE.',
  };
}

const vouched = ({ checkpoints, signed_seq }: AuditVerdict): string =>
  checkpoints === 0 ? 'Nothing has been signed yet' : `${checkpoints === 1 ? 'One signed checkpoint vouches' : `${checkpoints} signed checkpoints vouch`} for all up to row ${signed_seq}`;

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
