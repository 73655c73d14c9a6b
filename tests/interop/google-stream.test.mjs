// Google's Pub/Sub library, unmodified but for the endpoint, with its default streaming subscriber. The calls are in
// google-stream.client.mjs, which needs a process of its own: its trust anchor is read when it starts.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { Server } from '../lib/server.mjs';

const client = fileURLToPath(new URL('google-stream.client.mjs', import.meta.url));
let server;
before(async () => { server = await (await Server.create()).start(); });
after(() => server?.close());

test("checklist 16: @google-cloud/pubsub: subscription.on('message')", async () => {
  await server.cli('tenant', 'create', 'stream');
  const environment = {
    ...process.env,
    NODE_TEST_CONTEXT: undefined,
    NODE_EXTRA_CA_CERTS: server.caFile,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: server.caFile,
    GATEHOUSE_PROJECT: 'stream',
    GATEHOUSE_PORT: String(server.port),
    GATEHOUSE_TOKEN: await server.token(),
  };
  const { code, output } = await new Promise((done) => {
    execFile(process.execPath, ['--test', client], { env: environment, maxBuffer: 1 << 26, timeout: 60000 * patience },
      (error, stdout, stderr) => done({ code: error ? error.code ?? 1 : 0, output: stdout + stderr }));
  });
  assert.equal(code, 0, output);
  assert.match(output, /pass [1-9]/, 'something ran');
});
