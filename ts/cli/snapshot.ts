/** Which snapshot a person at a terminal means: a name, `latest`, or words such as "yesterday", as in chat. */
import { BackupError } from '../errors.js';
import { printable } from '../text.js';
import type { Context } from './outcome.js';

/** What the core knows by itself: names of snapshots, their beginnings, and its own words. */
const NAME = /^(?:latest|live|(?:safety-)?\d{4}-\d\d-\d\dT.*)$/;

/** What `[snapshot]` of a command may be, for its help. */
export const SNAPSHOT = 'its name, latest, or words such as "yesterday"';

/**
 * The name of the snapshot that is meant; a name is returned as it is, and the core says whether there is one.
 *
 * @throws {BackupError} B2_USAGE where the words may mean one, or several, which are named; B2_SNAPSHOT_NOT_FOUND where
 *   they mean none
 */
export async function snapshotMeant(
  { engine, settings, operation, date, timeZone }: Context,
  words: string,
): Promise<string> {
  if (NAME.test(words)) return words;
  const { snapshots } = await engine.list(settings, operation);
  // Most commands name a snapshot: they do not wait for what reads words.
  const [{ findSnapshots }, { loadLanguages }] = await Promise.all([
    import('../plugin/words.js'),
    import('../plugin/words/dates.js'),
  ]);
  const situation = { now: date(), timeZone: timeZone(), languages: await loadLanguages() };
  const found = findSnapshots(words, snapshots, situation);
  if (found.kind === 'one') return found.snapshot.id;
  const nearest = found.kind === 'none' && found.nearest !== undefined ? [found.nearest] : [];
  const candidates = found.kind === 'several' ? found.candidates : nearest;
  const names = candidates.map(({ id }) => printable(id)).join(', ');
  const choose = names === '' ? '' : `; name the one you mean: ${names}`;
  throw new BackupError(`it is not certain which snapshot "${printable(words)}" is: ${found.why}${choose}`, {
    code: names === '' ? 'B2_SNAPSHOT_NOT_FOUND' : 'B2_USAGE',
  });
}
