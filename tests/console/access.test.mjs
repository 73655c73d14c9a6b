import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { calls, openBrowser, openPage, signIn, visit } from './browser.mjs';
import { missing, url } from './server.mjs';

const DEVICE = '/devices/demo/warehouse/hall-1-climate-a';
const PROGRAM = 'a-program-with-a-rather-long-name@demo.example.org';
const ACCOUNTS = '/tenants/demo/service-accounts';
const PAGES = [
  ['/', 'Warehouse'],
  ['/halls/demo/hall-1', /^hall.1$/i],
  ['/devices', 'Devices'],
  [DEVICE, 'hall-1-climate-a'],
  [`${DEVICE}/telemetry`, 'hall-1-climate-a'],
  [`${DEVICE}/log`, 'hall-1-climate-a'],
  [`${DEVICE}/configuration`, 'hall-1-climate-a'],
  [`${DEVICE}/commands`, 'hall-1-climate-a'],
  [`${DEVICE}/rights`, 'hall-1-climate-a'],
  ['/connections', 'Connections'],
  ['/refusals', 'Refusals'],
  ['/audit', 'Audit'],
  ['/system', 'System'],
  ['/ca', 'Built-in CA'],
  ['/people', 'People'],
  ['/members', 'Members'],
  ['/members?tenant=demo&registry=warehouse', 'Members'],
  [`/service-accounts?tenant=demo&account=${encodeURIComponent(PROGRAM)}`, 'Service accounts'],
];
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** axe-core in a world of its own, which the page's policy does not bind; rules of WCAG 2.2 A and AA. */
async function faults(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  const run = (expression) =>
    session.send('Runtime.evaluate', {
      expression, contextId: executionContextId, awaitPromise: true, returnByValue: true,
    });
  await run(axe);
  const { result, exceptionDetails } = await run(`
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      .then(({ violations }) => violations.map(({ id, nodes }) =>
        id + ': ' + nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? '')).join(' | ')))`);
  await session.detach();
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

const BOUND = {
  role: 'roles/cloudiot.deviceController', members: [`serviceAccount:${PROGRAM}`],
  condition: { title: 'night watch', until: '2031-01-01T00:00:00Z', hours: '22:00-06:00', weekdays: ['sat'], sources: ['2001:db8:1234:5678::/64'] },
};

async function settle(page) {
  await page.waitForFunction(() => !document.querySelector('main [role=status].wait'));
  await page.waitForTimeout(600); // the charts' code and the first event
}

describe('everyone can use it', { skip: missing }, () => {
  let browser;
  async function ask(...requests) {
    const { context, page } = await openPage(browser);
    await signIn(page);
    for (const [method, path, body] of requests) assert.ok((await calls(page, method, path, body)).status < 300, path);
    await context.close();
  }
  before(async () => {
    browser = await openBrowser();
    // So that the pages of members and of service accounts have rows to look at, too.
    await ask(['PUT', '/tenants/demo/bindings', { bindings: [BOUND] }], ['POST', ACCOUNTS, { name: PROGRAM, title: 'sums up the day' }],
      ['POST', `${ACCOUNTS}/${PROGRAM}/keys`, {}]);
  });
  after(async () => {
    await ask(['PUT', '/tenants/demo/bindings', { bindings: [] }], ['DELETE', `${ACCOUNTS}/${PROGRAM}`]);
    await browser?.close();
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const [form, viewport] of [['desk', { width: 1280, height: 800 }], ['phone', { width: 360, height: 740 }]]) {
      test(`no page has a fault of WCAG 2.2 AA, on a ${form}, ${colorScheme}`, async () => {
        const { context, page, trouble } = await openPage(browser, { colorScheme, viewport });
        await page.goto(url);
        await page.getByLabel('Password').waitFor();
        assert.deepEqual(await faults(page), [], 'sign-in');
        await signIn(page);
        for (const [path, heading] of PAGES) {
          await visit(page, path, heading);
          await settle(page);
          assert.deepEqual(await faults(page), [], path);
          const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wider <= 0, `${path} is ${wider} px wider than the screen`);
        }
        assert.deepEqual(trouble, []);
        await context.close();
      });
    }
  }

  test('the first Tab offers to skip to the content; focus is always to be seen', async () => {
    const { context, page } = await openPage(browser);
    await signIn(page, '/devices');
    await visit(page, '/devices', 'Devices');
    await page.getByRole('row').nth(1).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const focused = document.activeElement;
        const ring = (element) => element && getComputedStyle(element).outlineStyle !== 'none';
        return document.activeElement === document.body || ring(focused) || ring(focused.nextElementSibling);
      });
      assert.ok(seen, `Tab ${i + 1}: ${await page.evaluate(() => document.activeElement.outerHTML.slice(0, 120))}`);
    }
    await context.close();
  });

  test('a chosen theme is kept over a reload and beats the system', async () => {
    const { context, page } = await openPage(browser, { colorScheme: 'light' });
    await signIn(page);
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();
    const button = page.getByRole('button', { name: /Theme/ });
    await button.click();
    await button.click();
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.reload();
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.equal(await ground(), dark);
    await context.close();
  });

  test('who wants less motion gets none', async () => {
    const { context, page } = await openPage(browser, { reducedMotion: 'reduce' });
    await signIn(page);
    await visit(page, '/', 'Warehouse');
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    await context.close();
  });

  test('the page is served under the strict policy, and the policy bites', async () => {
    const { context, page } = await openPage(browser);
    const answer = await page.goto(url);
    const policy = answer.headers()['content-security-policy'] ?? '';
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'",
      "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"]) {
      assert.ok(policy.split('; ').includes(part), part);
    }
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(answer.headers()['x-content-type-options'], 'nosniff');
    const thrown = await page.evaluate(() => {
      try {
        document.createElement('div').innerHTML = '<img>';
        return '';
      } catch (error) {
        return error.name;
      }
    });
    assert.equal(thrown, 'TypeError');
    await context.close();
  });
});
