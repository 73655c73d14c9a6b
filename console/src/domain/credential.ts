// How a credential reads.
import type { Credential } from '../api/types';

const FORMS: Record<string, string> = {
  password: 'password',
  symmetric_key: 'symmetric key (SAS)',
  enrolment_token: 'enrolment token',
  certificate_by_ca: 'certificate by a CA',
};

export function credentialKind({ kind, form }: Pick<Credential, 'kind' | 'form'>): string {
  return FORMS[form] ?? `${kind} ${form === 'certificate' ? 'certificate' : 'public key'}`;
}

const STATES: Record<string, { title: string; tone: 'good' | 'bad' | 'warn' | 'plain' }> = {
  enabled: { title: 'enabled', tone: 'good' },
  disabled: { title: 'disabled', tone: 'warn' },
  not_yet_valid: { title: 'not valid yet', tone: 'warn' },
  expired: { title: 'expired', tone: 'bad' },
  revoked: { title: 'revoked', tone: 'bad' },
  ca_disabled: { title: 'CA disabled', tone: 'bad' },
  used: { title: 'used', tone: 'plain' },
};

export function credentialState({ state }: Pick<Credential, 'state'>): { title: string; tone: 'good' | 'bad' | 'warn' | 'plain' } {
  return STATES[state] ?? { title: state, tone: 'plain' };
}
