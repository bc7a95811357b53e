/** `b2-backup key`: which secrets open the backups. */
import type { AddKeyOptions, KeyInfo } from '../../index.js';
import { BackupError } from '../errors.js';
import { secretInWords } from '../secrets.js';
import type { Command } from './command.js';
import { type Context, EXIT, type Outcome } from './outcome.js';
import { count, facts, formatTime, printable, table } from './render.js';
import { unlocked } from './unlock.js';

/** How long a change waits for a push, in milliseconds: longer than most take. */
const WAIT_MS = 600_000;

const COLUMNS = [
  { title: 'SLOT' },
  { title: 'SECRET' },
  { title: 'MADE' },
  { title: 'REPOSITORY' },
  { title: 'MADE FOR' },
  { title: 'OPENS HERE' },
  { title: '' },
] as const;

/** The slots, and which of them open. */
export async function listKeys({ engine, settings, operation, style }: Context): Promise<Outcome> {
  const { slots, warnings } = await engine.keys(settings, operation);
  return {
    exit: EXIT.done,
    document: { ok: true, slots: slots.map(plain), warnings },
    lines:
      slots.length === 0
        ? ['There are no key slots: nothing encrypted has been backed up here yet.']
        : table(COLUMNS, slots.map(row), style),
    chatter: false,
    problems: [],
    warnings,
  };
}

/** Adds a slot for a secret. */
export async function addKey(
  given: Context,
  { what, unlock }: Extract<Command, { name: 'keyAdd' }>,
): Promise<Outcome> {
  const context = unlock ? await unlocked(given) : given;
  const options: AddKeyOptions = { waitMs: WAIT_MS };
  if (what === 'application-key') options.applicationKey = true;
  if (what === 'passphrase') options.passphrase = await askForPassphrase(context);
  const { engine, settings, operation, style } = context;
  const { slots, locked, warnings } = await engine.addKey(settings, options, operation);
  return {
    exit: EXIT.done,
    document: { ok: true, slots: slots.map(plain), locked, warnings },
    lines:
      slots.length === 0
        ? ['This secret opens the backups already.']
        : slots.map(({ id, kind, repository }) =>
            style.green(`Key slot ${short(id)} added: ${secretInWords(kind)}, repository ${repository}`),
          ),
    chatter: true,
    problems: [],
    warnings: [...warnings, ...lockedOut(locked)],
  };
}

/** Makes a recovery code and shows it, this once. */
export async function newRecoveryCode({ engine, settings, operation, style }: Context): Promise<Outcome> {
  const { code, slots, locked, warnings } = await engine.newRecoveryCode(
    settings,
    { waitMs: WAIT_MS },
    operation,
  );
  return {
    exit: EXIT.done,
    document: { ok: true, recoveryCode: code, slots: slots.map(plain), locked, warnings },
    lines: [
      'The recovery code of these backups:',
      '',
      `    ${style.bold(code)}`,
      '',
      'Print it or write it down now, and keep it away from this machine. It is stored',
      'nowhere and cannot be shown again; another one can be made at any time, and this',
      'one stays good. It opens every snapshot, older ones too, where the B2 key that',
      'made them is lost. Whoever has it and can read the bucket can do the same.',
      '',
      'To use it, on any machine: b2-backup restore latest --to DIR asks for it.',
    ],
    chatter: false,
    problems: [],
    warnings: [...warnings, ...lockedOut(locked)],
  };
}

/** What removing does not do: nobody should take it for more. */
const REMOVING = [
  'Snapshots from now on will not carry this slot. Those made so far keep a copy of',
  'it, so whoever has this secret and can read the bucket, or has a copy of one of',
  'them, can go on opening all of these backups, new ones too. If the secret has',
  'leaked, delete the B2 key that reads the bucket and start afresh under another',
  'prefix; see docs/keys.md.',
];

/** Removes a slot, after the user has agreed. */
export async function removeKey(
  { engine, settings, operation, style, confirm }: Context,
  { slot, force, yes }: Extract<Command, { name: 'keyRemove' }>,
): Promise<Outcome> {
  const options = { force, waitMs: WAIT_MS };
  let wanted = slot;
  if (!yes) {
    if (confirm === undefined) {
      throw new BackupError('removing a key slot has to be confirmed: do it with --yes', {
        code: 'B2_USAGE',
      });
    }
    const { slots } = await engine.keys(settings, operation);
    const [found, ...more] = slots.filter(({ id }) => slot !== '' && id.startsWith(slot.toLowerCase()));
    if (found === undefined || more.length > 0) {
      // Not repeated: it may be a secret, typed where none belongs.
      throw new BackupError('no single key slot has that id; see b2-backup key list', {
        code: 'B2_KEY_SLOT',
      });
    }
    wanted = found.id;
    if (!(await confirm([...describe(found), '', ...REMOVING]))) {
      throw new BackupError('nothing was changed', { code: 'B2_CANCELLED' });
    }
  }
  const { slot: removed, warnings } = await engine.removeKey(settings, wanted, options, operation);
  return {
    exit: EXIT.done,
    document: { ok: true, slot: plain(removed), warnings },
    lines: [style.green(`Key slot ${short(removed.id)} removed`), ...(yes ? REMOVING : [])],
    chatter: true,
    problems: [],
    warnings,
  };
}

/** A passphrase, typed twice. */
async function askForPassphrase({ ask, say }: Context): Promise<string> {
  if (ask === undefined) {
    throw new BackupError(
      '--passphrase asks for one, and nobody can be asked here: set B2_BACKUP_PASSPHRASE and leave the option away',
      { code: 'B2_USAGE' },
    );
  }
  say('A passphrase that opens these backups, too. Long is good: six words, say.');
  const first = await ask('Passphrase: ', { hidden: true });
  if (first === undefined || first === '')
    throw new BackupError('nothing was changed', { code: 'B2_CANCELLED' });
  if ((await ask('Once more: ', { hidden: true })) !== first) {
    throw new BackupError('the two are not the same; nothing was changed', { code: 'B2_CANCELLED' });
  }
  return first;
}

function row({ id, kind, createdAt, repository, thisMachine, opens, inUse, prefix }: KeyInfo): string[] {
  return [
    short(id),
    secretInWords(kind),
    formatTime(createdAt),
    printable(repository) + (thisMachine ? ' (this machine)' : ''),
    prefix === undefined ? 'any prefix' : printable(prefix),
    opens === undefined ? 'not tried' : opens ? 'yes' : 'no',
    inUse ? 'in use' : '',
  ];
}

function describe({ id, kind, createdAt, repository }: KeyInfo): string[] {
  return [
    'Remove this key slot:',
    ...facts([
      ['slot', short(id)],
      ['secret', secretInWords(kind)],
      ['made', formatTime(createdAt)],
      ['repository', printable(repository)],
    ]),
  ];
}

function lockedOut(locked: readonly string[]): string[] {
  if (locked.length === 0) return [];
  const which = locked.map(printable).join(', ');
  return [
    `not good for ${count(locked.length, 'repository').replace(/ys$/, 'ies')} that nothing given here opens: ${which}`,
  ];
}

function short(id: string): string {
  return printable(id.slice(0, 8));
}

function plain({ id, kind, createdAt, repository, thisMachine, opens, inUse, prefix }: KeyInfo) {
  return {
    id,
    kind,
    createdAt,
    repository,
    thisMachine,
    opens: opens ?? null,
    inUse,
    prefix: prefix ?? null,
  };
}
