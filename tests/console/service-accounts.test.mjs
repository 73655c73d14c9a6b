import assert from 'node:assert/strict';
import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { calls, openBrowser, openPage, press, signIn, visit } from './browser.mjs';
import { missing, operator, url } from './server.mjs';

const PASSWORD = 'four words of a person';
const ACCOUNTS = '/tenants/demo/service-accounts';
const EMAIL = 'night-job@demo.iam.gserviceaccount.com';
const PAGE = `/service-accounts?tenant=demo&account=${encodeURIComponent(EMAIL)}`;

describe('service accounts', { skip: missing }, () => {
  let browser, admin;
  before(async () => {
    browser = await openBrowser();
    admin = await openPage(browser, { acceptDownloads: true });
    await signIn(admin.page, '/people');
  });
  after(async () => {
    await calls(admin.page, 'DELETE', `${ACCOUNTS}/${EMAIL}`).catch(() => {});
    await browser?.close();
  });

  const row = (page, name) => page.getByRole('row').filter({ hasText: name });
  const told = (page, words) => page.getByRole('status').filter({ hasText: words }).waitFor({ state: 'attached' });
  const keysOf = async (page) => (await calls(page, 'GET', `${ACCOUNTS}/${EMAIL}/keys`)).body.keys;
  const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim());
  const shot = (page, name) => process.env.GATEHOUSE_SHOTS && page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/${name}.png`, fullPage: true });

  /** What a token that the key file signs is answered: 401 unknown, 403 known and without a right. */
  async function statusOf(page, { client_email, private_key, private_key_id }) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const text = `${part({ alg: 'RS256', kid: private_key_id })}.${part({
      iss: client_email, sub: client_email, iat: now, exp: now + 600, scope: 'https://www.googleapis.com/auth/pubsub',
    })}`;
    const token = `${text}.${createSign('RSA-SHA256').update(text).sign(private_key, 'base64url')}`;
    return page.evaluate((bearer) => fetch('/v1/projects/demo/topics', { credentials: 'omit', headers: { authorization: `Bearer ${bearer}` } })
      .then(({ status }) => status), token);
  }

  test('an account is made, gets a key, and the key file is taken once, by keyboard alone', async () => {
    const { page, trouble } = admin;
    await press(page.getByRole('navigation', { name: 'People and members' }).getByRole('link', { name: 'Service accounts' }));
    await page.getByRole('heading', { level: 1, name: 'Service accounts' }).waitFor();
    await page.getByRole('heading', { level: 2, name: 'Service accounts of demo' }).waitFor();
    await page.getByLabel('Name', { exact: true }).focus();
    await page.keyboard.type('night-job');
    await page.keyboard.press('Tab');
    await page.keyboard.type('sums up the day');
    await page.keyboard.press('Enter');
    await told(page, 'night-job is made.');
    assert.match(await row(page, EMAIL).innerText(), /sums up the day\s+Enabled/);
    assert.equal(await focused(page), 'account-name');

    await press(page.getByRole('button', { name: `Keys of ${EMAIL}` }));
    await page.getByText(`It has no key: nobody can act as ${EMAIL}.`).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('account'), EMAIL);
    await press(page.getByRole('button', { name: 'Make a key' }));
    await page.getByRole('alert').getByText('Its file holds the private half').waitFor();
    assert.equal(await focused(page), 'Download the key file');
    await shot(page, 'service-key');
    const coming = page.waitForEvent('download');
    await page.keyboard.press('Enter');
    const file = JSON.parse(readFileSync(await (await coming).path(), 'utf8'));
    const [key] = await keysOf(page);
    assert.equal((await coming).suggestedFilename(), `${key.id}.json`);
    assert.deepEqual([file.type, file.client_email, file.private_key_id, file.project_id], ['service_account', EMAIL, key.id, 'demo']);
    await page.getByRole('button', { name: 'Download the key file' }).waitFor({ state: 'detached' });
    assert.equal(await focused(page), 'keys');
    assert.equal((await page.content()).includes('PRIVATE KEY'), false);

    assert.equal(await statusOf(page, file), 403);
    await press(page.getByRole('button', { name: `Disable key ${key.id}` }));
    await told(page, `Key ${key.id} is disabled.`);
    assert.equal(await statusOf(page, file), 401);
    await press(page.getByRole('button', { name: `Enable key ${key.id}` }));
    await told(page, `Key ${key.id} is enabled.`);
    assert.equal(await statusOf(page, file), 403);
    await press(page.getByRole('button', { name: `Disable ${EMAIL}` }));
    await told(page, `${EMAIL} is disabled.`);
    assert.equal(await statusOf(page, file), 401);
    await press(page.getByRole('button', { name: `Enable ${EMAIL}` }));
    await told(page, `${EMAIL} is enabled.`);
    assert.deepEqual(trouble, []);
  });

  test('a key may expire; one is deleted when that was asked twice', async () => {
    const { page, trouble } = admin;
    await visit(page, PAGE, 'Service accounts');
    await page.getByLabel('Expires (UTC), or never').fill('2031-01-01T00:00');
    await press(page.getByRole('button', { name: 'Make a key' }));
    await row(page, '2031-01-01 00:00:00 UTC').waitFor();
    const { id } = (await keysOf(page)).find((key) => key.expires_at === '2031-01-01T00:00:00.000Z');
    await press(page.getByRole('button', { name: `Delete key ${id}`, exact: true }));
    assert.equal(await focused(page), `Delete key ${id} for good`);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter'); // keeps it
    assert.equal(await focused(page), `Delete key ${id}`);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await told(page, `Key ${id} is deleted.`);
    assert.equal(await row(page, id).count(), 0);
    assert.equal(await focused(page), 'keys');
    assert.equal(await page.getByRole('button', { name: 'Download the key file' }).count(), 0); // of a key that is gone
    assert.deepEqual(trouble, []);
  });

  test('a refusal is shown as the server says it', async () => {
    const { page, trouble } = admin;
    await visit(page, PAGE, 'Service accounts');
    await page.getByLabel('Name', { exact: true }).fill('night-job');
    await page.keyboard.press('Enter');
    const alert = page.getByRole('alert');
    await alert.getByText('Nothing was changed.').waitFor();
    assert.equal(await row(page, EMAIL).count(), 1);
    assert.deepEqual(trouble, []);
  });

  test('where the last proof is too old the password is asked for, and the key is made', async () => {
    const { page, trouble } = admin;
    await visit(page, PAGE, 'Service accounts');
    const before = (await keysOf(page)).length;
    await page.route('**/keys', (route) => route.request().method() === 'POST'
      ? route.fulfill({ status: 403, contentType: 'application/json', body: '{"error":{"code":"GH3003","status":403,"message":"old","action":"prove"}}' })
      : route.continue());
    await press(page.getByRole('button', { name: 'Make a key' }));
    await page.getByLabel('Your password').waitFor();
    await page.unroute('**/keys');
    assert.equal(await focused(page), 'proof');
    await page.keyboard.type(operator.password);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Download the key file' }).waitFor();
    assert.equal((await keysOf(page)).length, before + 1);
    assert.deepEqual(trouble, []);
  });

  test('an auditor reads and cannot change; a viewer is refused', async () => {
    for (const [name, role] of [['accounts-auditor', 'auditor'], ['accounts-viewer', 'viewer']]) {
      const made = await calls(admin.page, 'POST', '/operators', { name, role, password: PASSWORD });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const { context, page, trouble } = await openPage(browser);
      await page.goto(url + PAGE);
      await page.getByLabel('Name', { exact: true }).fill(name);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'Service accounts' }).waitFor();
      if (role === 'auditor') {
        await page.getByRole('heading', { level: 2, name: `Keys of ${EMAIL}` }).waitFor();
        await row(page, 'Last used').waitFor();
        for (const button of [/^Delete/, /^Disable/, /^Make/]) assert.equal(await page.getByRole('button', { name: button }).count(), 0, String(button));
      } else {
        await page.getByRole('alert').getByText('GH3002').waitFor();
      }
      assert.deepEqual(trouble, []);
      await context.close();
    }
  });

  test('an account is deleted with its keys when that was asked twice', async () => {
    const { page, trouble } = admin;
    await visit(page, PAGE, 'Service accounts');
    await press(page.getByRole('button', { name: `Delete ${EMAIL}`, exact: true }));
    await page.keyboard.press('Enter');
    await row(page, EMAIL).waitFor({ state: 'detached' });
    assert.equal(await focused(page), 'accounts');
    assert.equal((await calls(page, 'GET', `${ACCOUNTS}/${EMAIL}`)).status, 404);
    assert.equal(new URL(page.url()).searchParams.get('account'), null);
    assert.deepEqual(trouble, []);
  });
});
