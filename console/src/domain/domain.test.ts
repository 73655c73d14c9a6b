import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import type { LogEntry, TelemetryRecord } from '../api/types';
import { diffLines, payloadText, readJson, toBase64 } from './payload';
import { deed, event, explain, KNOWN_DEEDS, KNOWN_EVENTS, KNOWN_REASONS, LOG_KINDS, reasonTitle } from './reasons';
import { actorWords, stateOf } from './audit';
import { accessSentence, policySentence } from './explain';
import { may } from './rights';
import { devicePath, hallPath, routeOf } from './route';
import { appendRecord, hasSiteTime, joined, numbersOf, seriesOf, summary } from './series';
import { availability, byReason, marksOf, spansOf } from './timeline';

const at = (minute: number): string => new Date(minute * 60_000).toISOString();
const entry = (minute: number, kind: string, reason: string | null = null): LogEntry => ({
  at: at(minute), kind, reason, detail: null, address: null,
});

test('every reason is explained with a remedy, and its words are unique', () => {
  const titles = new Set<string>();
  for (const reason of KNOWN_REASONS) {
    const found = explain(reason);
    assert.ok(found && found.meaning.endsWith('.') && found.remedy.endsWith('.'), reason);
    titles.add(found.title);
  }
  assert.equal(titles.size, KNOWN_REASONS.length);
});

test('a deed is a sentence, with what was said beside the name behind it', () => {
  assert.equal(deed('KICKED', 'admin'), 'admin disconnected it');
  assert.equal(deed('BANNED', 'admin, for 600 s'), 'admin banned it, for 600 s');
  assert.equal(deed('SOMETHING_NEW', null), 'An operator something new');
});

// The words that the server writes, out of its own source: in tables of names, and where it notes something.
const server = process.env['GATEHOUSE_SOURCE'] ?? '../src';
const source = (path: string): string => readFileSync(`${server}/${path}`, 'utf8');
const sources = (folder: string): string => (readdirSync(`${server}/${folder}`, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.c') && !name.endsWith('_test.c')).map((name) => source(`${folder}/${name}`)).join('\n');
const found = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map((match) => match[1] ?? '');
function hasWords(known: readonly string[], written: readonly string[], least: number): void {
  assert.ok(written.length >= least, `the pattern still finds them (${written.length})`);
  assert.deepEqual(written.filter((word) => !known.includes(word)), [], 'reasons.ts has words for each');
}

test('every reason that the server writes has words', () => {
  const notes = sources('dialect') + sources('api');
  hasWords(KNOWN_REASONS, found(source('identity/device.c'), /\[GH_IDENTITY_\w+\] = "([A-Z_]+)"/g).filter((word) => word !== 'ACCEPTED'), 30);
  hasWords(KNOWN_REASONS, found(source('session/connect.c'), /\[GH_SESSION_REFUSED_\w+\] = \{"(\w+)"/g), 10);
  hasWords(KNOWN_REASONS, found(source('session/end.c'), /\[GH_SESSION_END_\w+\] = \{"(\w+)"/g), 20);
  hasWords(KNOWN_REASONS, found(notes, /GH_TRAIL_(?:REFUSAL|DISCONNECT|PUBLISH_DENIED|SUBSCRIBE_DENIED), "(\w+)"/g), 10);
  hasWords(KNOWN_REASONS, found(source('identity/oauth.c'), /decide\([^"]*?GH_OAUTH_[A-Z_]+, "(\w+)"/g).filter((word) => word !== 'TOKEN_ISSUED'), 5);
  hasWords(KNOWN_EVENTS, found(source('command/command.c'), /\[GH_COMMAND_\w+\] = \{"(\w+)"/g), 5);
  hasWords(KNOWN_EVENTS, found(notes, /GH_TRAIL_CONNECT, "(\w+)"/g), 1);
});

test('every deed and every kind of entry that the server writes has words', () => {
  const api = sources('api');
  hasWords([...KNOWN_DEEDS, ...KNOWN_EVENTS], found(api, /(?:^|\W)(?:\w*note|note_change)\([^;"]*"([A-Z_]{4,})"/g).filter((word) => word !== 'ENROLMENT'), 20);
  hasWords(KNOWN_DEEDS, found(api, /\.deed = "(\w+)"/g), 2);
  hasWords(KNOWN_DEEDS, found(api, /GH_TRAIL_OPERATOR,\s+\.reason = GH_SLICE\("(\w+)"\)/g), 1);
  hasWords(KNOWN_DEEDS, found(api, /\.deed = "(\w+)"/g), 3);
  hasWords(KNOWN_DEEDS, found(sources('dialect'), /google_note\([^;"]*"([\w.]+)"/g), 10);
  hasWords(LOG_KINDS, found(source('observe/trail.c'), /\[GH_TRAIL_\w+\] = "(\w+)"/g), 13);
});

test('an entry about a token is a sentence', () => {
  assert.equal(event('TOKEN_ISSUED', 'tls_client_auth, token x, scope mqtt'), 'Was given one: tls_client_auth, token x, scope mqtt');
  assert.equal(event('google', 'abc'), 'google: abc');
  assert.equal(deed('TOKEN_KEYS_ROTATED', 'local'), 'The command line rotated the keys of access tokens');
  assert.equal(deed('CERTIFICATE_ISSUED', 'EST, 1a2b'), 'Enrolment (EST) issued a certificate, 1a2b');
});

test('only who may is offered a button', () => {
  assert.ok(may('operator', 'ban') && may('device-controller', 'kick'));
  assert.ok(may('auditor', 'audit') && !may('operator', 'audit'));
  assert.ok(!may('device-controller', 'ban') && !may('viewer', 'kick') && !may(undefined, 'kick'));
});

test('an expired token points to the clock', () => assert.match(explain('TOKEN_EXPIRED')?.remedy ?? '', /clock/));

test('an unknown reason is still readable', () => {
  assert.equal(explain('SOME_NEW_THING'), null);
  assert.equal(reasonTitle('SOME_NEW_THING'), 'Some new thing');
  assert.equal(reasonTitle(null), 'No reason given');
});

const record = (minute: number, channel: string, data: unknown): TelemetryRecord => ({ at: at(minute), channel, data });

test('numbers are found under their dotted path, three levels deep; all else is left out', () => {
  const data = { a: 1, b: { c: 2, d: { e: 3, f: { g: 4 } } }, text: 'x', list: [1], none: null, yes: true };
  assert.deepEqual(numbersOf(data), [['a', 1], ['b.c', 2], ['b.d.e', 3]]);
  assert.deepEqual(numbersOf(7), [['value', 7]]);
  assert.deepEqual(numbersOf(null), []);
});

test('records become one series for each channel and field, in order of time', () => {
  const series = seriesOf([
    record(2, 'climate', { t: 21, h: 50 }), record(1, 'climate', { t: 20 }), record(1, 'air', { t: 5 }),
  ]);
  assert.deepEqual(series.map((s) => [s.key, s.values]), [['air t', [5]], ['climate h', [50]], ['climate t', [20, 21]]]);
});

test('the site’s clock is used where the payload tells it', () => {
  const records = [record(1, 'c', { t: 1, site_time: at(100) }), record(2, 'c', { t: 2 })];
  assert.equal(hasSiteTime(records), true);
  assert.deepEqual(seriesOf(records, 'site')[0]?.times, [100 * 60_000]);
});

test('a live record is added; what left the window or the limit falls off', () => {
  const list = [record(1, 'c', 1), record(5, 'c', 2), record(6, 'c', 3)];
  assert.deepEqual(appendRecord(list, record(7, 'c', 4), 2 * 60_000, 10).map((r) => r.data), [2, 3, 4]);
  assert.deepEqual(appendRecord(list, record(7, 'c', 4), 0, 2).map((r) => r.data), [3, 4]);
});

test('series are joined over one axis with gaps', () => {
  const [a, b] = seriesOf([record(1, 'a', { x: 1 }), record(2, 'b', { x: 2 }), record(3, 'a', { x: 3 })]);
  assert.ok(a && b);
  assert.deepEqual(joined([a, b]), {
    times: [60_000, 120_000, 180_000], columns: [[1, null, 3], [null, 2, null]],
  });
});

test('a summary holds last, least, most and mean', () => {
  assert.deepEqual(summary([3, 1, 2]), { last: 2, least: 1, most: 3, mean: 2 });
  assert.equal(summary([]), null);
});

for (const [claim, entries, now, spans] of [
  ['nothing known, connected now', [], true, [[0, 10, 'connected']]],
  ['a connect first means disconnected before', [entry(4, 'connect')], true, [[0, 4, 'disconnected'], [4, 10, 'connected']]],
  ['a disconnect first means connected before', [entry(4, 'disconnect')], false, [[0, 4, 'connected'], [4, 10, 'disconnected']]],
  ['what was before the window counts', [entry(-3, 'connect'), entry(6, 'disconnect')], false, [[0, 6, 'connected'], [6, 10, 'disconnected']]],
  ['a take-over is one span', [entry(2, 'connect'), entry(5, 'connect')], true, [[0, 2, 'disconnected'], [2, 10, 'connected']]],
  ['refusals do not disconnect', [entry(2, 'refusal')], true, [[0, 10, 'connected']]],
] as const) {
  test(`time-line: ${claim}`, () => {
    const found = spansOf([...entries].reverse(), 0, 10 * 60_000, now);
    assert.deepEqual(found.map((s) => [s.from / 60_000, s.to / 60_000, s.state]), spans);
  });
}

test('availability is the connected share', () => {
  assert.equal(availability(spansOf([entry(4, 'connect')], 0, 10 * 60_000, true)), 0.6);
  assert.equal(availability([]), 0);
});

test('marks are refusals and denials inside the window', () => {
  const marks = marksOf([entry(1, 'refusal'), entry(2, 'publish_denied'), entry(3, 'connect'), entry(99, 'refusal')], 0, 600_000);
  assert.equal(marks.length, 2);
});

test('reasons are counted', () => {
  assert.deepEqual(byReason([{ reason: 'A' }, { reason: 'B' }, { reason: 'B' }]), [
    { reason: 'B', count: 2 }, { reason: 'A', count: 1 },
  ]);
});

for (const path of ['/', '/devices', '/connections', '/refusals', '/system', '/ca', '/people', '/members', '/service-accounts']) {
  test(`${path} is a page`, () => assert.notEqual(routeOf(path).page, 'unknown'));
}
for (const path of ['/nothing', '/devices/a', '/devices/a/b/c/nothing', '/devices/%E0%A4%A/b/c', '/halls/demo', '/members/demo']) {
  test(`${path} is not`, () => assert.equal(routeOf(path).page, 'unknown'));
}

test('device and hall addresses survive every allowed character', () => {
  const name = { tenant: 'demo', registry: 'r.1', id: 'a+b.c~d_e%f-g' };
  assert.deepEqual(routeOf(devicePath(name, 'log')), { page: 'device', name, tab: 'log' });
  assert.deepEqual(routeOf(hallPath('demo', 'hall 1/x')), { page: 'hall', tenant: 'demo', zone: 'hall 1/x' });
});

test('what is JSON is read', () => assert.deepEqual(readJson(' {"a": [1, "x", null]} '), { ok: true, value: { a: [1, 'x', null] } }));

for (const [text, line, column, expected] of [
  ['', 1, 1, /Nothing/],
  ['{\n  "a": 1,\n  b: 2\n}', 3, 3, /name in double quotes/],
  ['{"a": }', 1, 7, /value/],
  ['{"a" 1}', 1, 6, /colon/],
  ['{"a": 1 "b": 2}', 1, 9, /comma or }/],
  ['{"a": 1,}', 1, 9, /name in double quotes/],
  ['[1 2]', 1, 4, /comma or \]/],
  ['[1,\n 2', 2, 3, /comma or \]/],
  ['{"a": "x\ny"}', 1, 7, /does not end/],
  ['{"a": 01}', 1, 8, /comma/],
  ['{} x', 1, 4, /ended/],
  ['nul', 1, 1, /value/],
] as const) {
  test(`a mistake in ${JSON.stringify(text)} comes with its place`, () => {
    const found = readJson(text);
    assert.equal(found.ok, false);
    if (found.ok) return;
    assert.deepEqual([found.line, found.column], [line, column]);
    assert.match(found.message, expected);
  });
}

test('nesting without end is a mistake, not a crash', () => assert.equal(readJson('['.repeat(100_000)).ok, false));

test('documents are shown as JSON, as text or as bytes', () => {
  assert.equal(payloadText({ data: { a: 1 } }), '{\n  "a": 1\n}');
  assert.equal(payloadText({ data_base64: toBase64('grüß') }), 'grüß');
  assert.equal(payloadText({ data_base64: '/wA=' }), 'ff 00');
  assert.equal(payloadText({}), '');
});

test('a difference shows what goes and what comes', () => {
  assert.deepEqual(diffLines('a\nb\nc', 'a\nx\nc').map((l) => l.sign + l.text), [' a', '−b', '+x', ' c']);
});

test('a decision of policy is a sentence that names what decided', () => {
  const asked = { allowed: true, outcome: 'allow', action: 'publish', resource: 'hall/1', policy: 'talk', statement: 1, sid: null } as const;
  assert.equal(policySentence('pump', asked), 'Yes: pump may publish hall/1. It is allowed by statement number 2 of the policy “talk”.');
  assert.match(policySentence('pump', { ...asked, allowed: false, outcome: 'deny', sid: 'never' }), /^No: .* forbidden by statement “never” of the policy “talk”/);
  assert.match(policySentence('pump', { ...asked, allowed: false, outcome: 'no match', policy: null, statement: null }), /what is not allowed is refused\.$/);
  assert.equal(accessSentence('viewer', { allowed: false, permission: 'devices.create', why: 'role viewer does not have it' }),
    'No: viewer may not do devices.create here. Role viewer does not have it.');
});

test('the state of the audit trail is said in words', () => {
  const trail = { writable: true, signed_seq: 9, signed_at: null, exported_seq: 9, broken_seq: 0 };
  const whole = { verdict: 'whole', text: '', first: 1, last: 12, bad_first: 0, bad_last: 0, signed_seq: 9, checkpoints: 2, trail };
  assert.match(stateOf(whole).text, /^Rows 1 to 12 are as they were written\. 2 signed checkpoints vouch for all up to row 9; the 3 newest wait/);
  assert.match(stateOf({ ...whole, checkpoints: 0, signed_seq: 0 }).text, /Nothing has been signed yet/);
  assert.equal(stateOf({ ...whole, trail: { ...trail, writable: false } }).tone, 'bad');
  const bent = stateOf({ ...whole, verdict: 'missing', text: 'row 5 is missing', bad_first: 5 });
  assert.deepEqual([bent.tone, bent.text], ['bad', 'Row 5 is missing.']);
  assert.ok(['changed', 'missing', 'truncated', 'rewritten', 'unsigned'].every((verdict) => stateOf({ ...whole, verdict }).advice.endsWith('.')));
  const row = { seq: 1, at: '', tenant: '', method: 'token', face: 'api', action: '', object: '', actor: null, actor_id: 'ab'.repeat(32), source: null, source_id: '', subject: null, subject_id: '', result: 'done', code: 0, detail: '', hash: '' } as const;
  assert.equal(actorWords(row), 'forgotten (abababab)');
  assert.equal(actorWords({ ...row, actor: 'mary' }), 'mary');
});
