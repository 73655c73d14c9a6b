import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openBrowser, openPage, signIn } from './browser.mjs';
import { missing, operator, url } from './server.mjs';

describe('signing in and out', { skip: missing }, () => {
  let browser;
  before(async () => (browser = await openBrowser()));
  after(() => browser?.close());

  test('the right password opens the page that was asked for, and nothing breaks the policy', async () => {
    const { context, page, trouble } = await openPage(browser);
    await signIn(page, '/devices?state=connected');
    await page.getByRole('heading', { level: 1, name: 'Devices' }).waitFor();
    assert.ok(await page.getByRole('radio', { name: 'Connected', exact: true }).isChecked());
    assert.deepEqual(trouble, []);
    await context.close();
  });

  test('signing out closes the door, also for the Back button and the API', async () => {
    const { context, page } = await openPage(browser);
    await signIn(page, '/devices');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Password').waitFor();
    await page.goBack().catch(() => null);
    await page.goto(`${url}/devices`);
    await page.getByLabel('Password').waitFor();
    const status = await page.evaluate(() => fetch('/api/v1/devices').then((answer) => answer.status));
    assert.equal(status, 401);
    await context.close();
  });

  test('a session that ends elsewhere leads to the door, and back to the same page', async () => {
    const { context, page } = await openPage(browser);
    await signIn(page, '/devices');
    await page.getByRole('heading', { level: 1, name: 'Devices' }).waitFor();
    let go; // what the page asks for by itself waits until the link has been followed
    const followed = new Promise((done) => { go = done; });
    await page.route('**/api/v1/**', (route) => followed.then(() => route.continue()));
    await context.clearCookies();
    await page.getByRole('link', { name: 'System' }).click();
    go();
    await page.getByText('Your session has ended.').waitFor();
    await page.getByLabel('Name', { exact: true }).fill(operator.name);
    await page.getByLabel('Password').fill(operator.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { level: 1, name: 'System' }).waitFor();
    await context.close();
  });

  test('a change by cookie without the console’s header is refused', async () => {
    const { context, page } = await openPage(browser);
    await signIn(page);
    const status = await page.evaluate(() =>
      fetch('/api/v1/tenants', { method: 'POST', body: '{"name":"forged"}' }).then((answer) => answer.status),
    );
    assert.equal(status, 403);
    await context.close();
  });

  test('the cookie is out of reach of scripts', async () => {
    const { context, page } = await openPage(browser);
    await signIn(page);
    assert.equal(await page.evaluate(() => document.cookie), '');
    const cookie = (await context.cookies()).find(({ name }) => name === '__Host-gatehouse');
    assert.ok(cookie?.httpOnly && cookie.secure && cookie.sameSite === 'Strict');
    await context.close();
  });

  // Last: it makes the server wary of this address.
  test('a wrong password says so without saying which half; too many say how long to wait', async () => {
    const { context, page } = await openPage(browser);
    await page.goto(url);
    const attempt = async () => {
      await page.getByLabel('Name', { exact: true }).fill('nobody');
      await page.getByLabel('Password').fill('wrong');
      const answered = page.waitForResponse((response) => response.url().endsWith('/api/v1/session') && response.request().method() === 'POST');
      await page.getByRole('button', { name: /Sign in/ }).click();
      const words = (await answered).status() === 429 ? 'Too many attempts' : 'Name or password is wrong';
      const alert = page.getByRole('alert').filter({ hasText: words }); // not that of the attempt before
      await alert.waitFor();
      return alert.innerText();
    };
    assert.match(await attempt(), /Name or password is wrong/);
    let text = '';
    for (let i = 0; i < 20 && !/Too many attempts/.test(text); i++) text = await attempt();
    assert.match(text, /Too many attempts/);
    assert.match(await page.getByRole('button').first().innerText(), /^Wait \d+/);
    await context.close();
  });
});
