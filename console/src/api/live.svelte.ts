// The live stream of the page that is shown: one connection, opened again whenever it breaks.
//
// fetch() instead of EventSource: it tells 401 from a broken line, and sees the server's comment lines, so that a
// silent connection is noticed. While the tab is hidden the stream rests, because a browser grants one origin
// only six connections over all its tabs.

import { asProblem, get, query } from './client';
import { sseRead, sseStart } from './sse';
import type { ConnectionEvent, DeviceName, TelemetryEvent, Zone } from './types';

export type LiveState = 'off' | 'connecting' | 'live' | 'waiting' | 'resting';

export interface LiveHandlers {
  zone?: (zone: Zone) => void;
  connection?: (event: ConnectionEvent) => void;
  telemetry?: (event: TelemetryEvent) => void;
  /** The stream is open again after a gap: what was missed has to be asked for. */
  resync?: () => void;
}

export const SILENCE_MS = 40_000; // the server writes at least every 15 s
const HIDDEN_MS = 10_000;
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15_000] as const;

export const live = $state<{ state: LiveState; retryAt: number }>({ state: 'off', retryAt: 0 });

let current: Stream | null = null;

/** Opens the stream for a page; the answer closes it. The newest page wins. */
export function listen(scope: Partial<DeviceName>, handlers: LiveHandlers): () => void {
  current?.close();
  const stream = new Stream(scope, handlers);
  current = stream;
  return () => {
    if (current !== stream) return;
    current = null;
    stream.close();
    live.state = 'off';
  };
}

/** Tries at once instead of waiting for the next attempt. */
export function reconnect(): void {
  current?.retry();
}

class Stream {
  private readonly path: string;
  private abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private gap = false;
  private closed = false;

  constructor(
    scope: Partial<DeviceName>,
    private readonly handlers: LiveHandlers,
  ) {
    const events = (['zone', 'connection', 'telemetry'] as const).filter((name) => handlers[name]);
    this.path =
      '/api/v1/stream' +
      query({ tenant: scope.tenant, registry: scope.registry, device: scope.id, events: events.join(',') });
    document.addEventListener('visibilitychange', this.visibility);
    window.addEventListener('online', this.online);
    if (document.hidden) this.rest();
    else void this.open();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.abort.abort();
    document.removeEventListener('visibilitychange', this.visibility);
    window.removeEventListener('online', this.online);
  }

  retry(): void {
    this.failures = 0;
    void this.open();
  }

  private async open(): Promise<void> {
    clearTimeout(this.timer);
    this.abort.abort();
    const abort = new AbortController();
    this.abort = abort;
    if (live.state !== 'waiting') live.state = 'connecting';
    try {
      const answer = await fetch(this.path, {
        headers: { accept: 'text/event-stream' },
        credentials: 'same-origin',
        cache: 'no-store',
        signal: abort.signal,
      });
      if (answer.status === 403) return this.giveUp();
      if (answer.status === 401) await askWhy();
      if (!answer.ok || !answer.body) throw new Error(`stream: status ${answer.status}`);
      this.opened();
      await this.read(answer.body.getReader(), abort);
    } catch {
      /* said by the banner; the next attempt follows */
    }
    if (!this.closed && !abort.signal.aborted) this.wait();
    else if (!this.closed && abort.signal.reason === SILENT) this.wait();
  }

  private async read(reader: ReadableStreamDefaultReader<Uint8Array>, abort: AbortController): Promise<void> {
    const decoder = new TextDecoder();
    const state = sseStart();
    for (;;) {
      this.watch(abort);
      const { value, done } = await reader.read();
      if (done) return;
      for (const event of sseRead(state, decoder.decode(value, { stream: true }))) {
        this.dispatch(event.name, event.data);
      }
    }
  }

  private watch(abort: AbortController): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => abort.abort(SILENT), SILENCE_MS);
  }

  private opened(): void {
    live.state = 'live';
    this.failures = 0;
    if (this.gap) this.handlers.resync?.();
    this.gap = false;
  }

  private dispatch(name: string, data: string): void {
    let value: unknown;
    if (!Object.hasOwn(this.handlers, name)) return; // not parsed: a large fleet says much that this page does not show
    try {
      value = JSON.parse(data);
    } catch {
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    if (name === 'zone') this.handlers.zone?.(value as Zone);
    if (name === 'connection') this.handlers.connection?.(value as ConnectionEvent);
    if (name === 'telemetry') this.handlers.telemetry?.(value as TelemetryEvent);
  }

  /** This role may not listen: the pages ask from time to time instead. */
  private giveUp(): void {
    this.close();
    live.state = 'off';
  }

  private wait(): void {
    this.gap = true;
    const base = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)] ?? 15_000;
    const pause = base * (0.75 + Math.random() / 2); // so that many consoles do not return at once
    this.failures++;
    live.state = 'waiting';
    live.retryAt = Date.now() + pause;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.open(), pause);
  }

  private rest(): void {
    this.gap = true;
    clearTimeout(this.timer);
    this.abort.abort();
    live.state = 'resting';
  }

  private readonly visibility = (): void => {
    if (!document.hidden) {
      clearTimeout(this.hidden);
      if (live.state === 'resting') this.retry();
      return;
    }
    this.hidden = setTimeout(() => !this.closed && this.rest(), HIDDEN_MS);
  };
  private hidden: ReturnType<typeof setTimeout> | undefined;

  private readonly online = (): void => {
    if (live.state === 'waiting') this.retry();
  };
}

const SILENT = new DOMException('The stream fell silent.', 'TimeoutError');

// A refused stream may mean that the session has ended; the session itself knows.
async function askWhy(): Promise<void> {
  try {
    await get('/session');
  } catch (cause) {
    if (asProblem(cause)?.status === 401) onUnknownSession();
  }
}

let onUnknownSession: () => void = () => {};
/** Called when the stream is refused because the session has ended. */
export function onStreamRefused(listener: () => void): void {
  onUnknownSession = listener;
}
