// What follows a handshake, by clients of two other TLS libraries: requests, keys that either side renews, the end. The
// server has given OpenSSL's state away by then (tls_own_records, the default), or keeps it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { Server } from '../lib/server.mjs';

const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
const clients = {
  openssl: {
    start: (port, ca, suite) => spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca, '-verify_return_error', '-tls1_3', '-ciphersuites', suite.openssl]),
    ready: /Verify return code: 0/, renew: 'K\n', renewed: /KEYUPDATE/,
  },
  gnutls: {
    start: (port, ca, suite) => spawn('gnutls-cli', ['--inline-commands', '--x509cafile', ca, '--priority', `NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+${suite.gnutls}`,
      '-p', String(port), '127.0.0.1']),
    ready: /Simple Client Mode/, renew: '^rekey^\n', renewed: /[Rr]ekey/,
  },
};
const suites = [
  { openssl: 'TLS_AES_128_GCM_SHA256', gnutls: 'AES-128-GCM' },
  { openssl: 'TLS_AES_256_GCM_SHA384', gnutls: 'AES-256-GCM' },
  { openssl: 'TLS_CHACHA20_POLY1305_SHA256', gnutls: 'CHACHA20-POLY1305' },
];

// The output of a program, which can be waited for.
class Talk {
  text = '';

  constructor(child) {
    this.child = child;
    this.ended = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { this.text += chunk; this.look?.(); });
    child.stdin.on('error', () => {});
  }

  // Resolves when `pattern` has come `times` times.
  async has(pattern, times = 1) {
    const all = new RegExp(pattern.source, 'g');
    const found = new Promise((done) => { this.look = () => { if ([...this.text.matchAll(all)].length >= times) done(true); }; this.look(); });
    const isThere = await Promise.race([found, this.ended.then(() => false)]);
    assert.ok(isThere, `${pattern} comes before the end:\n${this.text}`);
  }
}

for (const own of [1, 0]) {
  test(`tls_own_records = ${own}`, { timeout: 120_000 * patience }, async (t) => {
    const children = new Set();
    const server = await Server.create();
    t.after(async () => {
      for (const child of children) child.kill('SIGKILL');
      await server.close();
    });
    server.options.push('--tls-own-records', String(own));
    await server.start();
    for (const [name, client] of Object.entries(clients))
      for (const suite of suites)
        await t.test(`${name}, ${suite.openssl}`, async () => {
          const child = client.start(server.port, server.caFile, suite), talk = new Talk(child);
          children.add(child);
          await talk.has(client.ready);
          for (let round = 1; round <= 3; round++) {
            child.stdin.write(request);
            await talk.has(/HTTP\/1\.1 200 /, round);
            child.stdin.write(client.renew);
            await talk.has(client.renewed, round);
          }
          child.stdin.end();
          const [code] = await talk.ended;
          assert.equal(code, 0, talk.text);
          children.delete(child);
        });
  });
}
