import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openBrowser, openPage, press, signIn, visit } from './browser.mjs';
import { missing, operator } from './server.mjs';

const DEVICE = '/devices/demo/warehouse/hall-1-climate-a';

describe('a device and its rights', { skip: missing }, () => {
  let browser, context, page, trouble;
  before(async () => {
    browser = await openBrowser();
    ({ context, page, trouble } = await openPage(browser));
    await signIn(page);
  });
  after(() => browser?.close());

  test('are explained in words, by keyboard', async () => {
    const talk = { Version: '2012-10-17', Statement: [{ Sid: 'say', Effect: 'Allow', Action: 'publish', Resource: 'topic/hall/*' }] };
    const made = await page.evaluate(async (document) => {
      const call = (method, path, body) => fetch(`/api/v1/tenants/demo/policies/${path}`, { method, headers: { 'content-type': 'application/json', 'x-gatehouse': '1' }, body: JSON.stringify(body) });
      return [(await call('PUT', 'talk', { document })).status, (await call('POST', 'talk/attach', { registry: 'warehouse', device: 'hall-1-climate-a' })).status];
    }, talk);
    assert.ok(made.every((status) => status < 300), String(made));
    await visit(page, `${DEVICE}/rights`, 'hall-1-climate-a');
    await page.getByText('talk', { exact: true }).waitFor();
    await page.getByLabel('With a topic').focus();
    await page.keyboard.type('hall/1/air');
    await page.keyboard.press('Enter');
    await page.getByText('Yes: hall-1-climate-a may publish hall/1/air. It is allowed by statement “say” of the policy “talk”.').waitFor();
    await page.getByLabel('With a topic').fill('office/1');
    await page.keyboard.press('Enter');
    await page.getByText(/^No: hall-1-climate-a may not publish office\/1\./).waitFor();
    await page.getByLabel('A role, or a member of bindings').focus();
    await page.keyboard.type('viewer');
    await page.keyboard.press('Enter');
    await page.getByText(/^No: viewer may not do devices\.sendCommand here\./).waitFor();
    if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/rights.png`, fullPage: true });
    assert.deepEqual(trouble, []);
    await context.close();
  });
});

describe('the audit trail', { skip: missing }, () => {
  let browser, context, page, trouble;
  before(async () => {
    browser = await openBrowser();
    ({ context, page, trouble } = await openPage(browser));
    await signIn(page);
  });
  after(() => browser?.close());

  test('says in words whether it holds, and who did what', async () => {
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
    await page.getByRole('heading', { name: 'The trail holds' }).waitFor();
    await page.getByText(/^Rows 1 to \d+ are as they were written\./).waitFor();
    const signedIn = page.getByRole('row').filter({ hasText: 'session.create' }).filter({ hasText: operator.name }).first();
    await signedIn.waitFor();
    assert.match(await signedIn.innerText(), /Done/);
    if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/audit.png`, fullPage: false });
  });

  test('is filtered, opened and gone through by keyboard alone', async () => {
    await visit(page, '/audit', 'Audit');
    await page.getByRole('row').nth(1).waitFor();
    await page.getByLabel('Action').focus();
    await page.keyboard.type('devices.create');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => [...document.querySelectorAll('tbody td strong')].every((cell) => cell.textContent === 'devices.create'));
    assert.ok((await page.getByRole('row').count()) > 3);
    const detail = page.getByRole('button', { name: /^Detail of row \d+$/ }).first();
    await detail.focus();
    await page.keyboard.press('Enter');
    assert.equal(await detail.getAttribute('aria-expanded'), 'true');
    await page.getByText('on the server’s own host').waitFor();
    assert.match(await page.locator('tr.detail').innerText(), /Hash\s+[0-9a-f]{64}/);
    if (process.env.GATEHOUSE_SHOTS) await page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/audit-detail.png`, fullPage: false });
    await page.keyboard.press('Enter');
    assert.equal(await detail.getAttribute('aria-expanded'), 'false');
    await page.getByLabel('Who').focus();
    await page.keyboard.type('nobody has this name');
    await page.keyboard.press('Enter');
    await page.getByText('No row fits.').waitFor();
    await press(page.getByRole('button', { name: 'Show all rows' }));
    await page.getByRole('row').nth(1).waitFor();
    await page.getByLabel('Result').selectOption('refused');
    await press(page.getByRole('button', { name: 'Show', exact: true }));
    await page.waitForFunction(() => [...document.querySelectorAll('tbody .result')].every((cell) => cell.textContent === 'Refused'));
    assert.deepEqual(trouble, []);
    await context.close();
  });
});
