// Every kind of credential with every defect: one vague answer to the peer, the exact reason in the device's log. The cells
// are generated from the two tables below; the table they make stands in docs/operate/refusals.md (UPDATE=1 writes it).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac, createPrivateKey, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import mqtt from 'mqtt';
import { Pki } from '../lib/pki.mjs';
import { deviceKey, deviceToken, eventually, inTime, Server } from '../lib/server.mjs';

const page = new URL('../../docs/operate/refusals.md', import.meta.url);
let server, pki, token, cas = {};
const api = (method, path, body) => server.call(method, `/api/v1/tenants/${path}`, { token, body });
const must = async (answer, status) => { const got = await answer; assert.equal(got.status, status, got.text); return got.body; };
const past = '2020-01-01T00:00:00Z', future = '2100-01-01T00:00:00Z', nowS = () => Math.floor(Date.now() / 1000);

before(async () => {
  pki = new Pki();
  server = await (await Server.create()).start();
  token = await server.token();
  const policy = pki.file('all.json', '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["connect"],"Resource":"*"}]}');
  for (const tenant of ['acme', 'other', 'shut']) {
    await server.cli('tenant', 'create', tenant);
    for (const registry of ['plant', 'off']) await server.cli('registry', 'create', `${tenant}/${registry}`);
    await server.cli('policy', 'put', `${tenant}/all`, policy);
    await server.cli('policy', 'attach', `${tenant}/all`, tenant);
  }
  await must(api('PATCH', 'acme/registries/off', { mqtt_enabled: false }), 200);
  const root = pki.ca('Plant root'), closed = pki.ca('Closed root');
  cas = { plant: { ...root, id: await addCa('plant', root) }, closed: { ...closed, id: await addCa('plant', closed) }, off: { ...root, id: await addCa('off', root) } };
  await addCa('plant', root, 'shut');
});
after(async () => { await server?.close(); pki?.close(); });

async function addCa(registry, ca, tenant = 'acme') {
  const added = await must(api('POST', `${tenant}/registries/${registry}/cas`, { pem: ca.cert }), 201);
  const proof = pki.leaf('proof', ca, { subject: `/CN=${added.verification_code}` });
  await must(api('POST', `${tenant}/registries/${registry}/cas/${added.id}/verify`, { pem: proof.cert }), 200);
  return added.id;
}

// A certificate that begins in 2090, or ends at a given time: only `openssl ca` lets its caller say when.
function leafOfTomorrow(name, ca, begins = '20900101000000Z', ends = '20910101000000Z') {
  const base = pki.file(`late-${pki.count++}`), request = `${base}.csr`, own = pki.key(`late-${pki.count++}`);
  execFileSync('openssl', ['req', '-new', '-key', own, '-subj', `/CN=${name}`, '-out', request], { stdio: 'ignore' });
  writeFileSync(`${base}.index`, '');
  writeFileSync(`${base}.serial`, randomBytes(8).toString('hex').replace(/^./, '1'));
  writeFileSync(`${base}.cnf`, `[ca]\ndefault_ca=c\n[c]\ndatabase=${base}.index\nserial=${base}.serial\nnew_certs_dir=${pki.folder}\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n`
    + '[p]\ncommonName=supplied\n[x]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid:always\n');
  execFileSync('openssl', ['ca', '-batch', '-notext', '-config', `${base}.cnf`, '-in', request, '-cert', ca.certFile, '-keyfile', ca.keyFile,
    '-startdate', begins, '-enddate', ends, '-out', `${base}.crt`], { stdio: 'ignore' });
  return { cert: readFileSync(`${base}.crt`, 'utf8'), key: readFileSync(own, 'utf8') };
}

/* --- what a peer does, and what it is told */

// What the server itself would have signed an hour ago: its key, taken out of its keyring, over the claims of a token that it gave.
async function agedToken(jwt) {
  const [header, claims] = jwt.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  const keys = (await server.cli('keys', 'export', 'token.keys')).match(/^ES256 current [^-]+(-----BEGIN[^]+?END PRIVATE KEY-----)/m);
  return deviceToken({ alg: 'ES256', privateKey: createPrivateKey(keys[1]) }, claims.aud, { ...claims, iat: claims.iat - 3700, exp: claims.exp - 3700 }, header);
}

// CONNECT with MQTT 5; resolves with what CONNACK told: the reason code and whatever text came with it.
function connect({ tenant, registry, id }, { password, cert, key } = {}) {
  return new Promise((done, fail) => {
    const client = mqtt.connect({ protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: server.ca, username: `${tenant}/${registry}/${id}`, password, cert, key,
      clientId: id, protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 20000 });
    client.on('packetreceive', ({ cmd, reasonCode, properties }) => {
      if (cmd === 'connack') { client.end(true); done(reasonCode === 0 ? 'accepted' : `CONNACK 0x${reasonCode.toString(16)} ${properties?.reasonString ?? ''}`.trim()); }
    });
    client.once('error', fail);
    client.on('error', () => {});
    client.once('close', () => fail(new Error(`${id} was closed without CONNACK`)));
  });
}

function enrol({ tenant, registry, id }, { password }) {
  const csr = execFileSync('openssl', ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null', '-subj', `/CN=${id}`, '-outform', 'DER'], { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((done, fail) => {
    const request = httpsRequest(`${server.url}/.well-known/est/simpleenroll`, { method: 'POST', ca: server.ca, headers: {
      'content-type': 'application/pkcs10', authorization: `Basic ${Buffer.from(`${tenant}/${registry}/${id}:${password}`).toString('base64')}` } }, (response) => {
      let body = '';
      response.on('data', (chunk) => { body += chunk; });
      response.on('end', () => done(response.statusCode === 200 ? 'accepted' : `${response.statusCode} ${body.trim()}`));
    });
    request.on('error', fail);
    request.end(csr.toString('base64'));
  });
}

const post = (path, fields, headers = {}) => server.call('POST', path, { body: new URLSearchParams(fields).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });
const basic = ({ tenant, registry, id }, secret) => ({ authorization: `Basic ${Buffer.from(`${encodeURIComponent(`${tenant}/${registry}/${id}`)}:${secret}`).toString('base64')}` });

/* --- kinds of credentials: `given` is what the device is registered with, `shows` what it shows */

let count = 0;
const jwt = (alg) => ({
  given() { const key = deviceKey(alg); return { key, credential: { pem: key.pem } }; },
  shows: ({ key, name }, { claims = {} } = {}) => ({ password: deviceToken(key, name.tenant, { sub: name.id, ...claims }) }),
  expired: { claims: { iat: 1500000000, exp: 1500003600 } }, early: { claims: { iat: 4000000000, exp: 4000003600 } },
});
const secretKind = {
  given() { const secret = randomBytes(18).toString('base64url'); return { secret, credential: { password: secret } }; },
  shows: ({ secret }) => ({ password: secret }),
};
const kinds = {
  'JWT ES256': jwt('ES256'),
  'JWT RS256': jwt('RS256'),
  'certificate, registered': {
    given({ leaf = pki.leaf(`thumb-${count}`) } = {}) { return { leaf, credential: { pem: leaf.cert } }; },
    shows: ({ leaf }) => leaf,
  },
  'certificate, by CA': {
    given: () => ({}),
    shows: ({ name, leaf }, { days, late, ca = cas[name.registry] } = {}) => leaf ?? (late ? leafOfTomorrow(name.id, ca) : pki.leaf(name.id, ca, { days })),
    expired: { days: -1 }, early: { late: true },
  },
  SAS: {
    given() { const key = randomBytes(32).toString('base64'); return { key, credential: { symmetric_key: key } }; },
    shows({ key, name }, { ttlS = 600 } = {}) {
      const sr = encodeURIComponent(`${name.tenant}/${name.registry}/${name.id}`), se = nowS() + ttlS;
      return { password: `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64'))}&se=${se}` };
    },
    expired: { ttlS: -3600 },
  },
  'id and secret': secretKind,
  'access token': {
    ...secretKind,
    async shows({ secret, name, held }) { // of what the device had when it asked for it
      if (held) return held;
      const { status, body, text } = await post('/oauth2/token', { grant_type: 'client_credentials' }, basic(name, secret));
      assert.equal(status, 200, text);
      return { password: body.access_token };
    },
  },
  'enrolment token': {
    given: () => ({}),
    async shows({ name, held }, { ttl_s = 600 } = {}) {
      return held ?? { password: (await must(api('POST', `${name.tenant}/registries/${name.registry}/devices/${name.id}/enrolment`, { ttl_s }), 201)).token };
    },
    peer: enrol,
    expired: { ttl_s: 1 },
  },
};

async function make(kind, { tenant = 'acme', registry = 'plant', id = `dev-${count++}`, credential = {}, ...given } = {}) {
  const made = kinds[kind].given(given);
  const body = { id, credentials: made.credential ? [{ ...made.credential, ...credential }] : [] };
  const device = await must(api('POST', `${tenant}/registries/${registry}/devices`, body), 201);
  return { ...made, name: { tenant, registry, id }, credentialId: device.credentials[0]?.id };
}
const show = async (kind, device, options, as = device.name) => {
  const shown = await kinds[kind].shows(device, options);
  device.held = shown;
  return (kinds[kind].peer ?? connect)(as, shown);
};
const path = ({ tenant, registry, id }) => `${tenant}/registries/${registry}/devices/${id}`;
const listOf = async ({ name }) => (await must(api('GET', `${path(name)}/credentials`), 200)).credentials;

/* --- defects: each resolves with [what the peer was told, whose log says why] */

const own = async (kind, device, options) => [await show(kind, device, options), device.name];
const prepared = async (kind, change, more) => { // the device has what it shows before the change
  const device = await make(kind, more);
  device.held = await kinds[kind].shows(device);
  if (kind === 'certificate, by CA') device.leaf = device.held;
  await change(device);
  return own(kind, device);
};
const asAnother = async (kind, tenant) => {
  const device = await make(kind), another = await make(kind, { tenant });
  return [await show(kind, device, {}, another.name), another.name];
};
const disabled = (kind) => prepared(kind, async (device) => {
  const id = device.credentialId ?? (await listOf(device))[0].id;
  await must(api('PATCH', `${path(device.name)}/credentials/${id}`, { disabled: true }), 200);
});
const removed = (kind) => prepared(kind, (device) => must(api('DELETE', `${path(device.name)}/credentials/${device.credentialId}`), 200));

const defects = {
  'expired': async (kind) => {
    if (kind === 'certificate, registered') { // what has expired cannot be registered, so it does afterwards
      const device = await inTime((seconds) => {
        const ends = new Date(Date.now() + 2000 * seconds).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
        return make(kind, { leaf: leafOfTomorrow('ends', cas.plant, '20200101000000Z', ends) }).catch(() => undefined);
      }, 'a device whose certificate is not over yet');
      let told;
      await eventually(async () => (told = await show(kind, device)) !== 'accepted', 120000, 'the certificate expires');
      return [told, device.name];
    }
    const device = await make(kind);
    if (kind === 'access token') {
      device.held = { password: await agedToken((await kinds[kind].shows(device)).password) };
      return own(kind, device);
    }
    if (kind !== 'enrolment token') return own(kind, device, kinds[kind].expired);
    device.held = await kinds[kind].shows(device, { ttl_s: 1 });
    await eventually(async () => (await listOf(device))[0].state === 'expired', 10000, 'the token expires');
    return own(kind, device);
  },
  'not yet valid': async (kind) => own(kind, await make(kind, kind === 'certificate, registered' ? { leaf: leafOfTomorrow('late', cas.plant) } : {}), kinds[kind].early),
  'revoked': async (kind) => {
    if (kind === 'certificate, by CA') return prepared(kind, ({ leaf }) => must(api('POST', `acme/registries/plant/cas/${cas.plant.id}/revocations`, { serial: leaf.serial }), 200));
    if (kind === 'access token') return prepared(kind, async ({ name, secret, held }) => { assert.equal((await post('/oauth2/revoke', { token: held.password }, basic(name, secret))).status, 200); });
    return removed(kind);
  },
  'replayed': async (kind) => {
    const device = await make(kind);
    if (kind === 'enrolment token') {
      assert.equal(await show(kind, device), 'accepted');
      return own(kind, device);
    }
    const me = Object.values(device.name).join('/');
    const { password } = kinds[kind].shows(device, { claims: { iss: me, sub: me, aud: server.issuer, jti: randomUUID(), exp: nowS() + 60 } });
    const ask = () => post('/oauth2/token', { grant_type: 'client_credentials', client_assertion: password, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' });
    assert.equal((await ask()).status, 200);
    const { status, body } = await ask();
    return [`${status} ${body.error}`, device.name];
  },
  'wrong device': (kind) => asAnother(kind, 'acme'),
  'wrong tenant': (kind) => asAnother(kind, 'other'),
  'credential expired': async (kind) => own(kind, await make(kind, { credential: { expires_at: past } })),
  'credential not yet valid': async (kind) => own(kind, await make(kind, { credential: { valid_from: future } })),
  'credential disabled': disabled,
  'device disabled': (kind) => prepared(kind, ({ name }) => must(api('PATCH', path(name), { blocked: true }), 200)),
  'registry disabled': async (kind) => own(kind, await make(kind, { registry: 'off' })),
  'tenant disabled': async (kind) => {
    const disable = (disabled) => must(api('PATCH', 'shut', { disabled }), 200);
    const outcome = await prepared(kind, () => disable(true), { tenant: 'shut' });
    await disable(false);
    return outcome;
  },
  'tenant gone': async (kind) => {
    const device = await make(kind), nobody = { ...device.name, tenant: 'gone' };
    return [await show(kind, device, {}, nobody), nobody];
  },
  'CA disabled': async (kind) => {
    const device = await make(kind);
    device.leaf = kinds[kind].shows(device, { ca: cas.closed });
    await must(api('PATCH', `acme/registries/plant/cas/${cas.closed.id}`, { enabled: false }), 200);
    return own(kind, device);
  },
};

/* --- what each cell is to say: a reason, or in brackets why there is no such cell */

const noTime = '(has no time of its own)', bearer = '(good until it expires)', proof = '(the handshake proves the key each time)', noCa = '(no CA stands behind it)';
const expected = {
  'JWT ES256': ['TOKEN_EXPIRED', 'TOKEN_NOT_YET_VALID', 'NO_CREDENTIAL', 'TOKEN_REPLAYED', 'SIGNATURE', 'SIGNATURE', 'CREDENTIAL_EXPIRED', 'CREDENTIAL_NOT_YET_VALID', 'CREDENTIAL_DISABLED', 'BLOCKED', 'MQTT_DISABLED', 'TENANT_DISABLED', 'UNKNOWN_TENANT', noCa],
  'JWT RS256': ['TOKEN_EXPIRED', 'TOKEN_NOT_YET_VALID', 'NO_CREDENTIAL', 'TOKEN_REPLAYED', 'SIGNATURE', 'SIGNATURE', 'CREDENTIAL_EXPIRED', 'CREDENTIAL_NOT_YET_VALID', 'CREDENTIAL_DISABLED', 'BLOCKED', 'MQTT_DISABLED', 'TENANT_DISABLED', 'UNKNOWN_TENANT', noCa],
  'certificate, registered': ['CERTIFICATE_EXPIRED', 'CERTIFICATE_NOT_YET_VALID', 'CERTIFICATE_UNKNOWN', proof, 'CERTIFICATE_UNKNOWN', 'CERTIFICATE_UNKNOWN', 'CREDENTIAL_EXPIRED', 'CREDENTIAL_NOT_YET_VALID', 'CREDENTIAL_DISABLED', 'BLOCKED', 'MQTT_DISABLED', 'TENANT_DISABLED', 'UNKNOWN_TENANT', noCa],
  'certificate, by CA': ['CERTIFICATE_EXPIRED', 'CERTIFICATE_NOT_YET_VALID', 'CERTIFICATE_REVOKED', proof, 'CERTIFICATE_NAME', 'CERTIFICATE_UNKNOWN', '(is no record of the device)', '(is no record of the device)', '(it is revoked instead)', 'BLOCKED', 'MQTT_DISABLED', 'TENANT_DISABLED', 'UNKNOWN_TENANT', 'CA_DISABLED'],
  SAS: ['TOKEN_EXPIRED', noTime, 'NO_CREDENTIAL', bearer, 'SIGNATURE', 'SIGNATURE', 'CREDENTIAL_EXPIRED', 'CREDENTIAL_NOT_YET_VALID', 'CREDENTIAL_DISABLED', 'BLOCKED', 'MQTT_DISABLED', 'TENANT_DISABLED', 'UNKNOWN_TENANT', noCa],
  'id and secret': [noTime, noTime, 'NO_CREDENTIAL', '(good as long as it is registered)', 'SECRET', 'SECRET', 'CREDENTIAL_EXPIRED', 'CREDENTIAL_NOT_YET_VALID', 'CREDENTIAL_DISABLED', 'BLOCKED', 'MQTT_DISABLED', 'TENANT_DISABLED', 'UNKNOWN_TENANT', noCa],
  'access token': ['TOKEN_EXPIRED', noTime, 'TOKEN_REVOKED', bearer, 'SUBJECT', 'SUBJECT', '(is not given for one)', '(is not given for one)', 'CREDENTIAL_DISABLED', 'BLOCKED', 'MQTT_DISABLED', 'TENANT_DISABLED', 'SUBJECT', noCa],
  'enrolment token': ['TOKEN_EXPIRED', noTime, '(it is disabled instead)', 'TOKEN_REPLAYED', 'SUBJECT', 'SUBJECT', '(has one end)', noTime, 'CREDENTIAL_DISABLED', 'BLOCKED', '(enrolling is not the registry\'s)', 'TENANT_DISABLED', 'UNKNOWN_TENANT', noCa],
};
const vague = { mqtt: 'CONNACK 0x86', est: '401 not authorised', token: '401 invalid_client' };
const wayOf = (kind, defect) => (kind === 'enrolment token' ? 'est' : defect === 'replayed' ? 'token' : 'mqtt');

function table() {
  const names = Object.keys(defects), cell = (text) => (text.startsWith('(') ? `– ${text.slice(1, -1)}` : `\`${text}\``);
  return [`| | ${Object.keys(kinds).join(' | ')} |`, `| --- |${' --- |'.repeat(Object.keys(kinds).length)}`,
    ...names.map((name, i) => `| ${name} | ${Object.keys(kinds).map((kind) => cell(expected[kind][i])).join(' | ')} |`)].join('\n');
}

test('every kind with every defect: a vague answer, and the exact reason in the log', async () => {
  server.issuer = (await server.call('GET', '/.well-known/oauth-authorization-server')).body.issuer;
  const names = Object.keys(defects), wrong = [];
  let shown = 0, named = 0;
  for (const kind of Object.keys(kinds)) {
    const fine = await make(kind);
    assert.equal(await show(kind, fine), 'accepted', `${kind} without a defect`);
    for (const [i, defect] of names.entries()) {
      const reason = expected[kind][i];
      if (reason.startsWith('(')) { named++; continue; }
      const [told, at] = await defects[defect](kind), way = wayOf(kind, defect);
      const log = () => (at.tenant === 'gone' ? server.call('GET', '/api/v1/refusals', { token }) : api('GET', `${path(at)}/log?kind=refusal`));
      const entry = await eventually(async () => (await log()).body.entries?.find(({ device }) => at.tenant !== 'gone' || device === at.id), 8000, `${kind}, ${defect}: an entry`);
      if (told !== vague[way]) wrong.push(`${kind}, ${defect}: the peer was told ${told}`);
      if (entry.reason !== reason) wrong.push(`${kind}, ${defect}: ${entry.reason} (${entry.detail}) for ${reason}`);
      if (!entry.detail) wrong.push(`${kind}, ${defect}: no detail`);
      shown++;
    }
  }
  console.log(table());
  console.log(`${shown} cells shown, ${named} named as not applying, ${wrong.length} wrong`);
  assert.deepEqual(wrong, []);
});

test('the page for operators has the table', () => {
  const text = readFileSync(page, 'utf8'), [begin, end] = ['<!-- refusals: begin -->\n', '\n<!-- refusals: end -->'];
  const now = text.slice(0, text.indexOf(begin) + begin.length) + table() + text.slice(text.indexOf(end));
  if (process.env.UPDATE) writeFileSync(page, now);
  assert.equal(process.env.UPDATE ? now : text, now);
});
