// The passphrase of the root's key, typed by a person: over a pseudo terminal, which script(1) of util-linux makes.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { bin, Server } from '../lib/server.mjs';

const PASSPHRASE = 'typed by nobody but me';
const FIRST = 'Passphrase of the root\'s key: ', AGAIN = 'Once more: ';
const ENTER = '\r', INTERRUPT = '\x03', END = '\x04';
const WAIT_MS = 60000 * patience;
const gatehouse = join(bin, 'gatehouse');
let server, names = 0;

before(async () => { server = await Server.create(); });
after(() => server?.close());

const quoted = (text) => `'${text.replaceAll('\'', '\'\\\'\'')}'`;

// `ca export-root` at a terminal: types each answer when its prompt has come. What was shown up to the prompt's end, and what
// stty says of the terminal afterwards; the shell that asks it outlives Ctrl-C.
async function typed(...steps) {
  const file = join(server.folder, `root-${++names}.key`);
  const command = `${quoted(gatehouse)} ca export-root --data ${quoted(server.data)} --out ${quoted(file)}`;
  const shell = spawn('script', ['-qec', `trap : INT; ${command}; echo "code $?"; stty -a`, '/dev/null'],
    { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, SHELL: '/bin/sh' } });
  let shown = '', from = 0;
  const timer = setTimeout(() => shell.kill('SIGKILL'), WAIT_MS);
  const left = [...steps];
  shell.stdout.on('data', (piece) => {
    shown += piece;
    while (left.length > 0 && shown.indexOf(left[0][0], from) >= 0) {
      from = shown.indexOf(left[0][0], from) + left[0][0].length;
      shell.stdin.write(left.shift()[1]);
    }
  });
  await new Promise((done) => { shell.once('close', done); });
  clearTimeout(timer);
  const [said, terminal] = shown.split(/^code \d+\r?$/m);
  const code = Number(/^code (\d+)\r?$/m.exec(shown)?.[1]);
  assert.ok(terminal?.includes('speed'), `the terminal was not asked:\n${shown}`);
  return { said, code, file, asked: steps.length - left.length, echoes: /\secho\s/.test(terminal) && !/\s-echo\s/.test(terminal) };
}

test('what is typed twice is the passphrase, and is not shown', async () => {
  const { said, code, file, echoes } = await typed([FIRST, PASSPHRASE + ENTER], [AGAIN, PASSPHRASE + ENTER]);
  assert.equal(code, 0, said);
  assert.doesNotMatch(said, /typed by nobody/);
  assert.ok(echoes, 'the terminal shows again what is typed');
  execFileSync('openssl', ['pkey', '-in', file, '-passin', `pass:${PASSPHRASE}`, '-noout']);
});

for (const [claim, steps, words] of [
  ['another repetition is refused', [[FIRST, PASSPHRASE + ENTER], [AGAIN, `${PASSPHRASE}!${ENTER}`]], /the two are not the same/],
  ['a short one is refused, and not asked for again', [[FIRST, `short${ENTER}`], [AGAIN, `short${ENTER}`]], /at least 12 bytes/],
  ['one that does not fit is refused, not cut', [[FIRST, 'short'.repeat(250) + ENTER], [AGAIN, 'short'.repeat(250) + ENTER]], /less than 1023 bytes/],
  ['nothing is none', [[FIRST, END]], /no passphrase was given/],
  ['nor at the repetition', [[FIRST, PASSPHRASE + ENTER], [AGAIN, END]], /no passphrase was given/],
]) {
  test(claim, async () => {
    const { said, code, file, echoes, asked } = await typed(...steps);
    assert.equal(code, 1, said);
    assert.match(said, words);
    assert.doesNotMatch(said, /typed by nobody|short/);
    assert.equal(asked, words.source.includes(' bytes') ? 1 : steps.length);
    assert.ok(echoes, 'the terminal shows again what is typed');
    assert.ok(!existsSync(file));
  });
}

for (const [claim, steps] of [
  ['Ctrl-C at the first question', [[FIRST, INTERRUPT]]],
  ['Ctrl-C in the midst of an answer', [[FIRST, PASSPHRASE + INTERRUPT]]],
  ['Ctrl-C at the repetition', [[FIRST, PASSPHRASE + ENTER], [AGAIN, INTERRUPT]]],
]) {
  test(`${claim} ends the command, with the terminal as it was`, async () => {
    const { said, code, file, echoes } = await typed(...steps);
    assert.equal(code, 130, said);
    assert.ok(echoes, 'the terminal shows again what is typed');
    assert.doesNotMatch(said, /typed by nobody/);
    assert.ok(!existsSync(file));
  });
}

for (const [claim, text, words] of [
  ['whose first line does not fit', 'x'.repeat(2000), /less than 1023 bytes/],
  ['whose first line is too short', 'short\n', /at least 12 bytes/],
  ['that is empty', '', /it is empty/],
]) {
  test(`a file ${claim} is refused`, async () => {
    const file = join(server.folder, `passphrase-${++names}`), out = join(server.folder, `root-${names}.key`);
    writeFileSync(file, text, { mode: 0o400 });
    const { code, stderr } = await server.tryCli(['ca', 'export-root', '--passphrase-file', file, '--out', out]);
    assert.equal(code, 1);
    assert.match(stderr, words);
    assert.ok(!existsSync(out));
  });
}

test('without a terminal the command says what to give it', async () => {
  const file = join(server.folder, 'root-none.key');
  const child = spawn(gatehouse, ['ca', 'export-root', '--data', server.data, '--out', file], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (piece) => { said += piece; });
  const code = await new Promise((done) => { child.once('close', done); });
  assert.equal(code, 1);
  assert.match(said, /there is no terminal[\s\S]*--passphrase-file FILE/);
  assert.ok(!existsSync(file));
});
