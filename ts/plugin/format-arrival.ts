/** What a new machine was given, or was not, as plain text for chats and logs. Pure. */
import type { Arrival } from '../../index.js';
import type { BackupError } from '../errors.js';
import { machineOf } from '../machine-name.js';
import { count, printable } from '../text.js';
import type { PendingRollback } from './record.js';
import { type Reader, Times } from './times.js';

const BY_HAND =
  'To bring one back later: "openclaw b2-backup list" shows them, and "openclaw b2-backup restore SNAPSHOT" restores.';

/** Something is ready, and the gateway restarts for it. */
export function formatArriving({ snapshot, arrival }: PendingRollback, reader: Reader): string {
  const what = arrival === undefined ? '' : `what ${machineIn(snapshot, arrival)} had: `;
  const made = arrival === undefined ? '' : `, ${madeAt(arrival, reader)}`;
  return `This machine is new. I restore ${what}${printable(snapshot)}${made}. OpenClaw restarts for that in a moment.`;
}

/** What became of it. */
export function formatArrived(
  pending: PendingRollback & { readonly arrival: Arrival },
  reader: Reader,
): string {
  const { outcome, snapshot, arrival, problem } = pending;
  if (outcome === 'given-up') return formatGivenUp(snapshot, problem);
  if (outcome !== 'applied') {
    const why = problem === undefined ? '' : ` (${printable(problem)})`;
    return [
      `${printable(snapshot)} could not be restored on this new machine${why}; everything is as it was before.`,
      'This machine is backed up by itself from now on.',
      BY_HAND,
    ].join('\n');
  }
  return [
    `This new machine now has what ${machineIn(snapshot, arrival)} had: ${count(arrival.files, 'file')} from ` +
      `${printable(snapshot)}, ${madeAt(arrival, reader)}.`,
    logins(arrival),
    ...runs(arrival),
    ...arrival.notes.map((note) => `Note: ${printable(note)}`),
    'It is backed up by itself from now on. If the old machine still runs, turn it off: both would answer in the ' +
      'same chats.',
  ].join('\n');
}

/** It was ready, and somebody began to work first. */
export function formatGivenUp(snapshot: string, why: string | undefined): string {
  const because = why === undefined ? '' : ` (${printable(why)})`;
  return (
    `${printable(snapshot)} was to be restored on this new machine, but it was used meanwhile${because}, so nothing ` +
    `was changed. To restore it over what is here: "openclaw b2-backup restore ${printable(snapshot)}".`
  );
}

/** There are backups, and none of them can be had. */
export function formatRefused({ code, message }: BackupError): string {
  const ways =
    code === 'B2_WRONG_KEY'
      ? 'They open with the passphrase, or without one the application key, that was in use when they were made: ' +
        'put it into the settings of this plugin. '
      : '';
  return (
    `This machine is new, but no backup was restored: ${printable(message)} (${code}). ${ways}Nothing of those ` +
    `backups is touched, and this machine is backed up by itself from now on. ${BY_HAND}`
  );
}

/** It is not known whether there are any, nor whether this machine is a new one: the bucket cannot be asked. */
export function formatUndecided({ code, message }: BackupError): string {
  return (
    `Nothing is backed up yet: ${printable(message)} (${code}). I try again with each backup that is due. If this ` +
    'machine is new, the newest backup comes first then, unless somebody begins to work here. To do without: set ' +
    'autoRestore to false in the settings of this plugin.'
  );
}

/** `anna-laptop (b6454140)` */
function machineIn(snapshot: string, { machineName }: Arrival): string {
  return machineOf({ machine: snapshot.slice(snapshot.lastIndexOf('-') + 1), machineName });
}

function madeAt({ madeAt: at, from }: Arrival, reader: Reader): string {
  const where = from === '' ? '' : ` (the state was in ${printable(from)})`;
  return `made ${new Times(reader).tell(at)}${where}`;
}

function runs({ runs: names = [] }: Partial<Arrival>): readonly string[] {
  if (names.length === 0) return [];
  const shown = names.map((name) => printable(name)).join(', ');
  return [`This came with it and can run: ${shown}. Look at what you do not know.`];
}

function logins({ withSecrets, logins: names }: Arrival): string {
  if (withSecrets) return 'Logins came with it.';
  const named =
    names.length === 0 ? '' : ` The configuration names ${names.map((name) => printable(name)).join(', ')}.`;
  return (
    'Left out are secrets, which stay with a machine: logins of model providers and channels, paired devices, ' +
    `tokens, .env.${named} Log in again where you are asked to.`
  );
}
