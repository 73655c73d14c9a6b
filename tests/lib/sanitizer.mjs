// What a sanitizer says of a process that a test started. A process that is killed, or started again by its parent, does
// not tell by its exit code; what it wrote to standard error does.
import assert from 'node:assert/strict';

const report = /^.*(?:(?:WARNING|ERROR): \w+Sanitizer|ERROR: libFuzzer|[\w./-]+:\d+:\d+: runtime error:)/m;

// Throws when `said` holds a report of ASan, LSan, TSan or UBSan, with the report. Sets the exit code too: an error in an
// `after` hook, where servers end, must not be lost.
export function assertNoReport(said, what) {
  const found = report.exec(said);
  if (!found) return;
  process.exitCode = 1;
  assert.fail(`${what} has a report of a sanitizer:\n${said.slice(found.index, found.index + 20000)}`);
}

// How much slower this build is than a debug build: ThreadSanitizer's sets it.
export const slowness = Number(process.env.GATEHOUSE_TEST_PATIENCE ?? 1);
// What every bound of a wait is multiplied with. Bounds are written for a machine that does nothing else; tests run beside
// each other, on machines that others use too. Nobody waits so long unless something is wrong.
export const patience = 6 * slowness;
