/** What encrypts the backups: a passphrase that is made or typed, or the application key; or what opens those that are there. */
import type { Settings } from '../../index.js';
import { BackupError } from '../errors.js';
import { printable } from '../text.js';
import { EFF_WORDS } from './eff-words.js';
import { insist, type SetupOptions, type SetupWorld } from './world.js';

/** 77 bits: more than anybody can try, and still few enough to learn by heart. */
const WORDS = 6;

/** What encrypts. */
export interface Encryption {
  readonly passphrase: string | undefined;
  /** Whether it was made here, so that the user has to be told. */
  readonly made: boolean;
  /** Whether backups were there already. */
  readonly existing: boolean;
}

/** Six words of the list. `random` gives a whole number below its argument, each equally likely. */
function newPassphrase(random: (limit: number) => number): string {
  return Array.from({ length: WORDS }, () => EFF_WORDS[random(EFF_WORDS.length)]).join(' ');
}

/** Whether a passphrase has to be made, and shown: then the output has a secret in it. */
export function willMakePassphrase({ given, prompts }: SetupWorld, { passphrase }: SetupOptions): boolean {
  return prompts === undefined && passphrase && given.passphrase === undefined;
}

/**
 * Chooses what encrypts. `settings` are complete but for that. `former` is the passphrase of settings that are replaced.
 *
 * @throws {BackupError} B2_WRONG_KEY where backups are there that it does not open, and whatever keeps one from looking
 */
export async function chooseEncryption(
  world: SetupWorld,
  options: SetupOptions,
  settings: Settings,
  former: string | undefined,
): Promise<Encryption> {
  const { given } = world;
  for (const passphrase of new Set(
    given.passphrase === undefined ? [former, undefined] : [given.passphrase],
  )) {
    const found = await look(world, settings, passphrase);
    if (found === 'nothing') return chooseNew(world, options, settings);
    if (found === 'opens') return { passphrase, made: false, existing: true };
  }
  const passphrase = await insist(world, ['B2_WRONG_KEY'], () => openOthers(world, settings));
  return { passphrase, made: false, existing: true };
}

/**
 * The settings with a passphrase. Where there is one, no application key is trusted, nor one of before: who has it may
 * have put a repository there (docs/keys.md).
 */
export function withPassphrase(settings: Settings, passphrase: string | undefined): Settings {
  return passphrase === undefined ? settings : { ...settings, passphrase, oldKeys: [] };
}

/** Whether there are backups already, and whether they open. */
async function look(
  { engine, operation }: SetupWorld,
  settings: Settings,
  passphrase: string | undefined,
): Promise<'nothing' | 'opens' | 'locked'> {
  const tried = withPassphrase(settings, passphrase);
  const { slots } = await engine.keys(tried, operation);
  if (slots.length === 0) return 'nothing';
  const { snapshots } = await engine.list(tried, operation);
  const sealed = snapshots.filter(
    ({ problemCode, authenticated }) => problemCode !== undefined || authenticated,
  );
  return sealed.some(({ problemCode }) => problemCode !== 'B2_WRONG_KEY') ? 'opens' : 'locked';
}

async function openOthers(world: SetupWorld, settings: Settings): Promise<string> {
  const { prompts, given } = world;
  const where = `${printable(settings.bucket ?? '')}, below ${printable(settings.prefix ?? '')}/`;
  if (prompts === undefined) {
    const what =
      given.passphrase === undefined ? 'the application key does not open' : 'the passphrase does not open';
    throw new BackupError(
      `there are backups in ${where} already, which ${what}: put their passphrase into the file of --secrets, ` +
        'or take another --prefix to begin anew',
      { code: 'B2_WRONG_KEY' },
    );
  }
  prompts.note('There are backups already', [
    `In ${where}.`,
    'Their passphrase opens them. To begin anew beside them, press Ctrl-C and run',
    'setup with another --prefix.',
  ]);
  const passphrase = await prompts.secret('Their passphrase (it does not show)');
  if ((await look(world, settings, passphrase)) === 'opens') return passphrase;
  throw new BackupError('this passphrase does not open them', { code: 'B2_WRONG_KEY' });
}

async function chooseNew(world: SetupWorld, options: SetupOptions, settings: Settings): Promise<Encryption> {
  const { prompts, given, random } = world;
  const wanted = async (again: boolean): Promise<Omit<Encryption, 'existing'>> => {
    if (given.passphrase !== undefined && !again) return { passphrase: given.passphrase, made: false };
    if (!options.passphrase) return { passphrase: undefined, made: false };
    if (prompts === undefined) return { passphrase: newPassphrase(random), made: true };
    return ask(world, settings);
  };
  return insist(world, ['B2_WEAK_PASSPHRASE'], async (again) => {
    const chosen = await wanted(again);
    const { passphrase } = chosen;
    if (passphrase === undefined && settings.applicationKey === undefined) {
      throw new BackupError('a folder brings no key to encrypt with: it needs a passphrase', {
        code: 'B2_CONFIG',
      });
    }
    await tryOut(world, withPassphrase(settings, passphrase));
    return { ...chosen, existing: false };
  });
}

async function ask(
  { prompts, random }: SetupWorld,
  { applicationKey }: Settings,
): Promise<Omit<Encryption, 'existing'>> {
  if (prompts === undefined) throw new TypeError('nobody can be asked');
  const choice = await prompts.choose('What encrypts the backups?', [
    { value: 'words', label: 'Six random words', hint: 'recommended' },
    { value: 'own', label: 'A passphrase of my own' },
    ...(applicationKey === undefined
      ? []
      : [{ value: 'key' as const, label: 'The application key', hint: 'Backblaze knows it, too' }]),
  ]);
  if (choice === 'key') return { passphrase: undefined, made: false };
  if (choice === 'own') return { passphrase: await typedTwice(prompts), made: false };
  const passphrase = newPassphrase(random);
  prompts.note('Your passphrase', [
    passphrase,
    '',
    'Write it down, or put it into a password manager, away from this machine.',
    'Whoever has it and can read the bucket can read the backups.',
  ]);
  while (!(await prompts.yes('Is it stored away from this machine?', true))) {
    prompts.problem('Store it now: without it, or the recovery code that follows, nobody opens the backups.');
  }
  return { passphrase, made: true };
}

async function typedTwice(prompts: NonNullable<SetupWorld['prompts']>): Promise<string> {
  for (;;) {
    const first = await prompts.secret('Passphrase (it does not show)');
    if ((await prompts.secret('Once more')) === first) return first;
    prompts.problem('The two are not the same.');
  }
}

/**
 * Looks at everything with these settings. A key for B2 was tried already; elsewhere a small object is written, read and
 * deleted. At B2 it would stay as a version, and a bucket that is to be taken back has to be empty.
 *
 * @throws {BackupError} what the first problem is
 */
export async function tryOut({ engine, operation }: SetupWorld, settings: Settings): Promise<void> {
  const write = settings.endpoint !== undefined || settings.bucket?.startsWith('file:') === true;
  const { findings } = await engine.doctor(settings, { write }, operation);
  const problem = findings.find(({ level }) => level === 'problem');
  if (problem === undefined) return;
  const advice = problem.advice === undefined ? '' : `: ${problem.advice}`;
  throw new BackupError(`${problem.message}${advice}`, {
    code: (problem.code ?? 'B2_INTERNAL') as BackupError['code'],
  });
}
