// Runs test suites, says how they went, and leaves the counts for `.ci/run`.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import { cache } from './npm-cache.mjs';
import { root, run } from './run.mjs';

const countsFolder = join(cache, 'counts');
const vitestFile = join(cache, 'vitest.json');

/** Where tests in Rust write what they could not run (`tests/support/skipped.rs`). */
export const skippedFile = join(cache, 'skipped');

/** The counts of a suite that did not get as far as running tests. */
export const NONE = { passed: 0, failed: 0, skipped: 0 };

/** Forgets the counts of an earlier run, so that a run that breaks off has none. */
export async function forget(name) {
  await mkdir(countsFolder, { recursive: true });
  await rm(join(countsFolder, `${name}.json`), { force: true });
  await rm(skippedFile, { force: true });
}

/**
 * Prints the table of the suites and below it what was not run, writes their total to `.cache/counts/NAME.json`, and
 * ends the process.
 */
export async function conclude(name, suites, notes = []) {
  const total = { ...NONE };
  console.log('\nTests');
  for (const { name: suite, ok, counts, seconds } of suites) {
    for (const key of Object.keys(total)) total[key] += counts[key];
    const verdict = ok ? 'ok    ' : 'FAILED';
    console.log(
      `  ${verdict}  ${suite.padEnd(20)} ${counts.passed} passed, ${counts.failed} failed, ` +
        `${counts.skipped} skipped, ${seconds.toFixed(1)} s`,
    );
  }
  for (const note of [...notes, ...(await notRun(suites))]) console.log(`  SKIPPED: ${note}`);
  // Last, because some who run this keep no more than the end.
  for (const { failures = [] } of suites) for (const failure of failures) console.log(`  FAILED: ${failure}`);
  // A suite can fail without a failing test: it did not compile, say.
  total.failed += suites.filter(({ ok, counts }) => !ok && counts.failed === 0).length;
  await writeFile(join(countsFolder, `${name}.json`), JSON.stringify(total));
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  process.exit(suites.every(({ ok }) => ok) ? 0 : 1);
}

/** Runs vitest on a Node of one's choice. */
export async function vitest(name, node, only, env = {}) {
  const started = Date.now();
  await rm(vitestFile, { force: true });
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const options = ['--reporter=default', '--reporter=json', `--outputFile.json=${vitestFile}`];
  const { ok } = await attempt(() =>
    run(node, [program, 'run', ...options, ...only], {
      // Here a missing addon is a failure, not a reason to skip.
      env: { B2_REQUIRE_ADDON: '1', ...env },
    }),
  );
  return { name, ok, ...(await vitestReport()), seconds: (Date.now() - started) / 1000 };
}

/** What tests did not run for want of rights or of a tool, each once. A part that ran on another Node did run. */
async function notRun(suites) {
  const text = await readFile(skippedFile, 'utf8').catch(() => '');
  const rust = text.split('\n').flatMap((line) => /^SKIPPED: (.+)$/.exec(line)?.[1] ?? []);
  const ran = new Set(suites.flatMap((suite) => suite.ran ?? []));
  const skipped = suites.flatMap((suite) => suite.skipped ?? []).filter((part) => !ran.has(part));
  return [...new Set([...rust, ...skipped])];
}

/** Runs a program whose failure is a result, not the end. */
export async function attempt(action) {
  try {
    const { output } = await action();
    return { ok: true, output };
  } catch (error) {
    console.error(`\n${error.message}`);
    return { ok: false, output: error.output ?? '' };
  }
}

/** The counts of vitest's report, and the parts that ran, or did not. Their names say what they need. */
async function vitestReport() {
  let report;
  try {
    report = JSON.parse(await readFile(vitestFile, 'utf8'));
  } catch {
    // It did not get as far as a report.
    return { counts: NONE };
  }
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  return { counts, failures: failuresOf(report), ...parts(report) };
}

/** What failed, with the first line of why; a file that could not be loaded, too. */
export function failuresOf(report) {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0 && status === 'failed') return [`${basename(name)}: ${firstLine(message)}`];
    return failed.map(
      ({ fullName, failureMessages }) => `${basename(name)}: ${fullName}: ${firstLine(failureMessages[0])}`,
    );
  });
}

function firstLine(text = '') {
  return text.trim().split('\n')[0];
}

/**
 * Tests and groups of tests that ran; and the tests that did not, or the group's name where none of it did: it says
 * what they need.
 */
export function parts(report) {
  const groups = new Map();
  const ran = new Set();
  for (const { name, assertionResults } of report.testResults) {
    for (const { ancestorTitles, title, status } of assertionResults) {
      const group = `${basename(name)}: ${ancestorTitles[0] ?? title}`;
      const test = [basename(name), ...ancestorTitles, title].join(': ');
      groups.set(test, group);
      if (status === 'passed' || status === 'failed') ran.add(group).add(test);
    }
  }
  const rest = [...groups].filter(([test]) => !ran.has(test));
  return { ran: [...ran], skipped: rest.map(([test, group]) => (ran.has(group) ? test : group)) };
}

/** Names of tests that failed: nextest and cargo each have their own line for them. */
export function rustFailures(output) {
  const lines = withoutColour(output).matchAll(
    /^ *(?:FAIL|SIG\w+|TIMEOUT|TERMINATING) \[.*?\] +(?:\(.*?\) +)?(.+)$|^test (.+) \.\.\. FAILED$/gm,
  );
  return [...new Set([...lines].map(([, nextest, cargo]) => nextest ?? cargo))];
}

/** What a terminal would show, without its colours. */
export function withoutColour(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}
