// One deed at a time on a page: what failed, and a fresh proof in between where the server asks for one.

import { asProblem, type Problem } from '../api/client';

const PROOF_NEEDED = 'GH3003';

export interface Deed {
  readonly busy: boolean;
  readonly problem: Problem | null;
  /** The server wants a fresh proof before it does what was asked. */
  readonly proofNeeded: boolean;
  run(work: () => Promise<void>): Promise<void>;
  /** Does again what was asked, after the proof. */
  again(): void;
  drop(): void;
}

export function deed(): Deed {
  let busy = $state(false);
  let problem = $state.raw<Problem | null>(null);
  let asked = $state.raw<(() => Promise<void>) | null>(null);

  async function run(work: () => Promise<void>): Promise<void> {
    if (busy) return;
    busy = true;
    problem = null;
    asked = null;
    try {
      await work();
    } catch (cause) {
      const what = asProblem(cause);
      if (what?.code === PROOF_NEEDED) asked = work;
      else problem = what;
    }
    busy = false;
  }

  return {
    get busy() {
      return busy;
    },
    get problem() {
      return problem;
    },
    get proofNeeded() {
      return asked !== null;
    },
    run,
    again() {
      if (asked) void run(asked);
    },
    drop() {
      asked = null;
      problem = null;
    },
  };
}
