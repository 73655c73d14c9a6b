// Devices that show certificates: a CA and a key and certificate for each, and the CA with a registry of Gatehouse's.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { swarm } from './machine.mjs';

// Named dev0, dev1, …; `deviceCa` is what a rival is to trust, `identities` what the load reads.
export function makeIdentities(folder, count) {
  const path = (name) => join(folder, name);
  const made = { deviceCa: path('devices.crt'), deviceCaKey: path('devices.key'), identities: path('identities.pem') };
  execFileSync(swarm, ['bench', 'certificates', '--count', String(count), '--id', 'dev{n}', '--identities', made.identities,
    '--ca', made.deviceCa, '--ca-key', made.deviceCaKey]);
  return made;
}

// Registers the CA and proves that its key is ours; the CA's id.
export async function trustIdentities(server, scope, folder, { deviceCa, deviceCaKey }) {
  const path = (name) => join(folder, name), openssl = (...args) => execFileSync('openssl', args, { stdio: 'ignore' });
  const added = JSON.parse(await server.cli('ca', 'add', scope, deviceCa, '--json'));
  openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${added.verification_code}`,
    '-keyout', path('proof.key'), '-out', path('proof.csr'));
  openssl('x509', '-req', '-in', path('proof.csr'), '-CA', deviceCa, '-CAkey', deviceCaKey, '-days', '1', '-out', path('proof.crt'));
  await server.cli('ca', 'verify', `${scope}/${added.id}`, path('proof.crt'));
  return added.id;
}
