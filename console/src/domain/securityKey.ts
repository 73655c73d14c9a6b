// Security keys: the browser's ceremonies, in the server's words. Bytes go over the wire as base64url.

import { apiPath, call } from '../api/client';
import type { Session } from '../api/types';

export interface Challenge {
  challenge: string;
  rp_id: string;
  credentials: string[];
  timeout_ms: number;
  user_verification: UserVerificationRequirement;
  user?: { id: string; name: string };
}

const ES256 = -7;
const EDDSA = -8;

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

export function toText(bytes: ArrayBuffer): string {
  const binary = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

/** Whether this page can ask for one: a browser that can, and a site with a name. */
export const isPossible = (): boolean =>
  typeof PublicKeyCredential !== 'undefined' && !/^[\d.]+$|^\[/.test(location.hostname);

const known = (challenge: Challenge): PublicKeyCredentialDescriptor[] =>
  challenge.credentials.map((id) => ({ type: 'public-key', id: toBytes(id) }));

/** Adds a key to the account; the session goes on as the answer says. */
export async function addKey(label: string): Promise<Session> {
  const asked = await call<Challenge>('POST', '/account/security-keys/challenge');
  const made = (await navigator.credentials.create({
    publicKey: {
      challenge: toBytes(asked.challenge),
      rp: { id: asked.rp_id, name: 'Gatehouse' },
      user: { id: toBytes(asked.user?.id ?? ''), name: asked.user?.name ?? '', displayName: asked.user?.name ?? '' },
      pubKeyCredParams: [{ type: 'public-key', alg: ES256 }, { type: 'public-key', alg: EDDSA }],
      excludeCredentials: known(asked),
      authenticatorSelection: { userVerification: asked.user_verification },
      attestation: 'none',
      timeout: asked.timeout_ms,
    },
  })) as PublicKeyCredential | null;
  if (made === null) throw new Error('The browser made no key.');
  const answer = made.response as AuthenticatorAttestationResponse;
  return call<Session>('POST', '/account/security-keys', {
    body: { label, client_data: toText(answer.clientDataJSON), attestation: toText(answer.attestationObject) },
  });
}

/** Shows a key: as the second factor, or as a fresh proof. */
export async function showKey(where: 'factor' | 'proof'): Promise<Session> {
  const asked = await call<Challenge>('POST', '/session/challenge');
  const shown = (await navigator.credentials.get({
    publicKey: {
      challenge: toBytes(asked.challenge),
      rpId: asked.rp_id,
      allowCredentials: known(asked),
      userVerification: asked.user_verification,
      timeout: asked.timeout_ms,
    },
  })) as PublicKeyCredential | null;
  if (shown === null) throw new Error('The browser shows no key.');
  const answer = shown.response as AuthenticatorAssertionResponse;
  return call<Session>('POST', apiPath('session', where), {
    body: {
      webauthn: {
        credential: toText(shown.rawId),
        client_data: toText(answer.clientDataJSON),
        authenticator_data: toText(answer.authenticatorData),
        signature: toText(answer.signature),
      },
    },
  });
}
