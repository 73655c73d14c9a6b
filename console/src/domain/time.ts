// Times as people read them: always UTC, always said so.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Milliseconds since 1970 of an RFC 3339 text, or null when it is none. */
export function parseTime(text: string | null | undefined): number | null {
  if (!text) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

/** "2026-11-24 03:56:40 UTC" */
export function utc(ms: number): string {
  return `${utcDate(ms)} ${utcClock(ms)} UTC`;
}

/** "2026-11-24" */
export function utcDate(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** "03:56:40" */
export function utcClock(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** "Tue 14 Jul 2026, 13:20" */
export function utcDay(ms: number): string {
  const at = new Date(ms);
  const day = `${WEEKDAYS[at.getUTCDay()]} ${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
  return `${day}, ${utcClock(ms).slice(0, 5)}`;
}

/** "4 s", "12 min", "3 h 20 min", "5 d 2 h": at most two units, rounded down. */
export function duration(ms: number): string {
  const span = Math.max(0, ms);
  if (span < MINUTE) return `${Math.floor(span / SECOND)} s`;
  if (span < HOUR) return `${Math.floor(span / MINUTE)} min`;
  if (span < DAY) return pair(span, HOUR, 'h', MINUTE, 'min');
  return pair(span, DAY, 'd', HOUR, 'h');
}

function pair(span: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((span % large) / small);
  return `${Math.floor(span / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ''}`;
}

/** "just now", "12 min ago", "in 3 h": against the given now. */
export function ago(ms: number, now: number): string {
  const span = now - ms;
  if (Math.abs(span) < 2 * SECOND) return 'just now';
  return span > 0 ? `${duration(span)} ago` : `in ${duration(-span)}`;
}

/** The value of an <input type="datetime-local"> that is read as UTC. */
export function toUtcInput(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16);
}

export function fromUtcInput(text: string): number | null {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? parseTime(`${text.slice(0, 16)}:00Z`) : null;
}
