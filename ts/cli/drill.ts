/** `b2-backup drill` */
import type { BootReport, Trial } from '../boot/drill.js';
import { drillAndBoot } from '../boot/drill.js';
import { examples } from './command.js';
import { type Cli, type Context, EXIT, type Outcome } from './outcome.js';
import {
  count,
  type Fact,
  facts,
  fileProblems,
  formatBytes,
  formatCount,
  formatDuration,
  formatTime,
  printable,
  remarksOf,
} from './render.js';

export function drillCommand({ program, work }: Cli): void {
  program
    .command('drill')
    .summary('do a trial restore of the newest snapshot')
    .description(`Do a trial restore: bring this machine's newest snapshot back, check it, and remove it.

It works as on a blank machine: with nothing but the bucket and the configured secret. Every file is read back and \
compared, and SQLite checks every database. It downloads the whole snapshot and needs as much room on the disk. "status" \
says when a snapshot was last proven so.

The exit status is 1 when something did not come back, or OpenClaw does not show it. It is listed.`)
    .option(
      '--boot',
      'then start the installed OpenClaw on a second copy, without a network, and ask it for agents, sessions, jobs and memory. Your gateway may go on running. Downloads everything twice',
    )
    .addHelpText('after', examples('b2-backup drill', 'b2-backup drill --boot'))
    .action(work({ ownSecret: true, asksNoCode: true }, (context, { boot }) => drill(context, boot)));
}

async function drill({ engine, settings, operation, style }: Context, boots = false): Promise<Outcome> {
  const report: Trial = boots
    ? await drillAndBoot(engine, settings, operation)
    : await engine.drill(settings, operation);
  const { snapshot, snapshotAt, files, bytes, databases, failed, incomplete, remarks, boot } = report;
  const all = [...report.warnings, ...(boot?.warnings ?? [])];
  const back = failed.length === 0;
  const wrong = boot?.problems ?? [];
  const proven = back && wrong.length === 0;
  return {
    exit: !proven ? EXIT.failed : incomplete ? EXIT.incomplete : EXIT.done,
    document: {
      ok: proven,
      ...(proven
        ? {}
        : {
            code: failed[0]?.code ?? 'B2_HOST_REFUSES',
            message: back
              ? `OpenClaw does not have all of it: ${wrong[0]}`
              : `${count(failed.length, 'file')} did not come back`,
          }),
      ...report,
      warnings: all,
    },
    lines: [
      !back
        ? style.red('Not everything came back')
        : !proven
          ? style.red('All of it came back, but OpenClaw does not work with it as the snapshot says')
          : incomplete
            ? style.yellow('All that is in the newest snapshot came back, but it is incomplete')
            : style.green('The newest snapshot came back whole'),
      ...facts([
        ['snapshot', `${printable(snapshot)}, ${formatTime(snapshotAt)}`],
        ['compared', `${count(files, 'file')}, ${formatBytes(bytes)}`],
        ['checked', count(databases, 'database')],
        ['downloaded', `${formatBytes(report.downloadedBytes)} in ${count(report.requests, 'request')}`],
        ['took', formatDuration(report.durationMs)],
        ...(boot === undefined ? [] : bootFacts(boot)),
      ]),
    ],
    chatter: proven,
    problems: [
      ...fileProblems(failed, 'restored', style),
      ...wrong.map((problem) => `${style.red('problem:')} ${printable(problem)}`),
      ...remarksOf(remarks, style),
    ],
    warnings: all,
  };
}

function bootFacts(boot: BootReport): Fact[] {
  const { version, alone, agents, sessions, messages, jobs, memoryFiles, problems } = boot;
  const seen = [
    count(agents, 'agent'),
    `${count(sessions, 'session')} (${formatCount(messages)} with their last message)`,
    count(jobs, 'job'),
    count(memoryFiles, 'memory file'),
  ];
  return [
    [
      problems.length === 0 ? 'booted' : 'tried',
      `OpenClaw ${printable(version)}, ${alone ? 'without a network' : 'kept from the network'}`,
    ],
    ['asked for', seen.join(', ')],
    ['in', formatDuration(boot.durationMs)],
  ];
}
