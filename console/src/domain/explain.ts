// What a decision of policy says, in a sentence.

import type { AccessDecision, DeviceAction, PolicyDecision } from '../api/types';

export const DEVICE_ACTIONS: readonly { action: DeviceAction; title: string; what: string; example: string }[] = [
  { action: 'publish', title: 'publish', what: 'a topic', example: 'hall/1/temperature' },
  { action: 'subscribe', title: 'subscribe', what: 'a topic filter', example: 'hall/#' },
  { action: 'receive', title: 'receive', what: 'a topic', example: 'hall/1/temperature' },
  { action: 'retain', title: 'publish retained', what: 'a topic', example: 'hall/1/state' },
  { action: 'connect', title: 'connect', what: 'a client id', example: 'pump-1' },
];

const doing = (action: DeviceAction): string => DEVICE_ACTIONS.find((item) => item.action === action)?.title ?? action;

/** The statement that decided, counted as a person counts. */
function statement(decision: PolicyDecision): string {
  const named = decision.sid ? `“${decision.sid}”` : `number ${(decision.statement ?? 0) + 1}`;
  return `statement ${named} of the policy “${decision.policy}”`;
}

export function policySentence(device: string, decision: PolicyDecision): string {
  const deed = `${doing(decision.action)} ${decision.resource}`;
  if (decision.outcome === 'allow') return `Yes: ${device} may ${deed}. It is allowed by ${statement(decision)}.`;
  if (decision.outcome === 'deny') return `No: ${device} may not ${deed}. It is forbidden by ${statement(decision)}, whatever other policies allow.`;
  return `No: ${device} may not ${deed}. No statement of its policies allows it, and what is not allowed is refused.`;
}

export const accessSentence = (who: string, decision: AccessDecision): string =>
  `${decision.allowed ? 'Yes' : 'No'}: ${who} ${decision.allowed ? 'may' : 'may not'} do ${decision.permission} here. ${decision.why.charAt(0).toUpperCase()}${decision.why.slice(1)}.`;
