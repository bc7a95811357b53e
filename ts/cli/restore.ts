/** `b2-backup restore` */
import { resolve } from 'node:path';
import type { RestoreOptions } from '../../index.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, fileProblems, formatBytes, formatDuration, printable, remarksOf } from './render.js';

export async function restore(
  { engine, settings, operation, style, cwd }: Context,
  command: Extract<Command, { name: 'restore' }>,
): Promise<Outcome> {
  const to = resolve(cwd, command.to);
  const options: RestoreOptions = { snapshot: command.snapshot, to };
  if (command.paths.length > 0) options.paths = [...command.paths];
  if (command.allowUnauthenticated) options.allowUnauthenticated = true;
  const report = await engine.restore(settings, options, operation);
  const { snapshot, files, bytes, downloadedBytes, requests, failed, roots, warnings, durationMs } = report;
  const { incomplete, remarks } = report;
  return {
    exit: failed.length > 0 || incomplete ? EXIT.incomplete : EXIT.done,
    document: {
      ok: true,
      snapshot,
      files,
      bytes,
      downloadedBytes,
      requests,
      failed,
      incomplete,
      remarks,
      durationMs,
      to,
      roots,
      warnings,
    },
    lines: [
      style.green(`Restored ${printable(snapshot)} to ${printable(to)}`),
      ...facts([
        ['files', `${count(files, 'file')}, ${formatBytes(bytes)}`],
        ['downloaded', `${formatBytes(downloadedBytes)} in ${count(requests, 'request')}`],
        ['took', formatDuration(durationMs)],
        ...roots.map((root): [string, string] => ['directory', printable(root)]),
      ]),
    ],
    chatter: true,
    problems: [...fileProblems(failed, 'restored', style), ...remarksOf(remarks, style)],
    warnings,
  };
}
