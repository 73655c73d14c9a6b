import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { openBrowser, openPage, press, signIn, visit } from './browser.mjs';
import { knockAs, missing, url } from './server.mjs';

const PROBE = '/devices/demo/warehouse/hall-1-climate-a';
const HEATING = '/devices/demo/warehouse/hall-1-heating';

describe('pages', { skip: missing }, () => {
  let browser, context, page, trouble;
  before(async () => {
    browser = await openBrowser();
    ({ context, page, trouble } = await openPage(browser));
    await signIn(page);
  });
  after(() => browser?.close());

  test('the warehouse shows every hall against its bands, and lives', async () => {
    await visit(page, '/', 'Warehouse');
    for (const hall of [1, 2, 3]) {
      const card = page.getByRole('article').nth(hall - 1);
      await card.getByRole('heading', { level: 2 }).waitFor();
      assert.equal(await card.getByRole('meter').count(), 4);
      const text = await card.getByRole('meter', { name: 'Temperature' }).getAttribute('aria-valuetext');
      assert.match(text, /^−?\d+\.\d °C, .*band -?−?\d+ to \d+ °C$/);
      assert.equal(await card.getByRole('list', { name: 'Equipment' }).getByRole('listitem').count(), 4);
    }
    const siteTime = page.locator('dt:has-text("Site time") + dd');
    const earlier = await siteTime.innerText();
    await page.waitForFunction(
      (text) => [...document.querySelectorAll('dt')].find((dt) => dt.innerText === 'Site time')
        ?.nextElementSibling.textContent !== text,
      earlier,
    );
    await page.getByText('Live', { exact: true }).waitFor();
  });

  test('a hall shows machines as commanded and as reported, and its course as charts', async () => {
    await visit(page, '/', 'Warehouse');
    await page.getByRole('article').first().getByRole('link').first().click();
    await page.getByRole('heading', { name: 'Course' }).waitFor();
    await page.getByRole('img', { name: /^Temperature in/ }).waitFor();
    await page.getByRole('link', { name: 'Heating' }).click();
    await page.getByRole('heading', { level: 1, name: /heating/ }).waitFor();
  });

  test('the fleet is filtered by name and state, and the address keeps it', async () => {
    await visit(page, '/devices', 'Devices');
    await page.getByRole('searchbox').fill('hall-2-');
    await page.getByText(/1–7 of 7 devices/).waitFor();
    assert.match(page.url(), /filter=hall-2-/);
    await page.reload();
    await page.getByText(/1–7 of 7 devices/).waitFor();
    await page.getByRole('radio', { name: 'Disconnected' }).check();
    await page.getByText('No device fits these filters.').waitFor();
    await page.getByRole('button', { name: 'Show all devices' }).click();
    await page.getByRole('row').nth(1).waitFor();
  });

  test('the fleet is walked by keyboard alone', async () => {
    await visit(page, '/devices', 'Devices');
    await page.getByRole('row').nth(1).waitFor();
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'filter');
    await page.keyboard.type('hall-3');
    await page.getByText(/of 7 devices/).waitFor();
    await page.getByRole('row').nth(1).getByRole('link').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    const third = await page.getByRole('row').nth(3).getByRole('link').innerText();
    assert.equal(await page.evaluate(() => document.activeElement.innerText), third);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: third }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  });

  test('a device tells its facts, credentials and connection', async () => {
    await visit(page, PROBE, 'hall-1-climate-a');
    await page.getByRole('heading', { name: 'Credentials' }).waitFor();
    await page.getByText('in use').waitFor();
    assert.match(await page.locator('.fingerprint').first().innerText(), /^[0-9a-f]{64}$/i);
    await page.getByRole('heading', { name: 'Says now' }).locator('..').locator('..').getByText('temperature').waitFor();
  });

  test('telemetry is drawn, also over a chosen span, and read out by the arrow keys', async () => {
    await visit(page, `${PROBE}/telemetry`, 'hall-1-climate-a');
    const chart = page.getByRole('img', { name: /^temperature: last/ });
    await chart.waitFor();
    assert.ok(await chart.locator('canvas').evaluate((canvas) => canvas.width > 100));
    await chart.focus();
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('status').filter({ hasText: /UTC: .* °C/ }).first().waitFor();
    await page.getByRole('radio', { name: '15 min' }).check();
    await chart.waitFor();
    await page.getByRole('radio', { name: 'From–to' }).check();
    await page.getByLabel('From (UTC)').fill('2020-01-01T00:00');
    await page.getByLabel('To (UTC)').fill('2020-01-02T00:00');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('No events in this span.').waitFor();
  });

  test('the connection time-line has an entry for the connect', async () => {
    await visit(page, `${PROBE}/log`, 'hall-1-climate-a');
    await page.getByRole('img', { name: /^Connected [\d.]+ % of the span/ }).waitFor();
    await page.getByLabel('Show').selectOption('connect');
    await page.getByRole('listitem').filter({ hasText: 'Connected' }).first().waitFor();
  });

  test('a configuration is written, refused when it is not JSON, and becomes a version', async () => {
    await visit(page, `${PROBE}/configuration`, 'hall-1-climate-a');
    const editor = page.getByLabel('JSON for the device');
    await editor.fill('{"report_s": }');
    await page.getByText(/Line 1, column 14: A value is expected/).waitFor();
    assert.ok(await page.getByRole('button', { name: 'Store and send' }).isDisabled());
    const mark = String(Date.now());
    await editor.fill(`{\n  "mark": ${mark}\n}`);
    await page.getByRole('button', { name: 'Store and send' }).click();
    const said = page.getByText(/^Version \d+ is stored/);
    await said.waitFor();
    const version = /\d+/.exec(await said.innerText())[0];
    await page.getByText(`Version ${version}`, { exact: true }).click();
    await page.locator('pre').filter({ hasText: mark }).first().waitFor();
  });

  test('a configuration that was overtaken is not overwritten', async () => {
    await visit(page, `${PROBE}/configuration`, 'hall-1-climate-a');
    const editor = page.getByLabel('JSON for the device');
    await editor.fill('{"mine": 1}');
    const status = await page.evaluate(
      (path) => fetch(path, {
        method: 'POST', headers: { 'x-gatehouse': '1', 'content-type': 'application/json' },
        body: JSON.stringify({ data: { theirs: 1 } }),
      }).then((answer) => answer.status),
      `/api/v1/tenants/demo/registries/warehouse/devices/hall-1-climate-a/config`,
    );
    assert.equal(status, 200);
    await page.getByRole('button', { name: 'Store and send' }).click();
    await page.getByText('The configuration was not stored.').waitFor();
    assert.equal(await editor.inputValue(), '{"mine": 1}');
  });

  test('a command reaches a connected machine', async () => {
    await visit(page, `${HEATING}/commands`, 'hall-1-heating');
    await page.getByLabel('Channel').fill('set');
    await page.getByText('/devices/hall-1-heating/commands/set').waitFor();
    await page.getByLabel('JSON', { exact: true }).last().fill('{"id":"console-test","sequence":0,"level":0,"lease_s":1}');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByText('arrived', { exact: true }).waitFor();
  });

  test('blocking asks first, cuts the connection, and is undone', async () => {
    await visit(page, '/devices/demo/warehouse/hall-3-dehumidifier', 'hall-3-dehumidifier');
    const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
    await press(page.getByRole('button', { name: 'Block…' }));
    assert.equal(await focused(), 'Block hall-3-dehumidifier');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter'); // leaves it
    assert.equal(await focused(), 'Block…');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('stays out until it is unblocked').waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('blocked', { exact: true }).first().waitFor();
    await page.getByRole('button', { name: 'Unblock' }).click();
    await page.getByRole('button', { name: 'Block…' }).waitFor();
  });

  test('a device shows its connections; an operator ends them by keyboard, bans and lifts the ban', async () => {
    await visit(page, '/devices/demo/warehouse/hall-2-dehumidifier', 'hall-2-dehumidifier');
    const panel = page.getByRole('region', { name: 'Connections and sessions' });
    await panel.getByText('1 connected').waitFor();
    const row = panel.getByRole('row').nth(1);
    assert.match(await row.innerText(), /127\.0\.0\.1:\d+[^]*MQTT 3\.1\.1, tls/);
    const since = await row.locator('time').first().getAttribute('datetime');
    await panel.getByRole('button', { name: 'Disconnect' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction((before) => { // it comes back by itself
      const time = [...document.querySelectorAll('section[aria-labelledby="connections"] tbody time')][0];
      return time && time.getAttribute('datetime') !== before;
    }, since, { timeout: 60_000 * patience });
    await panel.getByRole('button', { name: 'Ban…' }).focus();
    await page.keyboard.press('Enter');
    await panel.getByRole('radio', { name: '10 minutes' }).focus();
    await page.keyboard.press('ArrowRight');
    assert.ok(await panel.getByRole('radio', { name: '1 hour' }).isChecked());
    await panel.getByRole('button', { name: 'Ban hall-2-dehumidifier' }).focus();
    await page.keyboard.press('Enter');
    await panel.getByText('banned', { exact: true }).waitFor();
    await panel.getByText('No connection, and no session is kept.').waitFor();
    await page.getByText(/banned it, for 3600 s/).waitFor();
    await panel.getByRole('button', { name: 'Lift the ban' }).click();
    await panel.getByRole('button', { name: 'Ban…' }).waitFor();
  });

  test('the connections of the tenant are listed, chosen by state, and lead to their devices', async () => {
    await visit(page, '/connections', 'Connections');
    await page.getByRole('row').nth(19).waitFor(); // nobody but the two that were cut off above may still be away
    await page.getByRole('radio', { name: 'All' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForURL(/state=connected/);
    await page.getByRole('row').nth(1).waitFor();
    await page.getByRole('radio', { name: 'Away' }).check();
    await page.getByText('No connection fits.').waitFor();
    await page.getByRole('radio', { name: 'All' }).check();
    const link = page.getByRole('row').nth(1).getByRole('link');
    const device = await link.innerText();
    await link.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: device }).waitFor();
  });

  test('an unknown device that knocks appears among the refusals by itself, with what to do', async () => {
    await visit(page, '/refusals', 'Refusals');
    const stranger = `stranger-${Date.now()}`;
    assert.equal(await knockAs(stranger), 5);
    const row = page.getByRole('row').filter({ hasText: stranger });
    await row.waitFor();
    assert.match(await row.innerText(), /Unknown device/);
    assert.match(await row.innerText(), /Register it/);
  });

  test('the system page counts', async () => {
    await visit(page, '/system', 'System');
    await page.getByText('Devices connected').waitFor();
    await page.getByText(/per second now/).waitFor();
  });

  test('what does not exist says so and leads on', async () => {
    await visit(page, '/nothing/here', 'There is no such page');
    await visit(page, '/devices/demo/warehouse/no-such-device.at%2Ball', 'no-such-device.at+all');
    await page.getByText('There is no such device.').waitFor();
    await page.getByText(/GET \/api\/v1\/tenants\/demo.*status 404/).waitFor();
  });

  test('without the network the page says so, and comes back by itself', async () => {
    await visit(page, '/', 'Warehouse');
    await page.getByText('Live', { exact: true }).waitFor();
    await context.setOffline(true);
    await page.getByText('This computer is offline.').waitFor();
    await context.setOffline(false);
    await page.getByText('This computer is offline.').waitFor({ state: 'detached' });
    await page.getByText('Live', { exact: true }).waitFor();
  });

  test('a broken live connection is told, and mended on demand', async () => {
    await visit(page, '/', 'Warehouse');
    await page.getByText('Live', { exact: true }).waitFor();
    await page.route('**/api/v1/stream*', (route) => route.abort());
    await page.getByRole('link', { name: 'Devices', exact: true }).click();
    await page.getByText('The live connection is broken.').waitFor();
    await page.unroute('**/api/v1/stream*');
    await page.getByRole('button', { name: 'Reconnect now' }).click();
    await page.getByText('The live connection is broken.').waitFor({ state: 'detached' });
    await page.getByText('Live', { exact: true }).waitFor();
  });

  test('a failed request says what, where and what to do, and is repeated on demand', async () => {
    await page.route('**/api/v1/devices?*', (route) =>
      route.fulfill({
        status: 503, contentType: 'application/json',
        body: '{"error":{"code":"GH9999","status":503,"message":"the store is away","action":"Look at the disk."}}',
      }),
    );
    await visit(page, '/devices', 'Devices');
    const alert = page.getByRole('alert');
    await alert.waitFor();
    for (const part of ['The devices could not be loaded.', 'the store is away', 'Look at the disk.', 'GET /api/v1/devices', 'GH9999']) {
      assert.ok((await alert.innerText()).includes(part), part);
    }
    await page.unroute('**/api/v1/devices?*');
    await alert.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('row').nth(1).waitFor();
  });

  test('an empty house teaches how to fill it', async () => {
    const answers = {
      '**/api/v1/zones': ['/', 'Warehouse', '{"zones":[]}', 'gatehouse up --demo warehouse'],
      '**/api/v1/devices?*': ['/devices', 'Devices', '{"devices":[],"total":0}', 'gatehouse device create'],
      '**/api/v1/tenants/*/connections?*': ['/connections', 'Connections', '{"connections":[]}', 'Nobody is connected.'],
      '**/api/v1/refusals?*': ['/refusals', 'Refusals', '{"entries":[]}', 'Nobody has been refused.'],
    };
    for (const [pattern, [path, heading, body, lesson]] of Object.entries(answers)) {
      await page.route(pattern, (route) => route.fulfill({ status: 200, contentType: 'application/json', body }));
      await page.route('**/api/v1/stream*', (route) => route.abort());
      await visit(page, path, heading);
      await page.getByText(lesson).first().waitFor();
      await page.unrouteAll();
    }
  });

  test('none of this broke the policy, threw, or asked a foreign host', () => {
    assert.deepEqual(trouble.filter((line) => !/status of 40[49]|ERR_INTERNET/.test(line)), []);
    assert.ok(url.startsWith('https://'));
  });
});
