/** A set-up from the first question to the proof. Nothing is configured before all of it went well. */
import type { DrillReport, PushReport, Settings } from '../../index.js';
import { checkSettings } from '../config.js';
import { BackupError } from '../errors.js';
import { checkPolicy } from '../policy.js';
import { printable } from '../text.js';
import type { AtB2 } from './b2-place.js';
import { edited } from './json5-edit.js';
import { chooseKeeping, keepSecrets, type Variable } from './keep-secrets.js';
import {
  chooseEncryption,
  type Encryption,
  tryOut,
  willMakePassphrase,
  withPassphrase,
} from './passphrase.js';
import { choosePlace, type Place } from './place.js';
import { confirmCode, withoutCode } from './recovery.js';
import { checkWritable, ENTRY, readOf } from './save.js';
import { Made, type PlaceFields, type SetupOptions, type SetupWorld } from './world.js';

/** How long a push waits for another one, in milliseconds: longer than most take. */
const WAIT_MS = 600_000;

/** What a set-up ends with, if all of it is so. */
export const PROVEN = 'Proven: your backup restores.';

/** What was set up. */
export interface SetupReport {
  readonly kind: Place['kind'];
  readonly fields: PlaceFields;
  readonly atB2: AtB2 | undefined;
  readonly encryption: Encryption;
  /** Not set where only settings were written. */
  readonly push: PushReport | undefined;
  readonly drill: DrillReport | undefined;
  /** Set where one was made. */
  readonly recoveryCode: string | undefined;
  /** Takes the recovery code back, for where nobody saw it; says what came of it. */
  readonly unseen: (() => Promise<string[]>) | undefined;
  /** Variables that the user has to set for the gateway. */
  readonly variables: readonly Variable[];
  readonly configPath: string;
  readonly warnings: readonly string[];
}

/**
 * Sets backups up. If it does not come to its end, no setting is changed, and what was made at Backblaze is taken back.
 *
 * @throws {BackupError} with a message that says what to do
 */
export async function setUp(world: SetupWorld, options: SetupOptions): Promise<SetupReport> {
  const made = new Made();
  try {
    checkWritable(world.env);
    const before = await configured(world, options);
    if (willMakePassphrase(world, options) && !options.showCode) throw unseen();
    world.prompts?.intro('Set up backups of OpenClaw');
    const place = await choosePlace(world, options, made);
    const settings = settingsOf(world, before, place);
    const encryption = await chooseEncryption(world, options, settings, passphraseOf(before));
    const { passphrase } = encryption;
    const whole = withPassphrase(settings, passphrase);
    if (encryption.existing) await tryOut(world, whole);
    const push = encryption.existing ? await joins(world, options, whole) : options.push;
    const keeping = await chooseKeeping(world, options);
    const fresh = [
      place.atB2?.keyMade === true && 'applicationKey',
      encryption.made && 'passphrase',
    ] as const;
    const kept = keepSecrets({ ...place.fields, passphrase }, keeping, fresh);
    const done = push ? await prove(world, options, whole) : undefined;
    world.operation.signal?.throwIfAborted();
    const unwrite = kept.write();
    made.add('a file of secrets', async () => unwrite());
    await world.save(world.config.path, [...kept.edits, ...corrections(before)]);
    made.keep();
    return {
      kind: place.kind,
      fields: place.fields,
      atB2: place.atB2,
      encryption,
      push: done?.push,
      drill: done?.drill,
      recoveryCode: done?.code?.text,
      unseen: done?.code?.unseen,
      variables: kept.variables,
      configPath: world.config.path,
      warnings: [...place.warnings, ...(done?.warnings ?? [])],
    };
  } catch (error) {
    throw await made.takeBack(error);
  }
}

/** The plugin's settings as they are. @throws {BackupError} B2_CONFIG, B2_USAGE where they are not to be replaced */
async function configured(
  { engine, config, prompts }: SetupWorld,
  { replace }: SetupOptions,
): Promise<Record<string, unknown>> {
  const read = config.exists ? await engine.readHostConfig(config.path) : { config: null, warning: null };
  // A file that is half understood, or has something else in our place, is not written to. Better said now than at the end.
  if (read.warning !== null) throw new BackupError(read.warning, { code: 'B2_CONFIG' });
  if (config.exists) edited(readOf(config.path), [{ path: [...ENTRY, 'enabled'], value: true }]);
  const before = (read.config ?? {}) as Record<string, unknown>;
  // These stay as they are, and with a wrong one the gateway would back up nothing.
  checkPolicy(before);
  const bucket = before['bucket'];
  if (typeof bucket !== 'string' || bucket === '' || replace) return before;
  const question = `Backups go to ${printable(bucket)} already. Set them up anew?`;
  if (await prompts?.yes(question, false)) return before;
  throw new BackupError(
    `backups go to ${printable(bucket)} already; nothing was changed. --replace sets them up anew`,
    {
      code: prompts === undefined ? 'B2_USAGE' : 'B2_CANCELLED',
    },
  );
}

function unseen(): BackupError {
  return new BackupError(
    'a passphrase would be made, and --json does not show it: put one into the file of --secrets, add --show-code, ' +
      'or take --no-passphrase',
    { code: 'B2_USAGE' },
  );
}

/** What goes into openclaw.json beside the new settings: what of the old ones would be in their way. */
function corrections(before: Readonly<Record<string, unknown>>): { path: string[]; value: undefined }[] {
  return before['encrypt'] === false ? [{ path: [...ENTRY, 'config', 'encrypt'], value: undefined }] : [];
}

/** The settings to work with: those that are there, with the new ones. @throws {BackupError} B2_CONFIG */
function settingsOf(
  { stateDir, config, threads }: SetupWorld,
  before: Readonly<Record<string, unknown>>,
  { fields, atB2 }: Place,
): Settings {
  const old = { ...before };
  for (const field of ['keyId', 'applicationKey', 'endpoint', 'region', 'prefix', 'passphrase', 'encrypt']) {
    delete old[field];
  }
  const place = { stateDir, config, env: {}, inOpenClaw: true, secretOptional: true };
  // What was made with the key of before opens with it, and gets a slot for the new one at the first push.
  const oldKeys = [before['applicationKey'], atB2?.givenKey].filter(
    (key): key is string => typeof key === 'string' && key !== fields.applicationKey,
  );
  return { ...checkSettings({ ...old, ...fields }, place).settings, threads, oldKeys };
}

/** The passphrase of the settings that are replaced: it opens what is there. */
function passphraseOf({ passphrase }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof passphrase === 'string' ? passphrase : undefined;
}

/** Whether to back up beside the backups of others. @throws {BackupError} B2_NEEDS_CHOICE */
async function joins(
  { engine, operation, prompts }: SetupWorld,
  { beside, push }: SetupOptions,
  settings: Settings,
): Promise<boolean> {
  if (!push || beside) return push;
  const { snapshots } = await engine.list(settings, operation);
  if (snapshots.length === 0 || snapshots.some(({ thisMachine }) => thisMachine)) return true;
  const newest = snapshots[0]?.createdAt ?? '';
  if (prompts === undefined) {
    throw new BackupError(
      `there are backups of another machine (the newest of ${newest}): --beside backs this one up beside them; ` +
        '--no-push only writes the settings, and a new machine then takes the newest snapshot at its next start',
      { code: 'B2_NEEDS_CHOICE' },
    );
  }
  const choice = await prompts.choose(`There are backups of another machine, the newest of ${newest}.`, [
    { value: 'beside', label: 'Back this machine up beside them' },
    {
      value: 'fetch',
      label: 'Bring them to this machine',
      hint: 'it is new: OpenClaw does so at its next start',
    },
  ]);
  return choice === 'beside';
}

/** What was done to prove it. */
interface Proven {
  readonly push: PushReport;
  readonly drill: DrillReport;
  /** The recovery code; with what takes it back, where it is only in the output. */
  readonly code?: { readonly text: string; readonly unseen: SetupReport['unseen'] };
  readonly warnings: string[];
}

/** Backs up, makes a trial restore and a recovery code. */
async function prove(
  { engine, operation, prompts, random }: SetupWorld,
  { recoveryCode, showCode }: SetupOptions,
  settings: Settings,
): Promise<Proven> {
  const push = await engine.push(settings, { reason: 'manual', waitMs: WAIT_MS }, operation);
  prompts?.done(push.incomplete ? 'Backed up, but for what is listed at the end.' : 'Backed up.');
  const drill = await engine.drill(settings, operation);
  if (drill.failed.length > 0) {
    const [first] = drill.failed;
    throw new BackupError(
      `the backup does not restore whole: ${drill.failed.length} files did not come back, such as ` +
        `${printable(first?.path ?? '')} (${printable(first?.message ?? '')}); no setting was changed`,
      { code: (first?.code ?? 'B2_DAMAGED') as BackupError['code'] },
    );
  }
  prompts?.done('Trial restore: every file came back and was compared.');
  const warnings = [...push.warnings, ...drill.warnings];
  if (!recoveryCode) return { push, drill, warnings };
  if (prompts === undefined && !showCode) {
    warnings.push('no recovery code was made, since nobody would see it: "b2-backup key recovery" makes one');
    return { push, drill, warnings };
  }
  const { code, slots } = await engine.newRecoveryCode(settings, { waitMs: WAIT_MS }, operation);
  if (prompts === undefined) {
    const unseen = () => withoutCode(engine, settings, slots, operation);
    return { push, drill, code: { text: code, unseen }, warnings };
  }
  await confirmCode(prompts, code, random);
  return { push, drill, code: { text: code, unseen: undefined }, warnings };
}
