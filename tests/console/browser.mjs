// Debian's Chromium, one fresh profile for each test file, and the steps that all tests share.

import { chromium } from 'playwright-core';
import { patience } from '../lib/sanitizer.mjs';
import { keyPin, operator, url } from './server.mjs';

const PATIENCE_MS = 15_000 * patience;
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

export async function openBrowser() {
  const pin = await keyPin();
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    timeout: PATIENCE_MS,
    args: [...ARGUMENTS, `--ignore-certificate-errors-spki-list=${pin}`],
  });
}

/** A page of a new visitor. `trouble` gathers what must not happen: policy violations, errors, foreign requests. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const trouble = [];
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('pageerror', (error) => trouble.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const text = message.text();
    const expected = /Failed to load resource|net::ERR_/.test(text); // told by the page itself
    if (message.type() === 'error' && !expected) trouble.push(`console: ${text}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${url}/`)) trouble.push(`foreign request: ${request.url()}`);
  });
  return { context, page, trouble };
}

export async function signIn(page, path = '/') {
  await page.goto(url + path);
  await page.getByLabel('Name', { exact: true }).fill(operator.name);
  await page.getByLabel('Password').fill(operator.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor();
}

/** Opens a page of the console in a tab that is already signed in. */
export async function visit(page, path, heading) {
  await page.goto(url + path);
  await page.getByRole('heading', { level: 1, name: heading }).waitFor();
}

/** Presses a key on what is there and enabled: buttons are not while the deed before them runs, and a press then is lost. */
export async function press(target, key = 'Enter') {
  await target.click({ trial: true });
  await target.press(key);
}

/** A request to the API in the name of whoever is signed in on the page. */
export const calls = (page, method, path, body) => page.evaluate(([method, path, body]) => fetch(`/api/v1${path}`, {
  method, headers: { 'x-gatehouse': '1', 'content-type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}),
}).then(async (answer) => ({ status: answer.status, body: await answer.json() })), [method, path, body]);
