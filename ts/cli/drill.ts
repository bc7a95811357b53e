/** `b2-backup drill` */
import { type Context, EXIT, type Outcome } from './outcome.js';
import {
  count,
  facts,
  fileProblems,
  formatBytes,
  formatDuration,
  formatTime,
  printable,
  remarksOf,
} from './render.js';

export async function drill({ engine, settings, operation, style }: Context): Promise<Outcome> {
  const report = await engine.drill(settings, operation);
  const { snapshot, snapshotAt, files, bytes, databases, failed, incomplete, remarks, warnings, ...rest } =
    report;
  const proven = failed.length === 0;
  return {
    exit: !proven ? EXIT.failed : incomplete ? EXIT.incomplete : EXIT.done,
    document: {
      ok: proven,
      ...(proven
        ? {}
        : {
            code: failed[0]?.code ?? 'B2_DAMAGED',
            message: `${count(failed.length, 'file')} did not come back`,
          }),
      snapshot,
      snapshotAt,
      files,
      bytes,
      databases,
      failed,
      incomplete,
      remarks,
      requests: rest.requests,
      downloadedBytes: rest.downloadedBytes,
      durationMs: rest.durationMs,
      warnings,
    },
    lines: [
      !proven
        ? style.red('Not everything came back')
        : incomplete
          ? style.yellow('All that is in the newest snapshot came back, but it is incomplete')
          : style.green('The newest snapshot came back whole'),
      ...facts([
        ['snapshot', `${printable(snapshot)}, ${formatTime(snapshotAt)}`],
        ['compared', `${count(files, 'file')}, ${formatBytes(bytes)}`],
        ['checked', count(databases, 'database')],
        ['downloaded', `${formatBytes(rest.downloadedBytes)} in ${count(rest.requests, 'request')}`],
        ['took', formatDuration(rest.durationMs)],
      ]),
    ],
    chatter: proven,
    problems: [...fileProblems(failed, 'restored', style), ...remarksOf(remarks, style)],
    warnings,
  };
}
