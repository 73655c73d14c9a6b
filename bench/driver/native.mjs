// Gatehouse as plain MQTT clients meet it: devices with passwords and a policy that is asked at every step.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Server } from '../../tests/lib/server.mjs';
import { Gatehouse } from './brokers.mjs';
import { makeIdentities, trustIdentities } from './certified.mjs';

const tenant = 'bench', registry = 'fleet', certified = 'certified', registered = 'registered';

// Each device publishes below its own name; everybody may listen; two denials that are looked at as well.
const policy = {
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: 'connect', Resource: 'client/${device}' },
    { Effect: 'Allow', Action: ['publish', 'retain'], Resource: ['topic/load/${device}', 'topic/load/${device}/*'] },
    { Effect: 'Allow', Action: 'subscribe', Resource: 'filter/load/*' },
    { Effect: 'Allow', Action: 'receive', Resource: 'topic/load/*' },
    { Effect: 'Deny', Action: ['publish', 'receive'], Resource: 'topic/*/secret/*' },
    { Effect: 'Deny', Action: 'subscribe', Resource: ['filter/#', 'filter/+/*'] },
  ],
};

export class NativeGatehouse extends Gatehouse {
  // With `certificates` the devices are there twice more: in a registry that knows them by their CA (transport `mutual`), and in
  // one that has the certificate of each as its credential, as AWS and Azure register them (transport `registered`).
  static async prepare(folder, count, prefix, { certificates = false } = {}) {
    const side = new NativeGatehouse();
    Object.assign(side, { folder, prefix, base: join(folder, 'base'), version: Gatehouse.version() });
    mkdirSync(side.base, { recursive: true });
    const file = (name, text) => { writeFileSync(join(folder, name), text, { mode: 0o600 }); return join(folder, name); };
    const server = await Server.create({ folder: side.base });
    await server.start();
    await server.cli('tenant', 'create', tenant);
    await server.cli('registry', 'create', `${tenant}/${registry}`);
    await server.cli('policy', 'put', `${tenant}/load`, file('policy.json', JSON.stringify(policy)));
    await server.cli('policy', 'attach', `${tenant}/load`, `${tenant}/${registry}`);
    await server.cli('device', 'import', file('devices.jsonl', Array.from({ length: count }, (_, i) =>
      `${JSON.stringify({ tenant, registry, id: `dev${i}`, password: `the long secret of device ${i}` })}\n`).join('')));
    const shown = (registry) => ['--id', 'dev{n}', '--user', `${tenant}/${registry}/dev{n}`, '--topic', 'load/dev{n}'];
    Object.assign(side, { mutualIdentity: shown(certified), registeredIdentity: shown(registered) });
    if (certificates) {
      Object.assign(side, makeIdentities(folder, count));
      for (const each of [certified, registered]) {
        await server.cli('registry', 'create', `${tenant}/${each}`);
        await server.cli('policy', 'attach', `${tenant}/load`, `${tenant}/${each}`);
      }
      await trustIdentities(server, `${tenant}/${certified}`, folder, side);
      const pems = readFileSync(side.identities, 'utf8').match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n/g);
      await server.cli('device', 'import', file('certified.jsonl', pems.map((pem, i) => [
        { tenant, registry: certified, id: `dev${i}` },
        { tenant, registry: registered, id: `dev${i}`, certificate: pem },
      ].map((device) => `${JSON.stringify(device)}\n`).join('')).join('')));
    }
    await server.stop();
    side.prepared = server.data;
    side.identity = ['--id', 'dev{n}', '--user', `${tenant}/${registry}/dev{n}`, '--password', 'the long secret of device {n}', '--topic', 'load/dev{n}'];
    return side;
  }
  // The same, with so many loops.
  withLoops(loops) {
    return Object.assign(new NativeGatehouse(), this, { loops, name: `${this.name}, ${loops} loops` });
  }

  async start(options) {
    await super.start(options);
    this.mutual = this.tls;
  }
}
