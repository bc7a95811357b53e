// `node scripts/publish.mjs TARBALL...`: publishes packages in the given order, with provenance. Only release.yml calls
// it. What is published already is passed over, so that a run can be repeated after a failure.
import { resolve } from 'node:path';
import process from 'node:process';
import { CommandFailed, failed, isMain, run } from './run.mjs';

/** Publishes tarballs. Without `provenance` it works outside CI, too. */
export async function publish(tarballs, { provenance = true, env = process.env } = {}) {
  const published = [];
  for (const tarball of tarballs) {
    const { name, version } = await manifestOf(tarball);
    if (await isPublished(`${name}@${version}`, env)) {
      console.log(`${name}@${version} is published already`);
      continue;
    }
    // A version such as 1.0.0-beta.1 must not become what everybody gets.
    const tag = version.includes('-') ? 'next' : 'latest';
    const args = ['publish', resolve(tarball), '--access', 'public', '--tag', tag, '--ignore-scripts'];
    await run('npm', provenance ? [...args, '--provenance'] : args, { env: await withToken(env) });
    published.push(`${name}@${version}`);
  }
  return published;
}

async function manifestOf(tarball) {
  const { output } = await run('tar', ['-xOzf', tarball, 'package/package.json'], { capture: true });
  return JSON.parse(output);
}

/** A version that does not exist is an error for some npm, and nothing for others. */
async function isPublished(spec, env) {
  const { status, output } = await run('npm', ['view', spec, 'version', '--json'], {
    capture: true,
    env,
    accept: [0, 1],
  });
  if (status === 0) return output.trim() !== '';
  const code = JSON.parse(output).error?.code;
  if (code === 'E404') return false;
  throw new CommandFailed(`npm view ${spec} failed: ${code}`);
}

/** The token, where there is one, for the registry that npm uses; as a variable, so that it is no argument. */
async function withToken(env) {
  const { NODE_AUTH_TOKEN: token } = env;
  if (token === undefined || token === '') return env;
  const { output } = await run('npm', ['config', 'get', 'registry'], { capture: true, env });
  const { host, pathname } = new URL(output.trim());
  return { ...env, [`npm_config_//${host}${pathname}:_authToken`]: token };
}

async function main() {
  const tarballs = process.argv.slice(2);
  if (tarballs.length === 0) throw new CommandFailed('usage: node scripts/publish.mjs TARBALL...');
  await publish(tarballs);
}

if (isMain(import.meta.url)) await main().catch(failed);
