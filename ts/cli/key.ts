/** `b2-backup key`: which secrets open the backups. */
import type { AddKeyOptions, KeyInfo } from '../../index.js';
import { BackupError } from '../errors.js';
import { secretInWords } from '../secrets.js';
import { withoutCode } from '../setup/recovery.js';
import { examples, Option, SHOW_CODE, YES } from './command.js';
import { agree, type Cli, type Context, type Outcome, WAIT_MS } from './outcome.js';
import { count, facts, formatTime, printable, table } from './render.js';
import { unlocked } from './unlock.js';

const COLUMNS = [
  { title: 'SLOT' },
  { title: 'SECRET' },
  { title: 'MADE' },
  { title: 'REPOSITORY' },
  { title: 'MADE FOR' },
  { title: 'OPENS HERE' },
  { title: '' },
] as const;

export function keyCommand({ program, work }: Cli): void {
  const key = program
    .command('key')
    .summary('list, add and remove the secrets that open the backups')
    .description(`List, add and remove the secrets that open the backups.

The backups open with the application key that made them; or with the passphrase, if you set one. The next push makes a \
slot for a new key. If nothing else opens the backups, every command asks for the recovery code, or takes it from the \
variable B2_BACKUP_RECOVERY_CODE. No secret is ever given on the command line.

Removing a slot does not lock out whoever can read an older snapshot. A slot opens only below the prefix that it was made \
for. If you moved or copied backups, "key add --moved-from <prefix>" makes slots for the prefix of today.`)
    .addHelpText(
      'after',
      examples('b2-backup key recovery', 'b2-backup key list', 'b2-backup key add --help'),
    );
  key.command('list').description('Show the slots, and which of them open here.').action(work({}, listKeys));
  key
    .command('recovery')
    .description(
      'Make a recovery code to print, for the day on which the key is lost. It is shown once, and stored nowhere.',
    )
    .addOption(SHOW_CODE)
    .action(({ showCode }, command) => {
      if (program.opts().json && !showCode) {
        command.error('--json would write the code into a log; add --show-code where that is wanted');
      }
      return work({}, newRecoveryCode)();
    });
  key
    .command('add')
    .description('Make a slot for the secret that is configured, or for another one.')
    .addOption(
      new Option('--passphrase', 'ask for a passphrase and make a slot for it').conflicts('applicationKey'),
    )
    .option('--application-key', 'take the application key, even if there is a passphrase')
    .option('--unlock', 'ask for a recovery code first: then also backups that do not open here get the slot')
    .action(work({}, addKey));
  key
    .command('remove')
    .description('Remove a slot. The last one always stays.')
    .argument('<slot>', 'its id from "b2-backup key list"')
    .option('--force', 'even if nothing that is configured opens the backups without it')
    .addOption(YES)
    .action(work({}, removeKey));
  // What was typed is not repeated: it may be a secret.
  key
    .allowExcessArguments()
    .action((_, command) => command.error('key needs one of list, recovery, add and remove'));
}

/** The slots, and which of them open. */
async function listKeys({ engine, settings, operation, style }: Context): Promise<Outcome> {
  const { slots, warnings } = await engine.keys(settings, operation);
  return {
    document: { ok: true, slots: slots.map(plain), warnings },
    lines:
      slots.length === 0
        ? ['There are no key slots: nothing encrypted has been backed up here yet.']
        : table(COLUMNS, slots.map(row), style),
    chatter: false,
    warnings,
  };
}

/** Adds a slot for a secret. */
async function addKey(
  given: Context,
  {
    passphrase,
    applicationKey,
    unlock,
  }: { readonly passphrase?: true; readonly applicationKey?: true; readonly unlock?: true },
): Promise<Outcome> {
  const context = unlock ? await unlocked(given) : given;
  const options: AddKeyOptions = { waitMs: WAIT_MS };
  if (applicationKey) options.applicationKey = true;
  if (passphrase) options.passphrase = await askForPassphrase(context);
  const { engine, settings, operation, style } = context;
  const { slots, locked, warnings } = await engine.addKey(settings, options, operation);
  return {
    document: { ok: true, slots: slots.map(plain), locked, warnings },
    lines:
      slots.length === 0
        ? ['This secret opens the backups already.']
        : slots.map(({ id, kind, repository }) =>
            style.green(`Key slot ${short(id)} added: ${secretInWords(kind)}, repository ${repository}`),
          ),
    chatter: true,
    warnings: [...warnings, ...lockedOut(locked)],
  };
}

/** Makes a recovery code and shows it, this once. */
async function newRecoveryCode({ engine, settings, operation, style }: Context): Promise<Outcome> {
  const { code, slots, locked, warnings } = await engine.newRecoveryCode(
    settings,
    { waitMs: WAIT_MS },
    operation,
  );
  return {
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
    warnings: [...warnings, ...lockedOut(locked)],
    unseen: () => withoutCode(engine, settings, slots, operation),
  };
}

/** What removing does not do: nobody should take it for more. */
const REMOVING = [
  'Snapshots from now on will not carry this slot. Those made so far keep a copy of',
  'it, so whoever has this secret and can read the bucket, or has a copy of one of',
  'them, can go on opening all of these backups, new ones too. If the secret has',
  'leaked, delete the B2 key that reads the bucket and start over under another',
  'prefix; see docs/keys.md.',
];

/** Removes a slot, after the user has agreed. */
async function removeKey(
  context: Context,
  slot: string,
  { force = false, yes = false }: { readonly force?: boolean; readonly yes?: boolean },
): Promise<Outcome> {
  const { engine, settings, operation, style, confirm } = context;
  const unasked = 'removing a key slot has to be confirmed: do it with --yes';
  const options = { force, waitMs: WAIT_MS };
  let wanted = slot;
  if (!yes) {
    if (confirm === undefined) throw new BackupError(unasked, { code: 'B2_USAGE' });
    const { slots } = await engine.keys(settings, operation);
    const [found, ...more] = slots.filter(({ id }) => slot !== '' && id.startsWith(slot.toLowerCase()));
    if (found === undefined || more.length > 0) {
      // Not repeated: it may be a secret, typed where none belongs.
      throw new BackupError('no single key slot has that id; see b2-backup key list', {
        code: 'B2_KEY_SLOT',
      });
    }
    wanted = found.id;
    await agree(context, [...describe(found), '', ...REMOVING], { unasked });
  }
  const { slot: removed, warnings } = await engine.removeKey(settings, wanted, options, operation);
  return {
    document: { ok: true, slot: plain(removed), warnings },
    lines: [style.green(`Key slot ${short(removed.id)} removed`), ...(yes ? REMOVING : [])],
    chatter: true,
    warnings,
  };
}

/** A passphrase, typed twice. */
async function askForPassphrase({ ask, say }: Context): Promise<string> {
  if (ask === undefined) {
    throw new BackupError(
      '--passphrase asks for one, and nobody can be asked here: set B2_BACKUP_PASSPHRASE and leave the option out',
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

function plain(slot: KeyInfo) {
  return { ...slot, opens: slot.opens ?? null, prefix: slot.prefix ?? null };
}
