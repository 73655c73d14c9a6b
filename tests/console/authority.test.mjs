import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { calls, openBrowser, openPage, press, signIn, visit } from './browser.mjs';
import { data, missing, url } from './server.mjs';

const PASSWORD = 'four words of a person';

describe('the built-in CA', { skip: missing }, () => {
  let browser, admin;
  before(async () => {
    browser = await openBrowser();
    admin = await openPage(browser, { acceptDownloads: true });
    await signIn(admin.page);
  });
  after(() => browser?.close());

  const row = (page, name) => page.getByRole('row').filter({ hasText: name });
  const shot = (page, name) => process.env.GATEHOUSE_SHOTS && page.screenshot({ path: `${process.env.GATEHOUSE_SHOTS}/${name}.png`, fullPage: true });

  /** What the button gives, pressed by keyboard. */
  async function download(page, button) {
    const coming = page.waitForEvent('download');
    await press(page.getByRole('button', { name: button }));
    const file = await coming;
    return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
  }

  /** The page with another answer of the server. */
  async function told(page, change) {
    const { body } = await calls(page, 'GET', '/ca');
    await page.route('**/api/v1/ca', (route) => route.fulfill({ json: { ...body, ...change } }));
    await visit(page, '/ca', 'Built-in CA');
    await page.getByRole('heading', { level: 2, name: 'The root’s key' }).waitFor();
    await page.unroute('**/api/v1/ca');
  }

  test('it is found by keyboard, below the system, and tells what the API tells', async () => {
    const { page, trouble } = admin;
    await press(page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link', { name: 'System' }));
    await page.getByRole('heading', { level: 1, name: 'System' }).waitFor();
    await press(page.getByRole('navigation', { name: 'System', exact: true }).getByRole('link', { name: 'Built-in CA' }));
    await page.getByRole('heading', { level: 1, name: 'Built-in CA' }).waitFor();
    await page.getByText('Online', { exact: true }).waitFor();
    const { body } = await calls(page, 'GET', '/ca');
    const [root, intermediate] = body.certificates;
    assert.deepEqual(body.certificates.map(({ role }) => role), ['root', 'intermediate']);
    for (const [certificate, pem] of [[root, body.root_pem], [intermediate, body.intermediate_pem]]) {
      const read = new X509Certificate(pem);
      assert.equal(certificate.fingerprint, read.fingerprint256.replaceAll(':', '').toLowerCase());
      assert.equal(Date.parse(certificate.not_after), Date.parse(read.validTo));
      assert.deepEqual([certificate.key, certificate.signature_algorithm], ['ECDSA, P-256', 'ecdsa-with-SHA256']);
      const text = await row(page, certificate.fingerprint).innerText();
      assert.ok(text.includes(certificate.subject) && text.includes(`${certificate.not_after.slice(0, 10)}`), text);
    }
    assert.match(await row(page, root.fingerprint).innerText(), /itself/);
    assert.ok((await row(page, intermediate.fingerprint).innerText()).includes(root.subject));
    assert.equal(body.crl_revoked, 0);
    assert.ok(body.crl_this_update < body.crl_next_update);
    const list = page.getByRole('region', { name: 'Revocation list of the root' });
    for (const words of [`Number\n${body.crl_number}`, body.crl_next_update.slice(0, 10), body.crl_this_update.slice(0, 10)]) {
      assert.ok((await list.innerText()).includes(words), words);
    }
    await shot(page, 'authority');
    assert.deepEqual(trouble, []);
  });

  test('the root certificate and the list are downloaded', async () => {
    const { page, trouble } = admin;
    await visit(page, '/ca', 'Built-in CA');
    const root = await download(page, 'Download the root certificate');
    assert.equal(root.name, 'gatehouse-ca.crt');
    assert.deepEqual(root.bytes, readFileSync(join(data, 'ca.crt')));
    const list = await download(page, 'Download the revocation list');
    assert.equal(list.name, 'gatehouse-root.crl');
    const published = await page.evaluate(() => fetch('/pki/root.crl').then(async (answer) => [...new Uint8Array(await answer.arrayBuffer())]));
    assert.deepEqual([...list.bytes], published);
    assert.deepEqual(trouble, []);
  });

  test('a root that is elsewhere, what runs out, and a list that is not there are told', async () => {
    const { page, trouble } = admin;
    await told(page, { root_online: false, warning: 'the intermediate CA of the built-in CA runs out at 2031-01-01' });
    await page.getByText('Offline', { exact: true }).waitFor();
    await page.getByRole('note').getByText('runs out at 2031-01-01').waitFor();
    await page.getByText('gatehouse ca renew --root FILE').waitFor();
    await shot(page, 'authority-offline');
    await told(page, { crl_base64: '', crl_next_update: null });
    await page.getByText('There is none yet').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Download the revocation list' }).count(), 0);
    assert.deepEqual(trouble, []);
  });

  test('a viewer reads it; what failed is told', async () => {
    const made = await calls(admin.page, 'POST', '/operators', { name: 'ca-viewer', role: 'viewer', password: PASSWORD });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { context, page, trouble } = await openPage(browser);
    await page.goto(`${url}/ca`);
    await page.getByLabel('Name', { exact: true }).fill('ca-viewer');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 2, name: 'Certificates' }).waitFor();
    await page.route('**/api/v1/ca', (route) => route.abort());
    await page.reload();
    await page.getByRole('alert').getByText('The built-in CA could not be loaded.').waitFor();
    await page.unroute('**/api/v1/ca');
    await press(page.getByRole('button', { name: 'Try again' }));
    await page.getByRole('heading', { level: 2, name: 'Certificates' }).waitFor();
    assert.deepEqual(trouble, []);
    await context.close();
  });
});
