// Time that passes for a session without anybody waiting for it: what the server has noted of it is set back.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

// Whether it can be done here (package sqlite3).
export const hasSqlite = (() => {
  try { execFileSync('sqlite3', ['--version']); return true; } catch { return false; }
})();

// The last proof that `operator` has shown was `seconds` earlier than it was, in all sessions.
export const ageProof = (data, operator, seconds) => execFileSync('sqlite3', ['-cmd', '.timeout 60000', join(data, 'registry.db'),
  `UPDATE sign_ins SET proved_at_ms = proved_at_ms - ${1000 * seconds} WHERE operator = (SELECT number FROM operators WHERE name = '${operator}')`]);
