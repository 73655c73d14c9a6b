import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { calls, openBrowser, openPage, press, signIn, visit } from './browser.mjs';
import { missing, operator, url } from './server.mjs';

const PASSWORD = 'four words of a person';
const PLACES = ['/bindings', '/tenants/demo/bindings', '/tenants/demo/registries/warehouse/bindings'];

describe('members', { skip: missing }, () => {
  let browser, admin, kept;
  before(async () => {
    browser = await openBrowser();
    admin = await openPage(browser);
    await signIn(admin.page, '/members');
    kept = await Promise.all(PLACES.map((path) => bound(path)));
  });
  after(async () => {
    for (const [i, path] of PLACES.entries()) {
      if (kept?.[i]) await calls(admin.page, 'PUT', path, { bindings: kept[i] });
    }
    await browser?.close();
  });

  const bound = async (path) => (await calls(admin.page, 'GET', path)).body.bindings;
  const row = (page, name) => page.getByRole('row').filter({ hasText: name });
  const shot = (page, name) => process.env.GATEHOUSE_SHOTS && page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/${name}.png`, fullPage: true });

  /** By keyboard alone: Tab to the role and its first letters, back to the member, and Enter. */
  async function addByKeyboard(page, name, role) {
    await page.getByLabel('Member', { exact: true }).focus();
    await page.keyboard.press('Tab');
    await page.keyboard.type(role);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.type(name);
    await page.keyboard.press('Enter');
  }

  test('a role in the whole house is given and taken, by keyboard alone', async () => {
    const { page, trouble } = admin;
    await visit(page, '/people', 'People');
    await press(page.getByRole('navigation', { name: 'People and members' }).getByRole('link', { name: 'Members and bindings' }));
    await page.getByRole('heading', { level: 1, name: 'Members' }).waitFor();
    await page.getByRole('heading', { level: 2, name: 'Who has which role in the whole house' }).waitFor();
    await addByKeyboard(page, 'ada@example.org', 'auditor');
    await page.getByRole('status').filter({ hasText: 'user:ada@example.org has the role auditor in the whole house.' }).waitFor({ state: 'attached' });
    assert.match(await row(page, 'ada@example.org').innerText(), /User\s+auditor\s+the whole house\s+always/);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'member-name');
    assert.deepEqual((await bound('/bindings')).filter(({ members }) => members.includes('user:ada@example.org')).map(({ role }) => role), ['auditor']);

    // The same once more is told and is no second binding.
    await addByKeyboard(page, 'ada@example.org', 'auditor');
    await page.getByRole('status').filter({ hasText: 'has that role there already' }).waitFor({ state: 'attached' });
    assert.equal(await row(page, 'ada@example.org').count(), 1);

    await press(page.getByRole('button', { name: 'Take auditor from user:ada@example.org' }));
    await row(page, 'ada@example.org').waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.activeElement.id), 'bound');
    assert.ok(!JSON.stringify(await bound('/bindings')).includes('ada@'));
    assert.deepEqual(trouble, []);
  });

  test('on a condition in a tenant, in words; what the house gives stands beside it, to be changed there', async () => {
    const { page, trouble } = admin;
    await calls(page, 'PUT', '/bindings', { bindings: [...kept[0], { role: 'auditor', members: ['group:auditors'] }] });
    await visit(page, '/members', 'Members');
    await page.getByLabel('Tenant', { exact: true }).selectOption('demo');
    await page.getByRole('heading', { level: 2, name: 'Who has which role in tenant demo' }).waitFor();
    assert.equal(new URL(page.url()).search, '?tenant=demo');
    await press(page.getByLabel('Only on a condition'), 'Space');
    await page.getByLabel('Until (UTC)').fill('2031-01-01T00:00');
    await page.getByLabel('Each day from (UTC)').fill('22:00');
    await page.getByLabel('Each day to (UTC)').fill('06:00');
    await press(page.getByRole('checkbox', { name: 'Saturday' }), 'Space');
    await page.getByLabel('Only from these addresses or networks').fill('10.0.0.0/8');
    await page.getByLabel('Why, for people to read').fill('night watch');
    await page.getByLabel('Kind of member').selectOption('serviceAccount');
    await addByKeyboard(page, 'nightly-job', 'viewer');
    await row(page, 'nightly-job').waitFor();
    const text = await row(page, 'nightly-job').innerText();
    for (const words of ['Service account', 'viewer', 'tenant demo', 'until 2031-01-01 00:00:00 UTC',
      'on Saturday, from 22:00 to 06:00 UTC of the next day', 'asked from 10.0.0.0/8', 'night watch']) {
      assert.ok(text.includes(words), `${words}: ${text}`);
    }
    assert.deepEqual((await bound('/tenants/demo/bindings')).find(({ members }) => members.includes('serviceAccount:nightly-job')).condition, {
      title: 'night watch', until: '2031-01-01T00:00:00.000Z', hours: '22:00-06:00', weekdays: ['sat'], sources: ['10.0.0.0/8'],
    });
    assert.equal(await page.getByRole('button', { name: /^Take auditor from group:auditors/ }).count(), 0);
    await shot(page, 'members');
    await press(row(page, 'auditors').getByRole('button', { name: 'the whole house' }));
    await page.getByRole('button', { name: 'Take auditor from group:auditors' }).waitFor();
    assert.deepEqual(trouble, []);
  });

  test('a registry has its own bindings, a device among them, and shows those above', async () => {
    const { page, trouble } = admin;
    await visit(page, '/members?tenant=demo', 'Members');
    await page.getByLabel('Registry', { exact: true }).selectOption('warehouse');
    await page.getByRole('heading', { level: 2, name: 'Who has which role in registry warehouse of demo' }).waitFor();
    await page.getByLabel('Kind of member').selectOption('device');
    await addByKeyboard(page, 'demo/warehouse/hall-1-climate-a', 'device-controller');
    await row(page, 'demo/warehouse/hall-1-climate-a').waitFor();
    assert.deepEqual(await bound('/tenants/demo/registries/warehouse/bindings'),
      [...kept[2], { role: 'device-controller', members: ['device:demo/warehouse/hall-1-climate-a'] }]);
    await row(page, 'nightly-job').getByRole('button', { name: 'tenant demo' }).waitFor();
    await page.reload();
    await row(page, 'demo/warehouse/hall-1-climate-a').waitFor();
    await press(page.getByRole('button', { name: /^Take device-controller from device:/ }));
    await row(page, 'demo/warehouse/hall-1-climate-a').waitFor({ state: 'detached' });
    assert.deepEqual(trouble, []);
  });

  test('what somebody changed in between is told, shown, and not overwritten', async () => {
    const { page, trouble } = admin;
    await visit(page, '/members?tenant=demo', 'Members');
    await page.getByRole('heading', { level: 2, name: /tenant demo/ }).waitFor();
    const theirs = [...kept[1], { role: 'metrics', members: ['user:theirs'] }];
    assert.equal((await calls(page, 'PUT', '/tenants/demo/bindings', { bindings: theirs })).status, 200);
    await addByKeyboard(page, 'mine', 'viewer');
    const alert = page.getByRole('alert').filter({ hasText: 'Somebody else changed these bindings in between' });
    await alert.getByText('GH2004').waitFor();
    await row(page, 'theirs').waitFor();
    assert.equal(await page.getByLabel('Member', { exact: true }).inputValue(), 'mine');
    assert.deepEqual(await bound('/tenants/demo/bindings'), theirs);
    await press(page.getByRole('button', { name: 'Add a member', exact: true }));
    await row(page, 'mine').waitFor();
    await alert.waitFor({ state: 'detached' });
    await row(page, 'theirs').waitFor();
    assert.deepEqual(trouble, []);
  });

  test('a refusal is shown as the server says it', async () => {
    const { page, trouble } = admin;
    await visit(page, '/members', 'Members');
    await press(page.getByLabel('Only on a condition'), 'Space');
    await page.getByLabel('Only from these addresses or networks').fill('the office');
    await addByKeyboard(page, 'nobody', 'viewer');
    const alert = page.getByRole('alert');
    await alert.getByText('condition.sources: "the" is not an address').waitFor();
    await alert.getByText('Nothing was changed.').waitFor();
    assert.equal(await row(page, 'nobody').count(), 0);
    assert.deepEqual(trouble, []);
  });

  test('where the last proof is too old the password is asked for, and what was asked goes on', async () => {
    const { page, trouble } = admin;
    await visit(page, '/members', 'Members');
    // Ten minutes that need not be waited for: the first answer is the server's own for a proof that is too old.
    await page.route('**/api/v1/bindings', (route) => route.request().method() === 'PUT'
      ? route.fulfill({ status: 403, contentType: 'application/json', body: '{"error":{"code":"GH3003","status":403,"message":"old","action":"prove"}}' })
      : route.continue());
    await addByKeyboard(page, 'proved', 'viewer');
    await page.getByLabel('Your password').waitFor();
    await page.unroute('**/api/v1/bindings');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'proof');
    await page.keyboard.type(operator.password);
    await page.keyboard.press('Enter');
    await row(page, 'proved').waitFor();
    await page.getByLabel('Your password').waitFor({ state: 'detached' });
    assert.equal(await page.getByLabel('Member', { exact: true }).inputValue(), '');
    assert.deepEqual(trouble, []);
  });

  test('an auditor reads and cannot change; a viewer is refused', async () => {
    for (const [name, role] of [['members-auditor', 'auditor'], ['members-viewer', 'viewer']]) {
      const made = await calls(admin.page, 'POST', '/operators', { name, role, password: PASSWORD });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const { context, page, trouble } = await openPage(browser);
      await page.goto(`${url}/members`);
      await page.getByLabel('Name', { exact: true }).fill(name);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'Members' }).waitFor();
      if (role === 'auditor') {
        await row(page, 'proved').waitFor();
        assert.equal(await page.getByRole('button', { name: /^Take / }).count(), 0);
        assert.equal(await page.getByRole('form', { name: 'Add a member' }).count(), 0);
      } else {
        await page.getByRole('alert').getByText('GH3002').waitFor();
      }
      assert.deepEqual(trouble, []);
      await context.close();
    }
  });
});
