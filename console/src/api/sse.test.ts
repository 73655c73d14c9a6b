import assert from 'node:assert/strict';
import test from 'node:test';
import { problemOf } from './client';
import { sseRead, sseStart } from './sse';

const STREAM = ': hello\n\nevent: zone\ndata: {"a":1}\n\nevent: telemetry\r\ndata: one\r\ndata:two\r\nid: 7\r\n\r\ndata\n\n';
const EVENTS = [
  { name: 'zone', data: '{"a":1}' },
  { name: 'telemetry', data: 'one\ntwo' },
  { name: 'message', data: '' },
];

test('a stream is read whole', () => assert.deepEqual(sseRead(sseStart(), STREAM), EVENTS));

test('a stream cut at any place gives the same events', () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const state = sseStart();
    const events = [...sseRead(state, STREAM.slice(0, cut)), ...sseRead(state, STREAM.slice(cut))];
    assert.deepEqual(events, EVENTS, `cut at ${cut}`);
  }
});

test('a stream read byte by byte gives the same events', () => {
  const state = sseStart();
  assert.deepEqual([...STREAM].flatMap((char) => sseRead(state, char)), EVENTS);
});

test('an event without its end is not an event', () => {
  assert.deepEqual(sseRead(sseStart(), 'event: zone\ndata: 1\n'), []);
});

test('an endless line is refused instead of kept', () => {
  assert.throws(() => sseRead(sseStart(), 'x'.repeat(5 * 1024 * 1024)), /too large/);
});

test('an error answer keeps code, message, action and waiting time', () => {
  const body = '{"error":{"code":"GH2002","status":429,"message":"m","action":"a","retry_after_s":7}}';
  const problem = problemOf(429, body, 'POST /api/v1/session', null);
  assert.deepEqual(
    [problem.code, problem.message, problem.action, problem.retryAfterS, problem.where],
    ['GH2002', 'm', 'a', 7, 'POST /api/v1/session'],
  );
});

test('a proxy’s page as an error still says what, where and what to do', () => {
  const problem = problemOf(502, '<html>', 'GET /x', '30');
  assert.match(problem.message, /502/);
  assert.ok(problem.action.length > 0);
  assert.equal(problem.retryAfterS, 30);
});
