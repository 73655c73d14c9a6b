// One thing that a page loads: its value, its problem, and whether it is on its way.

import { asProblem, type Problem } from '../api/client';

export interface Loading<T> {
  readonly value: T | null;
  readonly problem: Problem | null;
  readonly busy: boolean;
  /** Loads again. A newer call makes an older one's answer worthless. */
  load(fetch: (signal: AbortSignal) => Promise<T>): Promise<void>;
  set(value: T): void;
  stop(): void;
}

export function loading<T>(): Loading<T> {
  let value = $state.raw<T | null>(null);
  let problem = $state.raw<Problem | null>(null);
  let busy = $state(false);
  let abort: AbortController | null = null;
  return {
    get value() {
      return value;
    },
    get problem() {
      return problem;
    },
    get busy() {
      return busy;
    },
    async load(fetch) {
      abort?.abort();
      const mine = new AbortController();
      abort = mine;
      busy = true;
      try {
        const answer = await fetch(mine.signal);
        if (abort !== mine) return;
        value = answer;
        problem = null;
      } catch (cause) {
        if (abort !== mine) return;
        problem = asProblem(cause);
      }
      busy = false;
    },
    set(next) {
      value = next;
    },
    stop() {
      abort?.abort();
      abort = null;
    },
  };
}
