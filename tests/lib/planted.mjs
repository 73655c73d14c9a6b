// Secrets that a test plants, and the search for them in whatever an attacker could get hold of.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';

// The forms in which a secret may lie about: as it is, its bytes when it is base64 or hex, and in base64 as HTTP's Basic has it.
// Shorter ones than eight bytes would be found by chance.
function formsOf(secret) {
  const text = Buffer.from(secret);
  const forms = [text, Buffer.from(secret, 'base64'), Buffer.from(secret, 'hex')];
  for (const before of ['', 'x', 'xx']) // the three ways that base64 may be cut before it
    forms.push(Buffer.from(Buffer.concat([Buffer.from(before), text]).toString('base64').slice(before ? 4 : 0, -4)));
  return forms.filter((form) => form.length >= 8);
}

export class Planted {
  constructor() {
    this.secrets = []; // { what, secret, forms }
  }

  add(what, secret) {
    this.secrets.push({ what, secret, forms: formsOf(secret) });
    return secret;
  }

  // Whose secrets are in these bytes: [{ what, at }]. One pass for all of them: two bytes decide in most places that none begins
  // there.
  in(bytes) {
    const begins = new Uint8Array(1 << 16), byHead = new Map();
    for (const { what, forms } of this.secrets)
      for (const form of forms) {
        begins[form.readUInt16LE(0)] = 1;
        const head = form.readUInt32LE(0);
        if (!byHead.has(head)) byHead.set(head, []);
        byHead.get(head).push({ what, form });
      }
    const found = new Map();
    for (let at = 0; at + 8 <= bytes.length; at++) {
      if (begins[bytes[at] | bytes[at + 1] << 8] === 0) continue;
      for (const { what, form } of byHead.get(bytes.readUInt32LE(at)) ?? [])
        if (!found.has(what) && bytes.compare(form, 0, form.length, at, Math.min(at + form.length, bytes.length)) === 0) found.set(what, { what, at });
    }
    return [...found.values()];
  }

  // Those in the files of a folder, however deep: [{ what, at, where }]. A file that goes while a server works there has none.
  inFolder(folder) {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return this.inFolder(path);
      if (!entry.isFile()) return [];
      let bytes;
      try { bytes = readFileSync(path); } catch (error) { if (error.code === 'ENOENT') return []; throw error; }
      return this.in(bytes).map((found) => ({ ...found, where: path }));
    });
  }

  // Those in what a core dump of the process would hold. Needs the right to trace it, as root has.
  inMemory(pid) {
    const found = new Map();
    for (const { from, to, name } of dumped(pid)) {
      const step = 1 << 24, overlap = 4096;
      for (let at = from; at < to; at += step) {
        const bytes = memory(pid, at, Math.min(step + overlap, to - at));
        for (const hit of this.in(bytes)) if (!found.has(hit.what)) found.set(hit.what, { ...hit, where: `${pid} ${name} ${(at + hit.at).toString(16)}` });
      }
    }
    return [...found.values()];
  }
}

// The mappings that a dump holds (core(5), the default filter): private ones that may be written and do not say otherwise.
function dumped(pid) {
  const mappings = [];
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (head) mappings.push({ from: parseInt(head[1], 16), to: parseInt(head[2], 16), mode: head[3], name: head[4] || 'anonymous', resident: 0, flags: [] });
    const resident = /^Rss: +(\d+)/.exec(line), flags = /^VmFlags: (.*)/.exec(line);
    if (resident) mappings.at(-1).resident = Number(resident[1]);
    if (flags) mappings.at(-1).flags = flags[1].split(' ');
  }
  return mappings.filter(({ mode, flags, resident, name }) => /^rw.p$/.test(mode) && !flags.includes('dd') && resident > 0 && name !== '[vvar]');
}

function memory(pid, at, size) {
  const bytes = Buffer.alloc(size);
  const file = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (let done = 0; done < size;) {
      const got = readSync(file, bytes, done, Math.min(size - done, 1 << 20), at + done);
      if (got <= 0) break;
      done += got;
    }
  } catch { /* a page that went meanwhile */ } finally {
    closeSync(file);
  }
  return bytes;
}
