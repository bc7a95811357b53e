// The real command line on another system, there and back, with what it makes compared on this one.
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { built, CommandFailed, root, run } from '../run.mjs';
import { home } from './debian.mjs';

const SECRETS = { B2_BACKUP_PASSPHRASE: 'nine quiet otters mend a copper bridge' };

/** Names that Linux takes and Windows does not, and what each would be there. */
const UNFIT = ['a:b', 'back\\slash', 'con', 'trailing.'];

/** A link, which needs a privilege there. */
const LINK = 'link';

/** What a rollback does not take from the snapshot as it is: it keeps what belongs to this machine. */
const MERGED = ['openclaw.json'];

/** Starts the command line of this machine, on the same files. */
async function startHere(args, env) {
  const command = [join(root, 'dist', 'cli.js'), ...args];
  const { status, output } = await run(process.execPath, command, {
    env,
    capture: true,
    accept: [0, 1, 2, 3],
  });
  return { status, output, problems: '' };
}

const here = { start: startHere, path: (path) => path, url: (path) => `file://${path}` };

/**
 * Pushes, lists, restores, rolls back, takes that back, drills and verifies. Every tree is compared with what it should be
 * by a program that knows nothing of backups. `there` starts the command line of the other system: its `path` and `url`
 * say how a path of this machine is called there.
 */
export async function roundTrip(there) {
  const folder = join(home, 'round-trip', there.name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await run('cargo', ['build', '--quiet', '--package', 'openclaw_state']);
  const at = (name) => join(folder, name);
  const system = (side, state, bucket) => new System(side, folder, at(state), at(bucket));

  const other = system(there, 'state', 'bucket');
  await generate(at('state'));
  await other.does(['push']);
  const [first] = JSON.parse((await other.does(['list', '--json'])).output).snapshots;
  await other.does(['restore', 'latest', '--to', there.path(at('restored'))]);
  await same('restored there', at('state'), at('restored'));

  const reader = system(here, 'nothing', 'bucket');
  await reader.does(['restore', 'latest', '--to', at('read-here')]);
  await same('its snapshot, restored here', at('state'), at('read-here'));

  await state('day', '--seed', '2', at('state'));
  await other.does(['push']);
  await run('cp', ['--archive', at('state'), at('changed')]);
  await other.does(['restore', first.id, '--exact', '--yes']);
  await same('rolled back', at('restored'), at('state'), MERGED);
  await other.does(['undo', '--yes']);
  await same('and that taken back', at('changed'), at('state'), MERGED);
  await other.does(['drill']);
  await other.does(['verify', '--read-data']);
  await other.does(['prune']);
  await other.does(['doctor'], [0, 3]);

  const mine = system(here, 'mine', 'bucket-of-here');
  await generate(at('mine'));
  await mine.does(['push']);
  const taker = system(there, 'nothing-there', 'bucket-of-here');
  await taker.does(['restore', 'latest', '--to', there.path(at('mine-there'))]);
  await same('a snapshot from here, restored there', at('mine'), at('mine-there'));
  if (there.name !== 'windows') return;
  const workspace = (state) => join(at(state), 'workspace');
  const [link, ...names] = [LINK, ...UNFIT].map((name) => join(workspace('mine'), name));
  await Promise.all(names.map((path) => writeFile(path, path)));
  await symlink('MEMORY.md', link);
  await mine.does(['push']);
  const restored = await taker.does(['restore', 'latest', '--json', '--to', there.path(at('fitting'))], [3]);
  const rolledBack = await taker.does(['restore', 'latest', '--json', '--yes'], [3]);
  for (const { output } of [restored, rolledBack]) namesWhatIsLeftOut(JSON.parse(output));
  await Promise.all([link, ...names].map((path) => rm(path)));
  await same('all but what it cannot hold', at('mine'), at('fitting'));
  await same('and rolled back to that', workspace('mine'), workspace('nothing-there'));
}

/** Rejects a report that does not name everything which Windows cannot hold. */
function namesWhatIsLeftOut({ failed }) {
  const shown = [LINK, ...UNFIT].map((name) => name.replace('\\', '\\\\'));
  const silent = shown.filter((name) => !failed.some(({ path }) => path === `workspace/${name}`));
  if (silent.length > 0) throw new CommandFailed(`not named as left out: ${silent.join(', ')}`);
}

/** One machine: its command line, its state and its bucket. */
class System {
  constructor(side, folder, state, bucket) {
    this.side = side;
    this.folder = folder;
    this.env = { ...SECRETS, OPENCLAW_STATE_DIR: side.path(state), B2_BUCKET: side.url(bucket) };
  }

  async does(args, accept = [0]) {
    const { status, output, problems } = await this.side.start(args, this.env, this.folder);
    const place = this.side === here ? 'here ' : 'there';
    console.log(`  ${place} ${args[0].padEnd(8)} ${status}  ${args.slice(1).join(' ')}`);
    if (accept.includes(status)) return { output };
    throw new CommandFailed(`b2-backup ${args.join(' ')} ended with ${status}\n${output}\n${problems}`);
  }
}

async function state(...args) {
  const { output } = await run(join(built, 'openclaw_state'), args, { capture: true });
  return output;
}

/** A state like a user's. Links are taken out: Wine shows them as what they lead to. */
async function generate(folder) {
  await state('generate', '--mb', '8', '--out', folder);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isSymbolicLink()) await rm(join(entry.parentPath, entry.name));
}

/** Rejects unless two trees have the same files with the same content and times, and the same rows in databases. */
async function same(what, expected, found, without = []) {
  const [left, right] = await Promise.all([listed(expected, without), listed(found, without)]);
  const lost = left.filter((line) => !right.includes(line));
  const more = right.filter((line) => !left.includes(line));
  if (lost.length + more.length === 0 && left.length > 0)
    return console.log(`  same: ${what}, ${left.length} entries`);
  const lines = [...lost.map((line) => `- ${line}`), ...more.map((line) => `+ ${line}`)];
  throw new CommandFailed(`${what}: not the same\n${lines.slice(0, 40).join('\n')}`);
}

/** Without permission bits, and with times as exact as every file system has them: to 100 ns. */
async function listed(folder, without) {
  const lines = (await state('digest', '--list', folder)).trim().split('\n');
  return lines.flatMap((line) => {
    const [path, kind, , ...rest] = line.split('\t');
    if (kind === undefined || without.includes(path)) return [];
    if (kind === 'file') rest[0] = rest[0].slice(0, -2);
    return [[path, kind, ...rest].join('\t')];
  });
}
