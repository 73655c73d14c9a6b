// Writes NAME.gz beside each text file of dist/ where that saves something: the server hands it out as it is.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const TEXT = /\.(html|js|css|svg|webmanifest)$/;
let plain = 0;
let packed = 0;

for (const file of files('dist')) {
  if (!TEXT.test(file)) continue;
  const bytes = readFileSync(file);
  const gzip = gzipSync(bytes, { level: 9 });
  plain += bytes.length;
  packed += Math.min(gzip.length, bytes.length);
  if (gzip.length < bytes.length) writeFileSync(`${file}.gz`, gzip);
}
console.log(`console: ${plain} bytes, ${packed} bytes gzipped`);

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}
