// Who is signed in.

import { asProblem, call, get, onSignedOut, Problem } from '../api/client';
import { onStreamRefused } from '../api/live.svelte';
import type { FactorKind, Operator, Session } from '../api/types';

export const session = $state<{
  state: 'checking' | 'in' | 'factor' | 'enrol' | 'out' | 'unreachable';
  operator: Operator | null;
  factors: FactorKind[]; // what can be shown as the second factor
  expired: boolean; // signed out by the server, not by the person
  problem: Problem | null;
}>({ state: 'checking', operator: null, factors: [], expired: false, problem: null });

onSignedOut(end);
onStreamRefused(end);

function end(): void {
  if (session.state === 'in') session.expired = true;
  session.state = 'out';
  session.operator = null;
}

/** Asks the server whether this browser is signed in. */
export async function checkSession(): Promise<void> {
  session.problem = null;
  try {
    begin(await get<Session>('/session'));
  } catch (cause) {
    const problem = asProblem(cause);
    if (problem?.status === 401) {
      session.state = 'out';
    } else {
      session.problem = problem;
      session.state = 'unreachable';
    }
  }
}

export async function signIn(name: string, password: string): Promise<void> {
  begin(await call<Session>('POST', '/session', { body: { name, password } }));
}

export async function signOut(): Promise<void> {
  try {
    await call('DELETE', '/session');
  } catch (cause) {
    // An unknown session is what was wanted. Otherwise the cookie may still be good: say so.
    const problem = asProblem(cause);
    if (problem && problem.status !== 401) throw problem;
  }
  session.expired = false;
  session.operator = null;
  session.state = 'out';
}

/** The session goes on as the server says. */
export function begin(answer: Session): void {
  session.operator = answer.operator;
  session.expired = false;
  session.factors = answer.factors ?? [];
  session.state = answer.stage === 'second-factor' ? 'factor' : answer.stage === 'enrol' ? 'enrol' : 'in';
}
