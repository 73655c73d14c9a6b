// JSON that people write, and bytes that devices send.

export type Reading = { ok: true; value: unknown } | { ok: false; line: number; column: number; message: string };

/** Reads what is in an editor; a mistake comes with its place and with what was expected there. */
export function readJson(text: string): Reading {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch {
    const { at, expected } = mistake(text);
    const before = text.slice(0, at).split('\n');
    return { ok: false, line: before.length, column: (before[before.length - 1]?.length ?? 0) + 1, message: expected };
  }
}

class Mistake {
  constructor(
    readonly at: number,
    readonly expected: string,
  ) {}
}

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

// Engines word the mistakes of JSON.parse differently, and some tell no place. This walks the grammar of RFC 8259
// only to find where it breaks; what a text means is left to the engine.
function mistake(text: string): Mistake {
  try {
    if (text.trim() === '') return new Mistake(0, 'Nothing is written here yet.');
    const end = skip(text, value(text, 0, 0));
    return new Mistake(end, end < text.length ? 'The JSON has ended before this.' : 'This is not JSON.');
  } catch (cause) {
    return cause instanceof Mistake ? cause : new Mistake(0, 'This is not JSON.');
  }
}

function match(pattern: RegExp, text: string, at: number): number | null {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : null;
}

const skip = (text: string, at: number): number => match(SPACE, text, at) ?? at;

function value(text: string, from: number, depth: number): number {
  const at = skip(text, from);
  if (depth > 500) throw new Mistake(at, 'This is nested too deeply.');
  if (text[at] === '{') return members(text, at, '}', depth);
  if (text[at] === '[') return members(text, at, ']', depth);
  if (text[at] === '"') return string(text, at);
  const end = match(SCALAR, text, at);
  if (end === null) throw new Mistake(at, 'A value is expected here.');
  return end;
}

function string(text: string, at: number): number {
  const end = match(STRING, text, at);
  if (end === null) throw new Mistake(at, 'This text does not end, or holds a character that needs a backslash.');
  return end;
}

function members(text: string, open: number, close: '}' | ']', depth: number): number {
  let at = skip(text, open + 1);
  if (text[at] === close) return at + 1;
  for (;;) {
    if (close === '}') {
      if (text[at] !== '"') throw new Mistake(at, 'A name in double quotes is expected here.');
      at = skip(text, string(text, at));
      if (text[at] !== ':') throw new Mistake(at, 'A colon is expected here.');
      at++;
    }
    at = skip(text, value(text, at, depth + 1));
    if (text[at] === close) return at + 1;
    if (text[at] !== ',') throw new Mistake(at, `A comma or ${close} is expected here.`);
    at = skip(text, at + 1);
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
