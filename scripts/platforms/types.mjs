// Type-checks of all our code, with all features, for another target. A warning is a failure.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../run.mjs';
import { mingw, rust, withoutCompiler } from './tools.mjs';

/** Rejects where something of ours does not compile without a warning. */
export async function typeCheck(target) {
  const { cargo, env, args } = await compiler(target);
  const everything = ['--workspace', '--all-features', '--all-targets', '--keep-going'];
  const ours = ['check', ...everything, '--target', target];
  const strict = ['-Z', 'warnings', '--config', 'build.warnings="deny"'];
  // rustc makes a list of the functions of each of Windows' libraries, and for that ABI with `dlltool`.
  const tools = target.endsWith('-windows-gnu') ? (await mingw()).env : {};
  await run(cargo, [...ours, ...strict, ...args], { env: { ...env, ...tools, ...withoutCompiler(target) } });
}

/** The project's own compiler where it has the target (`rustup target add`), else one that can build for any. */
async function compiler(target) {
  const { output } = await run('rustc', ['--print', 'sysroot'], { capture: true });
  const installed = await access(join(output.trim(), 'lib', 'rustlib', target, 'lib')).then(
    () => true,
    () => false,
  );
  return installed ? { cargo: 'cargo', env: { RUSTC_BOOTSTRAP: '1' }, args: ['--locked'] } : rust();
}
