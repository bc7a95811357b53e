// `npm run test:platforms`: what can be tried of other systems on Linux x64. docs/platforms.md has the last results.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { TARGETS } from './platforms/targets.mjs';
import { CommandFailed, failed, isMain, works } from './run.mjs';
import { setup } from './setup.mjs';

const HELP = `npm run test:platforms -- [OPTIONS] [TARGET...]

  --only STEP   one step of each target: "types", "addon" or "command line"
  --list        no run: name the targets, and what of each can be tried

Tools are fetched into .cache/platforms (about 3 GB, and 2 to 4 GB for each target).
`;

/** Why nothing of it can be tried on this machine, or undefined. */
async function unfit() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the tools are for Linux on x64';
  const debian = (await works('apt-get', ['--version'])) && (await works('dpkg-deb', ['--version']));
  return debian ? undefined : "the tools are Debian's packages, and this is no Debian";
}

async function tryTargets() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const unknown = positionals.find((name) => !(name in TARGETS));
  if (unknown !== undefined) throw new CommandFailed(`there is no target "${unknown}" (see --list)`);
  const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
  const steps = names.flatMap((target) =>
    Object.entries(TARGETS[target])
      .filter(([step]) => values.only === undefined || step === values.only)
      .map(([step, action]) => ({ target, step, action })),
  );
  if (steps.length === 0) throw new CommandFailed(`there is no step "${values.only}"`);
  if (values.list) {
    for (const { target, step, action } of steps)
      console.log(line(target, step, action.why ?? 'can be tried'));
    return;
  }
  const reason = await unfit();
  if (reason !== undefined) throw new CommandFailed(`nothing was tried: ${reason}`);
  if (steps.some(({ step, action }) => step !== 'types' && action.why === undefined)) await setup();
  const results = [];
  for (const { target, step, action } of steps) results.push(await attempt(target, step, action));
  console.log(`\n${results.map(({ text }) => text).join('\n')}`);
  if (results.some(({ ok }) => !ok)) throw new CommandFailed('not everything passed');
}

const line = (target, step, text) => `${target.padEnd(28)}${step.padEnd(14)}${text}`;

async function attempt(target, step, action) {
  if (action.why !== undefined) return { ok: true, text: line(target, step, `not tried: ${action.why}`) };
  console.log(`\n== ${target}: ${step}`);
  const started = Date.now();
  const problem = await action().then(
    () => undefined,
    (error) => error,
  );
  const seconds = Math.ceil((Date.now() - started) / 1000);
  if (problem === undefined) return { ok: true, text: line(target, step, `ok, ${seconds} s`) };
  console.error(`\n${problem.message}`);
  return { ok: false, text: line(target, step, `FAILED, ${seconds} s`) };
}

if (isMain(import.meta.url)) await tryTargets().catch(failed);
