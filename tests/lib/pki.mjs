// Certificates of a test's own, made by the openssl command line.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();

export class Pki {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'gatehouse-pki-'));
    this.count = 0;
  }

  close() { rmSync(this.folder, { recursive: true, force: true }); }

  file(name, text) {
    const path = join(this.folder, name);
    if (text !== undefined) writeFileSync(path, text);
    return path;
  }

  key(name, kind = ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256']) {
    const path = this.file(`${name}.key`);
    openssl('genpkey', '-algorithm', ...kind, '-out', path);
    return path;
  }

  // A CA: { name, keyFile, certFile }; signed by `issuer`, or by itself.
  ca(name, { issuer, days = 30, extensions = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' } = {}) {
    return this.sign(name, { subject: `/CN=${name}`, issuer, days, extensions: `${extensions}${issuer ? 'authorityKeyIdentifier=keyid:always\n' : ''}` });
  }

  // A device's certificate: { keyFile, certFile, cert, key, serial }.
  leaf(name, issuer, { subject = `/CN=${name}`, days = 7, extensions = '', dates = [], kind } = {}) {
    return this.sign(`leaf-${this.count}-${name}`, { subject, issuer, days, dates, kind,
      extensions: `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nsubjectKeyIdentifier=hash\n${
        issuer ? 'authorityKeyIdentifier=keyid:always\n' : ''}${extensions}` });
  }

  sign(name, { subject, issuer, days, extensions, kind }) {
    const n = this.count++;
    const keyFile = this.key(name, kind), certFile = this.file(`${name}.crt`), csr = this.file(`${name}.csr`);
    const ext = this.file(`${name}.ext`, extensions);
    openssl('req', '-new', '-key', keyFile, '-subj', subject, '-out', csr);
    openssl('x509', '-req', '-in', csr, '-days', `${days}`, '-extfile', ext, '-out', certFile, '-set_serial', `${4096 + n}`,
      ...(issuer ? ['-CA', issuer.certFile, '-CAkey', issuer.keyFile] : ['-signkey', keyFile]));
    const cert = readFileSync(certFile, 'utf8');
    return { name, keyFile, certFile, cert, key: readFileSync(keyFile, 'utf8'), serial: (4096 + n).toString(16) };
  }

  // A CRL of `issuer` that revokes the serial numbers; `hours` may be small.
  crl(issuer, serials, number, hours = 24) {
    const base = this.file(`crl-${this.count++}`);
    writeFileSync(`${base}.index`, serials.map((serial) => `R\t351231235959Z\t260101000000Z,keyCompromise\t${serial.toUpperCase()}\tunknown\t/CN=gone\n`).join(''));
    writeFileSync(`${base}.number`, number.toString(16).padStart(2, '0'));
    writeFileSync(`${base}.cnf`, `[ca]\ndefault_ca=c\n[c]\ndatabase=${base}.index\ncrlnumber=${base}.number\ndefault_md=sha256\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid:always\n`);
    openssl('ca', '-config', `${base}.cnf`, '-gencrl', '-crlhours', `${hours}`, '-keyfile', issuer.keyFile, '-cert', issuer.certFile, '-out', `${base}.pem`);
    return `${base}.pem`;
  }
}
