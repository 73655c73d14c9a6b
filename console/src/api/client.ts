// Requests to the native API. Every failure becomes a Problem that says what failed, where, and what to do.

export class Problem extends Error {
  readonly status: number; // 0: no answer at all
  readonly code: string;
  readonly where: string;
  readonly action: string;
  readonly retryAfterS: number | null;

  constructor(facts: {
    status: number;
    code: string;
    message: string;
    where: string;
    action: string;
    retryAfterS?: number | null;
  }) {
    super(facts.message);
    this.status = facts.status;
    this.code = facts.code;
    this.where = facts.where;
    this.action = facts.action;
    this.retryAfterS = facts.retryAfterS ?? null;
  }
}

const BASE = '/api/v1';
const TIMEOUT_MS = 20_000;

// What a person can do when the server's answer does not say it.
const ADVICE: Record<number, string> = {
  0: 'Check that the server runs and that this machine reaches it, then try again.',
  400: 'Correct the input and send it again.',
  401: 'Sign in again.',
  403: 'Ask an administrator for a role that allows this.',
  404: 'It may have been deleted; go back to the list and look for it there.',
  409: 'Somebody else changed it in the meantime; load it again, then repeat the change.',
  413: 'Make it smaller.',
  429: 'Wait a little, then try again.',
  500: 'Look for this code in the server’s log.',
  503: 'The server is busy or starting; try again in a few seconds.',
};

type Listener = () => void;
let signedOut: Listener = () => {};

/** Called when the server no longer knows this session. */
export function onSignedOut(listener: Listener): void {
  signedOut = listener;
}

/** A path below /api/v1, each part escaped. */
export function apiPath(...parts: string[]): string {
  return '/' + parts.map(encodeURIComponent).join('/');
}

/** The query with its empty values left out. */
export function query(values: Record<string, string | number | undefined | null>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

export interface CallOptions {
  body?: unknown;
  signal?: AbortSignal;
}

export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const where = `${method} ${BASE}${path}`;
  const answer = await send(method, path, options, where);
  const text = await answer.text();
  if (!answer.ok) {
    const problem = problemOf(answer.status, text, where, answer.headers.get('retry-after'));
    if (answer.status === 401 && !path.startsWith('/session')) signedOut();
    throw problem;
  }
  if (text === '') return {} as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new Problem({
      status: answer.status,
      code: '',
      where,
      message: 'The server’s answer is not JSON.',
      action: 'A proxy between this browser and the server may have answered instead; check its log.',
    });
  }
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> =>
  call<T>('GET', path, signal ? { signal } : {});

async function send(method: string, path: string, options: CallOptions, where: string): Promise<Response> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(new DOMException('timeout', 'TimeoutError')), TIMEOUT_MS);
  const give_up = () => deadline.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', give_up);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') headers['x-gatehouse'] = '1'; // what a foreign page cannot send
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetch(BASE + path, {
      method,
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: deadline.signal,
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    const late = deadline.signal.aborted;
    throw new Problem({
      status: 0,
      code: '',
      where,
      message: late
        ? `The server did not answer within ${TIMEOUT_MS / 1000} seconds.`
        : 'The server cannot be reached.',
      action: ADVICE[0] ?? '',
    });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', give_up);
  }
}

/** The Problem in an error answer; `text` is its body, whatever it holds. */
export function problemOf(status: number, text: string, where: string, retryAfter: string | null): Problem {
  let error: Record<string, unknown> = {};
  try {
    const body = JSON.parse(text) as { error?: Record<string, unknown> } | null;
    if (body?.error && typeof body.error === 'object') error = body.error;
  } catch {
    /* not ours: a proxy's page, or nothing */
  }
  const wait = Number(error.retry_after_s ?? retryAfter ?? NaN);
  return new Problem({
    status,
    code: textOf(error.code),
    where,
    message: textOf(error.message) || `The server answered with status ${status}.`,
    action: textOf(error.action) || ADVICE[status] || ADVICE[status >= 500 ? 500 : 400] || '',
    retryAfterS: Number.isFinite(wait) ? wait : null,
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Any thrown value as a Problem; null for a request that was called off. */
export function asProblem(cause: unknown): Problem | null {
  if (cause instanceof Problem) return cause;
  if (cause instanceof DOMException && cause.name === 'AbortError') return null;
  return new Problem({
    status: 0,
    code: '',
    where: 'the console itself',
    message: cause instanceof Error ? cause.message : String(cause),
    action: 'Reload the page; if it happens again, report it with this text.',
  });
}
