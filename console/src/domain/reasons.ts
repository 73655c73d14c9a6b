// The reasons in the trail, in plain words: what happened, and what a person does about it.
//
// The words on the left are the server's and stay as they are; an unknown one is shown as it came.

export type Blame = 'device' | 'registry' | 'network' | 'server' | 'nobody';

export interface Explanation {
  title: string;
  meaning: string;
  remedy: string;
  blame: Blame;
}

const row = (blame: Blame, title: string, meaning: string, remedy: string): Explanation => ({
  blame, title, meaning, remedy,
});

const EXPLANATIONS: Record<string, Explanation> = {
  // Sign-in of a device
  UNKNOWN_TENANT: row('device', 'Unknown tenant',
    'The device named a tenant, project or hub that does not exist here.',
    'Compare the project in the device’s client id with the tenants of this server.'),
  UNKNOWN_REGISTRY: row('device', 'Unknown registry',
    'The tenant exists, but it has no registry of this name.',
    'Check registry and region in the device’s client id; create the registry if it is missing.'),
  UNKNOWN_DEVICE: row('registry', 'Unknown device',
    'Nobody has registered a device of this name in the registry.',
    'Register it with its public key, or find out who is trying: the address is in the entry.'),
  BLOCKED: row('registry', 'Device is blocked',
    'An operator has blocked this device; it may not connect.',
    'Unblock it on its page when it should work again.'),
  TENANT_CONNECTIONS: row('registry', 'Tenant has too many connections',
    'All devices of the tenant together have as many connections as it may have.',
    'Raise its ceiling with “gatehouse tenant limits”, or find out who keeps so many.'),
  TENANT_RATE: row('registry', 'Tenant is too fast',
    'The devices of the tenant together publish more messages per second than it may. This entry comes every ten seconds at most.',
    'Raise the tenant’s ceiling with “gatehouse tenant limits”, or publish less.'),
  SUBSCRIPTIONS_LIMIT: row('device', 'Too many subscriptions',
    'The session has as many subscriptions as one may have.',
    'Subscribe to fewer filters with wildcards.'),
  MQTT_DISABLED: row('registry', 'MQTT is switched off',
    'The device’s registry does not take MQTT connections.',
    'Switch MQTT on in the registry, or use HTTPS.'),
  HTTP_DISABLED: row('registry', 'HTTPS is switched off',
    'The device’s registry does not take HTTPS requests.',
    'Switch HTTP on in the registry, or use MQTT.'),
  NO_CREDENTIAL: row('registry', 'No credential on file',
    'The device is registered without a public key, so that nothing it sends can be verified.',
    'Add the device’s public key or certificate to its credentials.'),
  CREDENTIAL_EXPIRED: row('registry', 'Credential has expired',
    'Every key on file that fits the token has passed its expiry date.',
    'Add a new key, or extend the expiry of the present one.'),
  CREDENTIAL_NOT_YET_VALID: row('registry', 'Credential is not valid yet',
    'The credential that proves the device begins to be valid later.',
    'Wait, or bring its beginning forward with “gatehouse credential limit”.'),
  CREDENTIAL_DISABLED: row('registry', 'Credential is disabled',
    'An operator has disabled the credential that the device used.',
    'Enable it again with “gatehouse credential enable”, or let the device use another one.'),
  TOKEN_MALFORMED: row('device', 'Token is not a JWT',
    'The password field holds no JSON Web Token: three base64url parts joined by dots.',
    'Check that the device sends its token, whole, in the password field.'),
  TOKEN_HEADER: row('device', 'Token header is not acceptable',
    'The token’s header asks for something that a device token must not have.',
    'Use a header with alg and typ only.'),
  ALGORITHM: row('device', 'Algorithm does not fit the key',
    'The token is signed with another algorithm than the keys on file are for.',
    'Sign with ES256 for a P-256 key and RS256 for an RSA key, or replace the key on file.'),
  SIGNATURE: row('device', 'Signature does not match',
    'The token was signed with another private key than the one whose public half is on file.',
    'Compare the fingerprints; after replacing a device’s key, add the new public key here.'),
  CLAIMS: row('device', 'A claim is missing or malformed',
    'The token lacks iat, exp or aud, or one of them has the wrong type.',
    'iat and exp are whole seconds since 1970, aud is text.'),
  AUDIENCE: row('device', 'Token is for somebody else',
    'The token’s aud is not this tenant.',
    'Set aud to the project id that stands in the client id.'),
  SUBJECT: row('device', 'Token is about another device',
    'The token’s sub names another device than the one that connects.',
    'Sign the token with sub set to this device’s id.'),
  LIFETIME: row('device', 'Token lives too long',
    'Between iat and exp lie more than 24 hours.',
    'Sign tokens for at most 24 hours and renew them before they end.'),
  TOKEN_EXPIRED: row('device', 'Token has expired',
    'The token’s exp has passed. The entry says by how much.',
    'A few minutes to hours: sign a new token before connecting. Days or years: the device’s clock is wrong, set it by NTP.'),
  TOKEN_NOT_YET_VALID: row('device', 'Token is from the future',
    'The token’s iat lies ahead of the server’s time by more than ten minutes.',
    'The device’s clock runs ahead: set it by NTP. If all devices show this, check the server’s clock.'),
  UNAVAILABLE: row('server', 'Nothing could be decided',
    'The server could not read its store, and refused to be safe. The device is not at fault.',
    'Look into the server’s log for the time of this entry; the device will try again.'),
  SECRET: row('device', 'Wrong password',
    'The password is none of those on file for the device.',
    'Compare it with what the device was given; after a rotation, both generations may stand side by side.'),
  ISSUER: row('device', 'Token of another issuer',
    'The token’s iss is neither this server nor, in an assertion, the device itself.',
    'Set iss and sub of an assertion to TENANT/REGISTRY/DEVICE; ask this server for a new access token.'),
  TOKEN_REVOKED: row('device', 'Access token was revoked',
    'The access token was taken back before it ended.', 'Let the device ask for a new one.'),
  TOKEN_REPLAYED: row('device', 'Assertion was used twice',
    'The jti of the assertion has been used before.',
    'Make a new assertion with a jti of its own for each request. If the device did, somebody has copied one.'),
  TOKEN_BINDING: row('device', 'Access token belongs to a certificate',
    'The token is bound to a client certificate that this connection did not show.',
    'Connect with the certificate with which the token was asked for. If the device did, the token was copied.'),
  SCOPE: row('device', 'Access token is not for this',
    'The scope of the access token does not name this door.', 'Ask for the scope mqtt, api or both.'),
  WAIT: row('device', 'Asked too soon after a wrong proof',
    'Wrong proofs came for this device from this address; until the wait is over none is looked at.',
    'See the refusal before it. Then wait, at most five minutes.'),
  REQUEST: row('device', 'Request is not understood',
    'A request to the authentication service was malformed. The detail says how.',
    'Compare it with the page on access tokens.'),
  POLICY: row('registry', 'Policy does not allow it',
    'No policy statement allows what the device asked for, or one denies it. The detail says which.',
    'Ask gatehouse policy explain; attach a policy to the device, its registry or the tenant.'),
  NO_TOKEN: row('device', 'Came without a credential',
    'The CONNECT had no user name, no password or no token.', 'Give the device its credential.'),
  CLIENT_ID: row('device', 'Client id is not understood',
    'Client id and user name fit none of the dialects that are served.',
    'Plain MQTT clients sign in as TENANT/REGISTRY/DEVICE; Google’s devices by their full path.'),
  LEVEL: row('device', 'Version of MQTT is not for this dialect',
    'The device speaks a version of MQTT that its cloud’s dialect does not have.', 'Use MQTT 3.1.1 there.'),
  AUTH_METHOD: row('device', 'Unknown authentication method',
    'The device asked for an authentication method that is not served.', 'Use JWT, or a password.'),
  JOURNAL_FULL: row('server', 'Session could not be stored',
    'The journal of MQTT sessions cannot grow.', 'Free space on the data folder’s file system; it recovers by itself.'),
  SESSIONS_LIMIT: row('registry', 'Too many sessions',
    'The tenant has as many sessions as it may.', 'Let old ones expire, or raise the limit.'),
  REFUSED: row('device', 'Refused',
    'The server did not let the device in.', 'The detail of the entry says why.'),
  // End of a connection
  CLIENT_CLOSED: row('nobody', 'Device said goodbye',
    'The device sent DISCONNECT and closed the connection: the normal way.', 'Nothing to do.'),
  NETWORK: row('network', 'Connection broke',
    'The network connection ended without DISCONNECT.',
    'Now and then is normal. If it repeats, check power, radio and any NAT or firewall timeout between.'),
  CONNECT_TIMEOUT: row('device', 'No sign-in came',
    'The connection was opened, but its CONNECT did not come in time.',
    'A port scanner does that. A device of yours: check that it sends CONNECT right after the TLS handshake.'),
  KEEPALIVE: row('network', 'Device fell silent',
    'Nothing came for one and a half times the keep-alive that the device promised.',
    'Check the device’s power and network; over bad links choose a longer keep-alive.'),
  IDLE: row('device', 'Idle for too long',
    'The connection carried nothing for longer than the server allows.',
    'Let the device send PINGREQ, or events, more often.'),
  PROTOCOL: row('device', 'Protocol error',
    'The device sent bytes that MQTT does not allow. The detail says which rule.',
    'Update or fix the device’s MQTT library.'),
  TOO_LARGE: row('device', 'Message too large',
    'A message was larger than the device’s dialect allows.', 'Split it, or send less often and less.'),
  QOS2: row('device', 'QoS 2 is not for this dialect',
    'The device published with QoS 2, which its cloud’s dialect does not have.', 'Use QoS 1: acknowledged means stored.'),
  TAKEN_OVER: row('device', 'Same device connected again',
    'A newer connection of this device replaced this one.',
    'Once after a network change is normal. If it repeats every few seconds, two machines share one identity.'),
  DELETED: row('registry', 'Device was deleted',
    'An operator deleted the device while it was connected.', 'Register it again if that was a mistake.'),
  CREDENTIAL_REMOVED: row('registry', 'Credential was removed',
    'The key with which this connection began is no longer on file.',
    'If the device should go on, make sure that its current key is registered.'),
  REGISTRY_DISABLED: row('registry', 'Registry stopped taking MQTT',
    'MQTT was switched off in the registry while the device was connected.',
    'Switch MQTT on in the registry when its devices should come back.'),
  TOPIC_FORBIDDEN: row('device', 'Forbidden topic',
    'The device used a topic that is not its own.',
    'Devices publish to /devices/ID/events, /events/CHANNEL and /state, with their own id.'),
  NO_TELEMETRY_TOPIC: row('registry', 'Registry has no telemetry topic',
    'The device sent an event, but its registry does not say where events go.',
    'Set a telemetry topic in the registry’s routes.'),
  RATE: row('device', 'Too fast',
    'The device sent more messages than its limit allows.',
    'Let it gather readings and send them together.'),
  OVERLOAD: row('server', 'Server was too busy',
    'The device was sent more than it took in, or the server had no room left for it.',
    'A single device: let it read faster or subscribe to less. Many at once: give the server more memory or CPU.'),
  PERMISSION_DENIED: row('registry', 'Not permitted',
    'The caller’s role does not allow what was asked.',
    'Give it a role that does, or let it stop asking.'),
  KICKED: row('nobody', 'Ended by an operator',
    'An operator ended the connection.', 'Nothing to do: the device may connect again.'),
  BANNED: row('registry', 'Device is banned',
    'An operator has banned the device, perhaps for a time.', 'Lift the ban on its page, or wait.'),
  RECEIVE_MAX: row('device', 'Too many at once',
    'The device sent more unacknowledged messages than it was told it may (Receive Maximum).',
    'Fix the device’s MQTT library: it must keep to the number in CONNACK.'),
  TOPIC_ALIAS: row('device', 'Topic alias out of range',
    'The device used a topic alias of 0, or a higher one than it was told it may.', 'Fix the device’s MQTT library.'),
  QUOTA: row('registry', 'Over a quota',
    'The tenant’s retained messages, or the device’s connections, are at their bound.',
    'Clear what is not needed, or raise the limit.'),
  RETAINED_LIMIT: row('registry', 'Retained messages are at their bound',
    'The tenant may not retain more messages, or more bytes.', 'Clear old ones, or raise the limit.'),
  QUEUE_FULL: row('device', 'Queue was full',
    'Messages for the device were dropped because it did not take them. The detail says how many.',
    'Let it read faster, connect more often, or subscribe to less.'),
  SHUTDOWN: row('server', 'Server was stopped',
    'The server closed all connections because it was stopped or restarted.',
    'Nothing to do: the device connects again.'),
};

/** The explanation of a reason; null when this console does not know the word. */
export function explain(reason: string | null | undefined): Explanation | null {
  return reason ? (EXPLANATIONS[reason] ?? null) : null;
}

/** "TOKEN_EXPIRED" and what the console has no words for: "Some new reason". */
export function reasonTitle(reason: string | null | undefined): string {
  if (!reason) return 'No reason given';
  const known = EXPLANATIONS[reason];
  if (known) return known.title;
  const plain = reason.replace(/_/g, ' ').toLowerCase();
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

export const BLAME_WORDS: Record<Blame, string> = {
  device: 'to be set right on the device',
  registry: 'to be set right here, in the registry',
  network: 'to be found on the network',
  server: 'to be found on the server',
  nobody: 'nothing is wrong',
};

const KINDS: Record<string, { title: string; tone: 'good' | 'bad' | 'warn' | 'plain' }> = {
  connect: { title: 'Connected', tone: 'good' },
  disconnect: { title: 'Disconnected', tone: 'plain' },
  refusal: { title: 'Refused', tone: 'bad' },
  publish_denied: { title: 'Publish denied', tone: 'bad' },
  subscribe_denied: { title: 'Subscription denied', tone: 'bad' },
  config_sent: { title: 'Configuration sent', tone: 'plain' },
  config_ack: { title: 'Configuration acknowledged', tone: 'good' },
  command: { title: 'Command', tone: 'plain' },
  operator: { title: 'Operator', tone: 'warn' },
};

export function kindFacts(kind: string): { title: string; tone: 'good' | 'bad' | 'warn' | 'plain' } {
  return KINDS[kind] ?? { title: kind.replace(/_/g, ' '), tone: 'plain' };
}

// What an operator did, in the trail of a device.
const DEEDS: Record<string, string> = {
  CREATED: 'registered the device',
  UPDATED: 'changed its credentials or attributes',
  BLOCKED: 'blocked it',
  UNBLOCKED: 'unblocked it',
  DELETED: 'deleted it',
  KICKED: 'disconnected it',
  BANNED: 'banned it',
  UNBANNED: 'lifted its ban',
  CREDENTIAL_DISABLED: 'disabled one of its credentials',
  CREDENTIAL_ENABLED: 'enabled one of its credentials',
  CREDENTIAL_CHANGED: 'changed the validity of one of its credentials',
  CREDENTIAL_REMOVED: 'took one of its credentials away',
  TRACE_BEGAN: 'began to read its packets',
  TRACE_ENDED: 'no longer reads its packets',
};

/** "admin blocked it", "admin banned it, for 600 s", from an operator's entry. */
export function deed(reason: string | null, who: string | null): string {
  const what = reason ? (DEEDS[reason] ?? reason.replace(/_/g, ' ').toLowerCase()) : '';
  const [name, ...more] = (who ?? '').split(', ');
  return [[name || 'An operator', what].filter(Boolean).join(' '), ...more].join(', ');
}

export const LOG_KINDS: readonly string[] = Object.keys(KINDS);
export const KNOWN_REASONS: readonly string[] = Object.keys(EXPLANATIONS);
