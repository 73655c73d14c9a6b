// Runs src/**/*.test.ts: esbuild turns each into one file of plain JavaScript, Node's own runner runs them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const out = mkdtempSync(join(tmpdir(), 'gatehouse-console-'));
try {
  const tests = readdirSync('src', { recursive: true })
    .map((name) => join('src', name))
    .filter((name) => name.endsWith('.test.ts'));
  await build({ entryPoints: tests, outdir: out, outbase: 'src', outExtension: { '.js': '.mjs' },
    bundle: true, platform: 'node', format: 'esm', target: 'node18', logLevel: 'warning' });
  const built = tests.map((name) => join(out, name.slice('src/'.length).replace(/\.ts$/, '.mjs')));
  const run = spawnSync(process.execPath, ['--test', ...built], { stdio: 'inherit' });
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
