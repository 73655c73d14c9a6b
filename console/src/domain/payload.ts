// JSON that people write, and bytes that devices send.

export type Reading = { ok: true; value: unknown } | { ok: false; line: number; column: number; message: string };

/** Reads what is in an editor; a mistake comes with its place. */
export function readJson(text: string): Reading {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch (cause) {
    const offset = mistakeAt(text, cause instanceof Error ? cause.message : '');
    const before = text.slice(0, offset).split('\n');
    return {
      ok: false,
      line: before.length,
      column: (before[before.length - 1]?.length ?? 0) + 1,
      message: text.trim() === '' ? 'Nothing is written here yet.' : 'This is not JSON.',
    };
  }
}

// Engines word their messages differently, and some give no place: then the longest prefix that can still
// become JSON is looked for by halving, with the engine as the judge of "unexpected end".
function mistakeAt(text: string, message: string): number {
  const position = /position (\d+)/.exec(message);
  if (position) return Math.min(Number(position[1]), text.length);
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (canGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function canGoOn(prefix: string): boolean {
  try {
    JSON.parse(prefix);
    return true;
  } catch (cause) {
    return /end of|Unterminated|EOF/i.test(cause instanceof Error ? cause.message : '');
  }
}

/** Text as base64 of its UTF-8 bytes. */
export function toBase64(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** A document as text: JSON with indentation, text where it is text, else its bytes in hexadecimal. */
export function payloadText(document: { data?: unknown; data_base64?: string | undefined }): string {
  if (document.data !== undefined && document.data !== null) return JSON.stringify(document.data, null, 2);
  if (!document.data_base64) return '';
  const bytes = fromBase64(document.data_base64);
  if (bytes === null) return document.data_base64;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  }
}

function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

export interface DiffLine {
  sign: ' ' | '+' | '−';
  text: string;
}

const DIFF_LINES_MAX = 400;

/** Line by line, what changes from one text to the other (longest common subsequence). */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split('\n').slice(0, DIFF_LINES_MAX);
  const b = after.split('\n').slice(0, DIFF_LINES_MAX);
  const common: number[][] = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    const row = common[i];
    if (!row) continue;
    for (let j = b.length - 1; j >= 0; j--) {
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ sign: ' ', text: a[i] ?? '' });
      i++;
      j++;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: '−', text: a[i++] ?? '' });
    } else {
      lines.push({ sign: '+', text: b[j++] ?? '' });
    }
  }
  return lines;
}
