/** `b2-backup restore` */
import { resolve } from 'node:path';
import type { RestoreOptions } from '../../index.js';
import { given } from '../given.js';
import { collect, examples, moment, Option, UNAUTHENTICATED, YES } from './command.js';
import { type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import {
  count,
  type Fact,
  facts,
  fileProblems,
  formatBytes,
  formatDuration,
  printable,
  remarksOf,
} from './render.js';
import { discard, PLAN, resume, rollBack } from './rollback.js';
import { SNAPSHOT, snapshotMeant } from './snapshot.js';

/** Options that only make sense over the live state. */
const LIVE_ONLY = ['exact', 'partial', 'dryRun', 'yes', 'plan'];
const ALL = [...LIVE_ONLY, 'to', 'path', 'asOf', 'allowUnauthenticated'];

export function restoreCommand({ program, work }: Cli): void {
  const toDirectory = work({ fileOptional: true }, restore);
  const overLiveState = work({ ownSecret: true, fileOptional: true }, rollBack);
  program
    .command('restore')
    .summary('roll the state back, or restore into an empty directory')
    .description(`Roll the live state back to a snapshot; or, with --to, restore it, or parts of it, into an empty directory.

A rollback shows what would change and asks. Then it makes a safety snapshot, fetches what differs, and changes all of it \
or nothing. What came after the snapshot stays, unless you say --exact. Credentials, this plugin, and \
the address and login of the gateway stay as they are. If OpenClaw runs and has to stop for it, the rollback waits until you \
restart it. A blank machine gets all that the other one had; secrets only if they were backed up.`)
    .argument('[snapshot]', SNAPSHOT)
    .addOption(
      new Option('--path <path>', 'only this file or directory of the state; may be given again').argParser(
        collect,
      ),
    )
    .option('--exact', 'also remove files that the snapshot does not have')
    .option('--dry-run', 'only show what would change')
    .addOption(PLAN)
    .addOption(YES)
    .option('--partial', 'go on when some files of the snapshot are damaged')
    .addOption(
      new Option(
        '--to <dir>',
        'leave the live state alone; the directory must be new or empty. The only way for snapshots of the original plugin',
      ).conflicts(LIVE_ONLY),
    )
    .option('--as-of <time>', 'with --to: read the bucket as it was; see "help undelete"', moment)
    .addOption(
      new Option('--resume', 'finish a rollback that waits or was cut off').conflicts([...ALL, 'discard']),
    )
    .addOption(new Option('--discard', 'discard a rollback that waits').conflicts(ALL))
    .addOption(UNAUTHENTICATED)
    .addHelpText(
      'after',
      examples(
        'b2-backup restore "yesterday at 14:00" --dry-run',
        'b2-backup restore 2026-02-19T00-00-00Z-1f2e3d4c --path workspace/MEMORY.md',
        'b2-backup restore latest --to ~/restored',
      ),
    )
    .action((snapshot, { to, path, resume: resumes, discard: discards, ...options }, command) => {
      if (resumes || discards) {
        if (snapshot !== undefined) command.error(`--${resumes ? 'resume' : 'discard'} takes no snapshot`);
        return work({ fileOptional: true }, resumes ? resume : discard)();
      }
      if (snapshot === undefined) {
        return command.error('restore needs a snapshot: its name from "b2-backup list", or latest');
      }
      const { allowUnauthenticated, asOf, exact = false, partial = false, ...agreed } = options;
      const what = given({ snapshot, paths: path, allowUnauthenticated });
      if (to !== undefined) return toDirectory({ ...what, to });
      if (asOf !== undefined) {
        command.error('--as-of goes with --to; for the live state, bring snapshots back with undelete first');
      }
      return overLiveState({ allowUnauthenticated: false, ...what, exact, partial }, agreed);
    });
}

async function restore(context: Context, options: RestoreOptions): Promise<Outcome> {
  const { engine, settings, operation, style, cwd } = context;
  const to = resolve(cwd, options.to);
  const meant = await snapshotMeant(context, options.snapshot);
  const report = await engine.restore(settings, { ...options, snapshot: meant, to }, operation);
  const { snapshot, files, bytes, downloadedBytes, requests, failed, roots, warnings, durationMs } = report;
  const { incomplete, remarks } = report;
  return {
    exit: failed.length > 0 || incomplete ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      ...report,
      to,
    },
    lines: [
      style.green(`Restored ${printable(snapshot)} to ${printable(to)}`),
      ...facts([
        ['files', `${count(files, 'file')}, ${formatBytes(bytes)}`],
        ['downloaded', `${formatBytes(downloadedBytes)} in ${count(requests, 'request')}`],
        ['took', formatDuration(durationMs)],
        ...roots.map((root): Fact => ['directory', printable(root)]),
      ]),
    ],
    chatter: true,
    problems: [...fileProblems(failed, 'restored', style), ...remarksOf(remarks, style)],
    warnings,
  };
}
