// What a developer's own code would do. Started by oauth.test.mjs, which says in the environment where the server is.
import assert from 'node:assert/strict';
import { createHmac, createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const { GATEHOUSE_URL: url, GATEHOUSE_FOLDER: folder, GATEHOUSE_SECRET: secret, GATEHOUSE_TOKEN: operator } = process.env;
const pem = (name) => readFileSync(join(folder, name), 'utf8');
const keySet = () => jose.createRemoteJWKSet(new URL(`${url}/oauth2/jwks`));
const verify = (token) => jose.jwtVerify(token, keySet(), { issuer: url, audience: url, typ: 'at+jwt' });
const privateKey = (name, alg) => jose.importPKCS8(pem(name), alg);

test('openid-client: discovery, client_credentials by secret, introspection, revocation', async () => {
  const config = await openid.discovery(new URL(url), 'acme/hall/probe-1', undefined, openid.ClientSecretBasic(secret));
  const tokens = await openid.clientCredentialsGrant(config);
  assert.equal(tokens.token_type, 'bearer');
  assert.equal(tokens.expires_in, 3600);
  const { payload, protectedHeader } = await verify(tokens.access_token);
  assert.equal(protectedHeader.alg, 'ES256');
  assert.equal(payload.sub, 'acme/hall/probe-1');
  assert.equal(payload.client_id, 'acme/hall/probe-1');
  const active = await openid.tokenIntrospection(config, tokens.access_token);
  assert.equal(active.active, true);
  assert.equal(active.sub, 'acme/hall/probe-1');
  assert.equal(active.jti, payload.jti);
  await openid.tokenRevocation(config, tokens.access_token);
  assert.deepEqual(await openid.tokenIntrospection(config, tokens.access_token), { active: false });
});

test('openid-client: OAuth 2.0 discovery, private_key_jwt with ES256 and with RS256', async () => {
  for (const [name, file, alg] of [['probe-1', 'ec.key', 'ES256'], ['probe-rsa', 'rsa.key', 'RS256']]) {
    const config = await openid.discovery(new URL(url), `acme/hall/${name}`, undefined,
      openid.PrivateKeyJwt(await privateKey(file, alg)), { algorithm: 'oauth2' });
    const tokens = await openid.clientCredentialsGrant(config, { scope: 'mqtt' });
    assert.equal(tokens.scope, 'mqtt');
    assert.equal((await verify(tokens.access_token)).payload.sub, `acme/hall/${name}`);
  }
});

test('RS256 on request', async () => {
  const config = await openid.discovery(new URL(url), 'acme/hall/probe-1', undefined, openid.ClientSecretBasic(secret));
  const tokens = await openid.clientCredentialsGrant(config, { token_signing_alg: 'RS256' });
  assert.equal((await verify(tokens.access_token)).protectedHeader.alg, 'RS256');
});

test('oauth4webapi: discovery, client_credentials by secret and by assertion, validated as RFC 9068 asks', async () => {
  const issuer = new URL(url);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' }));
  const client = { client_id: 'acme/hall/probe-1' };
  const proofs = [oauth.ClientSecretBasic(secret), oauth.PrivateKeyJwt(await privateKey('ec.key', 'ES256'))];
  for (const proof of proofs) {
    const response = await oauth.clientCredentialsGrantRequest(as, client, proof, new URLSearchParams());
    const tokens = await oauth.processClientCredentialsResponse(as, client, response);
    const request = new Request(`${url}/api/v1/device`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
    const claims = await oauth.validateJwtAccessToken(as, request, url);
    assert.equal(claims.client_id, 'acme/hall/probe-1');
    assert.equal((await fetch(request)).status, 200);
  }
});

test('oauth4webapi: an error is one it knows', async () => {
  const issuer = new URL(url);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
  const client = { client_id: 'acme/hall/nobody' };
  const response = await oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretBasic(secret), new URLSearchParams());
  await assert.rejects(oauth.processClientCredentialsResponse(as, client, response),
    (error) => error instanceof oauth.WWWAuthenticateChallengeError || error.error === 'invalid_client');
});

test('an assertion is good once, for this server, for five minutes', async () => {
  const key = createPrivateKey(pem('ec-8.key'));
  const make = (claims = {}, header = {}) => new jose.SignJWT({ jti: crypto.randomUUID(), ...claims })
    .setProtectedHeader({ alg: 'ES256', ...header }).setIssuer(claims.iss ?? 'acme/hall/probe-8')
    .setSubject('acme/hall/probe-8').setAudience(claims.aud ?? url).setIssuedAt().setExpirationTime(claims.life ?? '1m').sign(key);
  const send = async (assertion) => {
    const response = await fetch(`${url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({
      grant_type: 'client_credentials', client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }) });
    return response.status;
  };
  const log = async () => (await (await fetch(`${url}/api/v1/tenants/acme/registries/hall/devices/probe-8/log?kind=refusal`,
    { headers: { authorization: `Bearer ${operator}` } })).json()).entries[0]?.reason;
  const once = await make();
  assert.equal(await send(once), 200);
  assert.equal(await send(once), 401, 'replayed');
  assert.equal(await log(), 'TOKEN_REPLAYED');
  const refusals = [
    [{ aud: [url, `${url}/oauth2/token`] }, 'AUDIENCE'], [{ aud: `${url}/oauth2/token` }, 'AUDIENCE'],
    [{ iss: 'acme/hall/probe-1' }, 'ISSUER'], [{ life: '10m' }, 'LIFETIME'], [{ jti: '' }, 'CLAIMS'],
  ];
  for (const [claims, reason] of refusals) {
    let status = await send(await make(claims));
    while (status === 429) { // the one before was wrong: its wait is to be over first
      await new Promise((next) => { setTimeout(next, 100); });
      status = await send(await make(claims));
    }
    assert.equal(status, 401, reason);
    assert.equal(await log(), reason);
    for (status = 0; status !== 200; status = await send(await make())) // a right one clears the waiting
      await new Promise((next) => { setTimeout(next, 100); });
  }
});

test('a token exchange: what a device signs in with at MQTT, natively or as one of Google\'s', async () => {
  const exchange = async (id, subject) => {
    const config = await openid.discovery(new URL(url), id, undefined, openid.None());
    return openid.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: subject, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' });
  };
  const key = createPrivateKey(pem('ec.key'));
  const make = (audience, subject) => {
    const jwt = new jose.SignJWT(subject ? { sub: subject } : {}).setProtectedHeader({ alg: 'ES256' });
    return jwt.setAudience(audience).setIssuedAt().setExpirationTime('30m').sign(key);
  };
  const native = await exchange('acme/hall/probe-1', await make('acme', 'probe-1'));
  assert.equal(native.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token');
  assert.equal((await verify(native.access_token)).payload.sub, 'acme/hall/probe-1');
  const google = await exchange('projects/acme-project/locations/any/registries/hall/devices/probe-1', await make('acme-project'));
  assert.equal((await verify(google.access_token)).payload.sub, 'acme/hall/probe-1');
  await assert.rejects(exchange('acme/hall/probe-7', await make('other', 'probe-7')), (error) => error.error === 'invalid_request');
});

test('a token exchange: the shared access signature that a device makes from its symmetric key', async () => {
  const config = await openid.discovery(new URL(url), 'acme/hall/probe-sas', undefined, openid.None());
  const key = Buffer.from(pem('sas.key').trim(), 'base64'), se = Math.floor(Date.now() / 1000) + 600;
  const make = (sr, until = se) => `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(
    createHmac('sha256', key).update(`${sr}\n${until}`).digest('base64'))}&se=${until}`;
  const exchange = (subject, type = 'urn:gatehouse:params:oauth:token-type:sas') => openid.genericGrantRequest(config,
    'urn:ietf:params:oauth:grant-type:token-exchange', { subject_token: subject, subject_token_type: type });
  const good = make('acme%2Fhall%2Fprobe-sas');
  const tokens = await exchange(good);
  assert.equal(tokens.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token');
  assert.ok(tokens.expires_in <= 900, `no longer than the signature and the skew: ${tokens.expires_in}`);
  assert.equal((await verify(tokens.access_token)).payload.sub, 'acme/hall/probe-sas');
  const asBearer = (token) => fetch(`${url}/api/v1/device`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await asBearer(tokens.access_token)).status, 200);
  assert.equal((await asBearer(good)).status, 401, 'itself it is no bearer token');
  await assert.rejects(exchange(good, 'urn:ietf:params:oauth:token-type:jwt'), (error) => error.error === 'invalid_request');
});
