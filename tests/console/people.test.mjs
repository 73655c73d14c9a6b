import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { calls, openBrowser, openPage, press, signIn } from './browser.mjs';
import { ageProof, hasSqlite } from '../lib/ageing.mjs';
import { data, missing, url } from './server.mjs';

// The console under a name: security keys take no addresses.
const named = url.replace('127.0.0.1', 'localhost');
const PASSWORD = 'four words of a person';

// RFC 6238 once more, so that the server is not compared with itself.
function totp(secret, step) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))).update(count).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}
const thisStep = () => Math.floor(Date.now() / 30000);

async function enter(page, name, password) {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

// A virtual security key of Chromium's own (its DevTools protocol); one that knows its person has asked for a PIN each time.
async function securityKey(context, page, knowsPerson = false) {
  const devtools = await context.newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'usb', hasResidentKey: false, hasUserVerification: knowsPerson, isUserVerified: knowsPerson, automaticPresenceSimulation: true },
  });
  return { devtools, authenticatorId };
}

describe('people', { skip: missing }, () => {
  let browser, admin;
  before(async () => {
    browser = await openBrowser();
    admin = await openPage(browser);
    await signIn(admin.page, '/people');
  });
  after(() => browser?.close());

  const someone = async (name) => {
    const made = await calls(admin.page, 'POST', '/operators', { name, role: 'operator', password: PASSWORD });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const visitor = await openPage(browser);
    visitor.trouble.length = 0;
    return visitor;
  };

  test('an administrator adds a person, by keyboard alone, and sees what the roles allow', async () => {
    const { page, trouble } = admin;
    await page.getByRole('heading', { level: 1, name: 'People' }).waitFor();
    await page.getByLabel('Name', { exact: true }).focus();
    await page.keyboard.type('ada');
    await page.keyboard.press('Tab');
    await page.keyboard.type('viewer');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('The password of').waitFor();
    const password = await page.getByRole('alert').locator('code').innerText();
    assert.match(password, /^[a-z0-9]{5}(-[a-z0-9]{5}){3}$/);
    assert.equal(await page.getByLabel('Role of ada').inputValue(), 'viewer');
    await press(page.getByRole('button', { name: 'Invite ada' }));
    await page.getByRole('alert').getByText(`${url}/invitation#ada:`).waitFor();
    await press(page.getByRole('button', { name: 'Disable ada' }));
    await page.getByRole('button', { name: 'Enable ada' }).waitFor();
    await press(page.locator('summary').filter({ hasText: /^auditor/ }));
    await page.locator('details[open]').getByText(/trail\.read/).waitFor();
    if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/people.png`, fullPage: true });
    assert.deepEqual(trouble, []);
  });

  test('a security key: added, asked for, and a copy of it is refused', async () => {
    const { context, page } = await someone('bea');
    const { devtools, authenticatorId } = await securityKey(context, page);
    await page.goto(named);
    await enter(page, 'bea', PASSWORD);
    await press(page.getByRole('link', { name: 'My account' }));
    await press(page.getByRole('button', { name: 'Add a second factor' }));
    await page.getByLabel(/What you call it/).fill('blue key');
    await press(page.getByRole('button', { name: 'Add a security key' }));
    await page.getByRole('list', { name: 'Recovery codes' }).waitFor();
    assert.equal(await page.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem').count(), 10);
    await page.getByRole('cell', { name: 'blue key', exact: true }).waitFor();
    if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/account.png`, fullPage: true });

    await press(page.getByRole('button', { name: 'Sign out' }));
    await enter(page, 'bea', PASSWORD);
    await page.getByRole('heading', { name: 'Second factor' }).waitFor();
    if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/factor.png` });
    await press(page.getByRole('button', { name: 'Use the security key' }));
    await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor();

    // A copy: the counter stands where it stood before the last sign-in.
    const { credentials: [credential] } = await devtools.send('WebAuthn.getCredentials', { authenticatorId });
    await devtools.send('WebAuthn.removeCredential', { authenticatorId, credentialId: credential.credentialId });
    await devtools.send('WebAuthn.addCredential', { authenticatorId, credential: { ...credential, signCount: credential.signCount - 1 } });
    await press(page.getByRole('button', { name: 'Sign out' }));
    await enter(page, 'bea', PASSWORD);
    await press(page.getByRole('button', { name: 'Use the security key' }));
    await page.getByText('That was not it.').waitFor();
    await context.close();
  });

  test('who is invited chooses a password, by keyboard alone, and is in; the link is good once', async () => {
    const { context, page, trouble } = await someone('hana');
    const { body: { path } } = await calls(admin.page, 'POST', '/operators/hana/invitation');
    await page.goto(url + path);
    await page.getByRole('heading', { name: 'Welcome, hana' }).waitFor();
    assert.equal(new URL(page.url()).hash, '', 'the secret is not left in the address');
    await page.keyboard.type('words that hana chose');
    if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/invitation.png` });
    await page.keyboard.press('Enter');
    await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor();
    await press(page.getByRole('button', { name: 'Sign out' }));
    await page.getByLabel('Password').waitFor();
    await page.goto(url + path);
    await page.getByLabel('Choose your password').fill('words that somebody chose');
    await page.keyboard.press('Enter');
    await page.getByText('This invitation is not good any more.').waitFor();
    assert.deepEqual(trouble, []);
    await context.close();
  });

  // Adds a key to the account of somebody new, and lets the proof of it grow old.
  const withOldKey = async (name, knowsPerson) => {
    const visitor = await someone(name), { page, context } = visitor;
    await securityKey(context, page, knowsPerson);
    await page.goto(`${named}/account`);
    await enter(page, name, PASSWORD);
    await press(page.getByRole('button', { name: 'Add a second factor' }));
    await press(page.getByRole('button', { name: 'Add a security key' }));
    await page.getByRole('list', { name: 'Recovery codes' }).waitFor();
    ageProof(data, name, 600);
    return visitor;
  };

  test('a fresh proof by a security key that knows its person', { skip: hasSqlite ? false : 'sqlite3 is not installed' }, async () => {
    const { context, page, trouble } = await withOldKey('fay', true);
    await page.getByLabel('What it is for').fill('nightly');
    await press(page.getByRole('button', { name: 'Make a token' }));
    await page.getByRole('form', { name: 'Prove that it is you' }).waitFor();
    await press(page.getByRole('button', { name: 'Use the security key' }));
    await page.getByText(/^ght_/).waitFor();
    assert.deepEqual(trouble, []);
    await context.close();
  });

  test('a touch of a key is no fresh proof, whatever the browser is asked for', { skip: hasSqlite ? false : 'sqlite3 is not installed' }, async () => {
    const { context, page } = await withOldKey('gus', false);
    const asked = await calls(page, 'POST', '/session/challenge');
    assert.equal(asked.body.user_verification, 'required');
    const shown = await page.evaluate(async ({ challenge, rp_id, credentials }) => {
      const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0));
      const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
      const { rawId, response } = await navigator.credentials.get({ publicKey: { challenge: bytes(challenge), rpId: rp_id,
        allowCredentials: credentials.map((id) => ({ type: 'public-key', id: bytes(id) })), userVerification: 'discouraged' } });
      return { credential: text(rawId), client_data: text(response.clientDataJSON), authenticator_data: text(response.authenticatorData), signature: text(response.signature) };
    }, asked.body);
    assert.equal((await calls(page, 'POST', '/session/proof', { webauthn: shown })).status, 401);
    assert.equal((await calls(page, 'POST', '/account/tokens', { label: 'none' })).body.error.code, 'GH3003');
    await page.getByLabel('What it is for').fill('nightly');
    await press(page.getByRole('button', { name: 'Make a token' }));
    await page.getByLabel('Your password', { exact: true }).fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByText(/^ght_/).waitFor();
    await context.close();
  });

  test('an authenticator app, then a code; then a recovery code when it is lost', async () => {
    const { context, page, trouble } = await someone('cleo');
    await page.goto(`${url}/account`);
    await enter(page, 'cleo', PASSWORD);
    await press(page.getByRole('button', { name: 'Add a second factor' }));
    await press(page.getByRole('button', { name: 'Add an authenticator app' }));
    const secret = (await page.getByTestId('secret').innerText()).replaceAll(' ', '');
    const step = thisStep();
    await page.getByLabel('Code that the app shows now').fill(totp(secret, step));
    await page.keyboard.press('Enter');
    const recovery = await page.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem').first().innerText(); // waits for it
    await press(page.getByRole('button', { name: 'Sign out' }));

    await enter(page, 'cleo', PASSWORD);
    await page.getByLabel('Code of six digits').fill(totp(secret, Math.max(step + 1, thisStep())));
    await page.keyboard.press('Enter');
    await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor();
    await press(page.getByRole('button', { name: 'Sign out' }));

    await enter(page, 'cleo', PASSWORD);
    await press(page.getByRole('button', { name: 'Use a recovery code' }));
    await page.getByLabel('Recovery code').fill(recovery);
    await page.keyboard.press('Enter');
    await page.getByText('9 recovery codes are left.').waitFor();
    assert.deepEqual(trouble, []);
    await context.close();
  });

  test('a password, a token and sessions of one\'s own', async () => {
    const { context, page, trouble } = await someone('dora');
    await page.goto(`${url}/account`);
    await enter(page, 'dora', PASSWORD);
    await page.getByLabel('What it is for').fill('nightly');
    await press(page.getByRole('button', { name: 'Make a token' }));
    await page.getByText(/^ght_/).waitFor();
    const token = await page.getByText(/^ght_/).innerText();
    const use = () => page.evaluate((token) => fetch('/api/v1/devices', { headers: { authorization: `Bearer ${token}` }, credentials: 'omit' }).then(({ status }) => status), token);
    assert.equal(await use(), 200);
    await press(page.getByRole('button', { name: 'Revoke nightly' }));
    await page.getByRole('button', { name: 'Revoke nightly' }).waitFor({ state: 'detached' });
    assert.equal(await use(), 401);

    const other = await openPage(browser);
    await other.page.goto(url);
    await enter(other.page, 'dora', PASSWORD);
    await other.page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor();
    await page.reload();
    await press(page.getByRole('button', { name: /^End the session/ }));
    await page.getByRole('button', { name: /^End the session/ }).waitFor({ state: 'detached' });
    assert.equal((await calls(other.page, 'GET', '/session')).status, 401);
    await page.getByLabel('New password').fill('another four long words');
    await page.keyboard.press('Enter');
    await page.getByText('The password is changed').waitFor({ state: 'attached' });
    await press(page.getByRole('button', { name: 'Sign out' }));
    await enter(page, 'dora', 'another four long words');
    await page.getByRole('heading', { level: 1, name: 'My account' }).waitFor();
    assert.deepEqual(trouble, []);
    await context.close();
  });

  test('where a second factor is demanded, one is added first', async () => {
    const { context, page } = await someone('elli');
    await calls(admin.page, 'PUT', '/sign-in-policy', { second_factor: true });
    try {
      await page.goto(url);
      await enter(page, 'elli', PASSWORD);
      await page.getByRole('heading', { name: 'Add a second factor' }).waitFor();
      if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/enrol.png` });
      await press(page.getByRole('button', { name: 'Add an authenticator app' }));
      const secret = (await page.getByTestId('secret').innerText()).replaceAll(' ', '');
      await page.getByLabel('Code that the app shows now').fill(totp(secret, thisStep()));
      await page.keyboard.press('Enter');
      await press(page.getByRole('button', { name: /I have kept them/ }));
      await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor();
    } finally {
      await calls(admin.page, 'PUT', '/sign-in-policy', { second_factor: false });
      await context.close();
    }
  });
});
