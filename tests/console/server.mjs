// The server under test, from the environment: it is started by whoever starts the tests.
//   GATEHOUSE_URL       https://localhost:8443, a server with the demo warehouse
//   GATEHOUSE_CA        file with its trust anchor
//   GATEHOUSE_OPERATOR  name of an administrator
//   GATEHOUSE_PASSWORD  and the password

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { connect } from 'node:tls';

const { GATEHOUSE_URL, GATEHOUSE_CA, GATEHOUSE_OPERATOR, GATEHOUSE_PASSWORD } = process.env;

/** Why the tests cannot run, or false. */
export const missing =
  GATEHOUSE_URL && GATEHOUSE_CA && GATEHOUSE_OPERATOR && GATEHOUSE_PASSWORD
    ? false
    : 'needs GATEHOUSE_URL, GATEHOUSE_CA, GATEHOUSE_OPERATOR and GATEHOUSE_PASSWORD';

export const url = (GATEHOUSE_URL ?? '').replace(/\/$/, '');
/** The server's data folder. */
export const data = dirname(GATEHOUSE_CA ?? '');
export const operator = { name: GATEHOUSE_OPERATOR ?? '', password: GATEHOUSE_PASSWORD ?? '' };

/** A TLS connection that is verified against the trust anchor, by name too. */
export function secureConnection() {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname, port: Number(port || 443), servername: hostname, ca: readFileSync(GATEHOUSE_CA),
    });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** SHA-256 of the server's public key, of a connection that verified: what Chromium is told to accept. */
export async function keyPin() {
  const socket = await secureConnection();
  const key = socket.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' });
  socket.destroy();
  return createHash('sha256').update(key).digest('base64');
}

/** A device's token in good form, with a signature that no key made. */
function unsignedToken() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = part({ iat: now, exp: now + 3600, aud: 'demo' });
  return `${part({ alg: 'ES256', typ: 'JWT' })}.${claims}.${Buffer.alloc(64, 7).toString('base64url')}`;
}

/** Connects as an MQTT 3.1.1 device that nobody has registered; resolves to the CONNACK's code. */
export async function knockAs(device) {
  const text = (value) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  };
  const body = Buffer.concat([
    text('MQTT'),
    Buffer.from([4, 0xc2, 0, 60]), // level 4; user name, password, clean session; keep-alive 60 s
    text(`projects/demo/locations/europe-west1/registries/warehouse/devices/${device}`),
    text('unused'),
    text(unsignedToken()),
  ]);
  const length = [(body.length & 127) | 128, body.length >> 7]; // of 128 bytes and more
  const socket = await secureConnection();
  socket.write(Buffer.concat([Buffer.from([0x10, ...length]), body]));
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      answer = Buffer.concat([answer, bytes]);
      if (answer.length >= 4) {
        resolve(answer[3]);
        socket.destroy();
      }
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without CONNACK')));
  });
}
