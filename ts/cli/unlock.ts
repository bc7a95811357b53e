/** Recovery codes, asked for where nothing that is configured opens the backups. */
import { RECOVERY_CODE_VARIABLE } from '../config.js';
import { BackupError } from '../errors.js';
import type { Context, Outcome } from './outcome.js';

/** How often a code may be mistyped. */
const TRIES = 5;

/** Runs a command; where nothing opens and somebody can answer, asks for the recovery code and runs it once more. */
export async function unlocking(
  context: Context,
  run: (context: Context) => Promise<Outcome>,
): Promise<Outcome> {
  let first: Outcome | BackupError;
  try {
    first = await run(context);
    if (first.locked !== true) return first;
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'B2_WRONG_KEY') throw error;
    first = error;
  }
  const given = context.settings.recoveryCode;
  const code = given === undefined ? await askForCode(context, NOTHING_OPENS) : undefined;
  if (code !== undefined) return run(withCode(context, code));
  if (first instanceof BackupError) throw first;
  return first;
}

const NOTHING_OPENS = [
  'Nothing that is configured here opens these backups: not the application key,',
  'and not B2_BACKUP_PASSPHRASE. Their recovery code opens them; press Enter to',
  'continue without one.',
];

/** The context with a recovery code. */
function withCode(context: Context, recoveryCode: string): Context {
  return { ...context, settings: { ...context.settings, recoveryCode } };
}

/** Asks until a code is typed as it was printed; undefined where nobody answers. @throws {BackupError} B2_RECOVERY_CODE */
async function askForCode(
  { ask, say, engine }: Context,
  lines: readonly string[],
): Promise<string | undefined> {
  if (ask === undefined) return undefined;
  for (const line of lines) say(line);
  for (let tries = 1; ; tries += 1) {
    const typed = (await ask('Recovery code: ', { hidden: false }))?.trim();
    if (typed === undefined || typed === '') return undefined;
    try {
      await engine.checkRecoveryCode(typed);
      return typed;
    } catch (error) {
      const mistyped = error instanceof BackupError && error.code === 'B2_RECOVERY_CODE';
      if (!mistyped || tries === TRIES) throw error;
      say(`${error.message}; please type it again.`);
    }
  }
}

/** The context with a code that is asked for now, or was given. @throws {BackupError} B2_USAGE */
export async function unlocked(context: Context): Promise<Context> {
  if (context.settings.recoveryCode !== undefined) return context;
  const code = await askForCode(context, ['The recovery code of the backups that do not open here yet.']);
  if (code !== undefined) return withCode(context, code);
  throw new BackupError(`--unlock needs a recovery code: type it, or set ${RECOVERY_CODE_VARIABLE}`, {
    code: 'B2_USAGE',
  });
}
