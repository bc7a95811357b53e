/** What stands behind `/b2 restore` and `/b2 diff`. Pure. */
import { BackupError } from '../errors.js';
import type { Parameters } from './tool-shape.js';

/** `yesterday --path MEMORY.md --exact`. Phones like to make one long dash of two. @throws {BackupError} B2_USAGE */
export function restoreOf(words: readonly string[], verb: 'restore' | 'diff'): Partial<Parameters> {
  const when: string[] = [];
  const paths: string[] = [];
  let exact = false;
  let takesPath = false;
  for (const word of words) {
    const option = /^(?:--|—|–)(.+)$/.exec(word)?.[1];
    if (takesPath) {
      paths.push(word);
      takesPath = false;
    } else if (option === 'path') takesPath = true;
    else if (option === 'exact' && verb === 'restore') exact = true;
    else if (option === undefined) when.push(word);
    else throw wrong(`there is no option ${word}`);
  }
  if (takesPath) throw wrong('--path needs a file, such as MEMORY.md');
  if (when.length === 0 && verb === 'restore')
    throw wrong('which backup? Say it as in "/b2 restore yesterday"');
  return {
    ...(when.length === 0 ? {} : { snapshot: when.join(' ') }),
    ...(exact ? { exact } : {}),
    ...(paths.length === 0 ? {} : { paths }),
  };
}

function wrong(message: string): BackupError {
  return new BackupError(message, { code: 'B2_USAGE' });
}
