// Reads a server-sent event stream (WHATWG HTML §9.2) from pieces of text, cut anywhere.

export interface StreamEvent {
  name: string;
  data: string;
}

export interface SseState {
  rest: string; // the line that has not ended yet
  name: string;
  data: string[];
  bytes: number;
}

const EVENT_CHARS_MAX = 4 * 1024 * 1024;

export function sseStart(): SseState {
  return { rest: '', name: '', data: [], bytes: 0 };
}

/** The events that `piece` completes. Comments only prove that the line is alive, and give none. */
export function sseRead(state: SseState, piece: string): StreamEvent[] {
  const events: StreamEvent[] = [];
  const text = state.rest + piece;
  let at = 0;
  for (;;) {
    const end = lineEnd(text, at);
    if (end === null) break;
    takeLine(state, text.slice(at, end.stop), events);
    at = end.next;
  }
  state.rest = text.slice(at);
  if (state.rest.length + state.bytes > EVENT_CHARS_MAX) {
    throw new Error('An event of the live stream is too large.');
  }
  return events;
}

function lineEnd(text: string, from: number): { stop: number; next: number } | null {
  for (let i = from; i < text.length; i++) {
    const char = text[i];
    if (char === '\n') return { stop: i, next: i + 1 };
    if (char === '\r') {
      if (i + 1 === text.length) return null; // its \n may still come
      return { stop: i, next: text[i + 1] === '\n' ? i + 2 : i + 1 };
    }
  }
  return null;
}

function takeLine(state: SseState, line: string, events: StreamEvent[]): void {
  if (line === '') {
    if (state.data.length > 0) events.push({ name: state.name || 'message', data: state.data.join('\n') });
    state.name = '';
    state.data = [];
    state.bytes = 0;
    return;
  }
  const colon = line.indexOf(':');
  if (colon === 0) return;
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (field === 'event') state.name = value;
  if (field === 'data') {
    state.data.push(value);
    state.bytes += value.length;
  }
}
