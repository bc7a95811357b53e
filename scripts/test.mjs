// `npm test`: set-up, then every test there is. All suites run even when one fails; the end says which.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { failed, root, run, works } from './run.mjs';
import { setup } from './setup.mjs';

const cache = join(root, '.cache');
const countsFile = join(cache, 'test-counts.json');
const vitestFile = join(cache, 'vitest.json');
/** The version that OpenClaw 2026.9.6 needs, or newer. */
const NODE_24 = '24.21.0';

try {
  await mkdir(cache, { recursive: true });
  await rm(countsFile, { force: true });
  await setup();
} catch (error) {
  failed(error);
}

const suites = [await rust(), await javascript(), ...(await newerNode())];
const total = { passed: 0, failed: 0, skipped: 0 };
console.log('\nTests');
for (const { name, ok, counts, seconds } of suites) {
  for (const key of Object.keys(total)) total[key] += counts[key];
  const verdict = ok ? 'ok    ' : 'FAILED';
  console.log(
    `  ${verdict}  ${name.padEnd(20)} ${counts.passed} passed, ${counts.failed} failed, ` +
      `${counts.skipped} skipped, ${seconds.toFixed(1)} s`,
  );
}
// A suite can fail without a failing test: it did not compile, say.
const broken = suites.filter(({ ok, counts }) => !ok && counts.failed === 0).length;
total.failed += broken;
await writeFile(countsFile, JSON.stringify(total));
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exit(suites.every(({ ok }) => ok) ? 0 : 1);

async function rust() {
  const nextest = await works('cargo', ['nextest', '--version']);
  const test = nextest ? ['nextest', 'run'] : ['test'];
  console.log('\nRust: compiling the tests (the first time takes some minutes)');
  const started = Date.now();
  const result = await attempt(async () => {
    // Compiling has the terminal, so that cargo can show its progress.
    await run('cargo', [...test, '--no-run']);
    return run('cargo', [...test, '--no-fail-fast'], { tee: true });
  });
  return {
    name: nextest ? 'Rust (nextest)' : 'Rust (cargo test)',
    ok: result.ok,
    counts: nextest ? nextestCounts(result.output) : cargoCounts(result.output),
    seconds: (Date.now() - started) / 1000,
  };
}

async function javascript() {
  console.log('\nJavaScript: wrapper, command line and addon');
  return vitest('JavaScript (vitest)', process.execPath, []);
}

/**
 * Tests that need `node:sqlite` in the process that holds the locks (Node 22.5), and the addon on the Node that
 * OpenClaw runs on. The npm package carries the binary, so nothing has to be installed by hand; where there is
 * none for this system, a Node that is new enough by itself runs the same tests above.
 */
async function newerNode() {
  if (process.getBuiltinModule?.('node:sqlite') !== undefined) return [];
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return [];
  const name = `node-linux-${process.arch}`;
  const folder = join(cache, 'node-24');
  console.log('\nJavaScript on Node 24: locks and addon');
  const installed = await attempt(() =>
    run('npm', ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', `${name}@${NODE_24}`]),
  );
  const counts = { passed: 0, failed: 0, skipped: 0 };
  if (!installed.ok) return [{ name: 'Node 24', ok: false, counts, seconds: 0 }];
  const node = join(folder, 'node_modules', name, 'bin', 'node');
  return [await vitest('JavaScript (Node 24)', node, ['__test__/locks.test.ts', '__test__/addon.test.ts'])];
}

async function vitest(name, node, only) {
  const started = Date.now();
  await rm(vitestFile, { force: true });
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const options = ['--reporter=default', '--reporter=json', `--outputFile.json=${vitestFile}`];
  const { ok } = await attempt(() =>
    run(node, [program, 'run', ...options, ...only], {
      // Here a missing addon is a failure, not a reason to skip.
      env: { B2_REQUIRE_ADDON: '1' },
    }),
  );
  let counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const report = JSON.parse(await readFile(vitestFile, 'utf8'));
    counts = {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch {
    // It did not get as far as a report.
  }
  return { name, ok, counts, seconds: (Date.now() - started) / 1000 };
}

async function attempt(action) {
  try {
    const { output } = await action();
    return { ok: true, output };
  } catch (error) {
    console.error(`\n${error.message}`);
    return { ok: false, output: error.output ?? '' };
  }
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

function withoutColour(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}
