// `npm test`: set-up, then every test there is but those in the real gateway (`npm run test:gateway`). All suites
// run even when one fails; the end says which.
import { join } from 'node:path';
import process from 'node:process';
import { node24, withoutNode24 } from './npm-cache.mjs';
import { processTools } from './process-tools.mjs';
import { readerPython } from './python.mjs';
import { failed, run, works } from './run.mjs';
import { setup } from './setup.mjs';
import {
  attempt,
  conclude,
  forget,
  NONE,
  rustFailures,
  skippedFile,
  vitest,
  withoutColour,
} from './suites.mjs';

try {
  await forget('test');
  await setup();
} catch (error) {
  failed(error);
}

const { python, reason } = await readerPython();
const notes = reason === undefined ? [] : [`the reader in Python, tools/read_repository.py: ${reason}`];
await conclude('test', [await rust(), await javascript(), ...(await newerNode())], notes);

async function rust() {
  const nextest = await works('cargo', ['nextest', '--version']);
  const test = nextest ? ['nextest', 'run'] : ['test'];
  console.log('\nRust: compiling the tests (the first time takes some minutes)');
  const started = Date.now();
  const result = await attempt(async () => {
    // Compiling has the terminal, so that cargo can show its progress.
    await run('cargo', [...test, '--no-run']);
    return run('cargo', [...test, '--no-fail-fast'], { tee: true, env: { B2_SKIPPED: skippedFile } });
  });
  return {
    name: nextest ? 'Rust (nextest)' : 'Rust (cargo test)',
    ok: result.ok,
    counts: nextest ? nextestCounts(result.output) : cargoCounts(result.output),
    failures: rustFailures(result.output),
    seconds: (Date.now() - started) / 1000,
  };
}

async function javascript() {
  console.log('\nJavaScript: wrapper, command line and addon');
  const { ok, output: tools } = await attempt(async () => ({ output: await processTools() }));
  if (!ok) return { name: 'JavaScript (vitest)', ok, counts: NONE, seconds: 0 };
  const env = { B2_READER_PYTHON: python ?? '', ...tools };
  return vitest('JavaScript (vitest)', process.execPath, [], env);
}

/**
 * Tests that need `node:sqlite` in the process that holds the locks (Node 22.5), and the addon on the Node that
 * OpenClaw runs on. Where there is none for this system, a Node that is new enough by itself runs the same
 * tests above.
 */
async function newerNode() {
  if (process.getBuiltinModule?.('node:sqlite') !== undefined) return [];
  if (withoutNode24() !== undefined) return [];
  console.log('\nJavaScript on Node 24: locks and addon');
  const { ok, output: bin } = await attempt(async () => ({ output: await node24() }));
  if (!ok) return [{ name: 'Node 24', ok, counts: NONE, seconds: 0 }];
  const tests = ['__test__/locks.test.ts', '__test__/addon.test.ts'];
  return [await vitest('JavaScript (Node 24)', join(bin, 'node'), tests)];
}

/** `Summary [   1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped` */
function nextestCounts(output) {
  const plain = withoutColour(output);
  const line =
    plain
      .split('\n')
      .filter((text) => /\d+ tests? run:/.test(text))
      .at(-1) ?? '';
  const number = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return {
    passed: number('passed'),
    failed: number('failed') + number('timed out'),
    skipped: number('skipped'),
  };
}

/** `test result: ok. 12 passed; 0 failed; 1 ignored; ...`, once per binary */
function cargoCounts(output) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const lines = withoutColour(output).matchAll(/(\d+) passed; (\d+) failed; (\d+) ignored/g);
  for (const [, passed, failures, ignored] of lines) {
    counts.passed += Number(passed);
    counts.failed += Number(failures);
    counts.skipped += Number(ignored);
  }
  return counts;
}
