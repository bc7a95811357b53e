// `npm test`: set-up, then every test there is. All suites run even when one fails; the end says which.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { bin, failed, root, run, works } from './run.mjs';
import { setup } from './setup.mjs';

const cache = join(root, '.cache');
const countsFile = join(cache, 'test-counts.json');
const vitestFile = join(cache, 'vitest.json');

try {
  await mkdir(cache, { recursive: true });
  await rm(countsFile, { force: true });
  await setup();
} catch (error) {
  failed(error);
}

const suites = [await rust(), await javascript()];
const total = { passed: 0, failed: 0, skipped: 0 };
console.log('\nTests');
for (const { name, ok, counts, seconds } of suites) {
  for (const key of Object.keys(total)) total[key] += counts[key];
  const verdict = ok ? 'ok    ' : 'FAILED';
  console.log(
    `  ${verdict}  ${name.padEnd(18)} ${counts.passed} passed, ${counts.failed} failed, ` +
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
  const started = Date.now();
  await rm(vitestFile, { force: true });
  const { ok } = await attempt(() =>
    run(bin('vitest'), ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${vitestFile}`], {
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
  return { name: 'JavaScript (vitest)', ok, counts, seconds: (Date.now() - started) / 1000 };
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
