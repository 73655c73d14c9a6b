// Google's own client libraries, unmodified but for the endpoint, against a real server: over HTTPS with a bearer token,
// and over a plain loopback listener with an API key. The calls are in google-rest.client.mjs, which needs a process of
// its own: Node reads NODE_EXTRA_CA_CERTS, the libraries' only way to a trust anchor, when it starts.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { Server } from '../lib/server.mjs';

const client = fileURLToPath(new URL('google-rest.client.mjs', import.meta.url));
let server;
before(async () => {
  server = await (await Server.create({ options: ['--listen-plain', '127.0.0.1:0'] })).start();
});
after(() => server?.close());

const runs = [
  { claim: 'gRPC and a bearer token', face: 'gRPC', project: 'grpc', protocol: 'https', port: () => server.port },
  { claim: 'HTTPS and a bearer token', project: 'rest-https', protocol: 'https', port: () => server.port },
  { claim: 'plain HTTP on loopback and an API key', project: 'rest-http', protocol: 'http', port: () => server.plainPort },
];
for (const run of runs) {
  test(`checklist 13: @google-cloud/iot and @google-cloud/pubsub over ${run.claim}`, async () => {
    await server.cli('tenant', 'create', run.project);
    const environment = {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      NODE_EXTRA_CA_CERTS: server.caFile,
      GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: server.caFile,
      GATEHOUSE_PROJECT: run.project,
      GATEHOUSE_FACE: run.face ?? 'REST',
      GATEHOUSE_PROTOCOL: run.protocol,
      GATEHOUSE_PORT: String(run.port()),
      GATEHOUSE_MQTT_PORT: String(server.port),
      GATEHOUSE_TOKEN: await server.token(),
      GATEHOUSE_PROVISIONER: await server.token('provisioner', '--tenant', run.project),
      GATEHOUSE_MEMBER: await server.cli('token', '--member', 'user:rest@example.com'),
    };
    const { code, output } = await new Promise((done) => {
      execFile(process.execPath, ['--test', client], { env: environment, maxBuffer: 1 << 26 },
        (error, stdout, stderr) => done({ code: error?.code ?? 0, output: stdout + stderr }));
    });
    assert.equal(code, 0, output);
    assert.match(output, /pass [1-9]/, 'something ran');
  });
}
