/** Where the secrets are kept: in openclaw.json, or elsewhere with a reference to them in it. */
import { rmSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Edit } from './json5-edit.js';
import { checkOutside } from './place.js';
import { ENTRY, PROVIDER, readOf, writeWhole } from './save.js';
import { misfit, type PlaceFields, type SetupOptions, type SetupWorld } from './world.js';

/** Where secrets are kept: `config`, `env`, or a file by its path. */
export type Keeping = 'config' | 'env' | { readonly file: string };

/** A variable and its value, where the user does not have that anyway. */
export type Variable = readonly [name: string, value: string | undefined];

/** What is written into openclaw.json, and what has to be done besides. */
export interface Kept {
  readonly edits: readonly Edit[];
  /** Variables that the user has to set where the gateway starts, with the values that were made here. */
  readonly variables: readonly Variable[];
  /** Writes the file of secrets, if there is to be one, and says how that is taken back. */
  readonly write: () => () => void;
}

/** The variables that references name. Outside OpenClaw the command reads the same ones by itself. */
const VARIABLES = { applicationKey: 'B2_APPLICATION_KEY', passphrase: 'B2_BACKUP_PASSPHRASE' } as const;

/** A setting that holds one. */
export type Secret = keyof typeof VARIABLES;

/** Asks where secrets go. @throws {BackupError} B2_CONFIG */
export async function chooseKeeping(
  { prompts, stateDir, config }: SetupWorld,
  { secretRefs }: SetupOptions,
): Promise<Keeping> {
  const choice =
    secretRefs ??
    (await prompts?.choose('Where are the key and the passphrase kept?', [
      { value: 'config', label: config.path, hint: 'only this user can read it' },
      { value: 'env', label: 'In the environment', hint: 'you set two variables for the gateway' },
      { value: 'file', label: 'In a file of their own', hint: 'with a secret reference to it' },
    ])) ??
    'config';
  if (choice === 'config' || choice === 'env') return choice;
  const file = choice === 'file' ? ((await prompts?.text('Which file? (its full path)')) ?? '') : choice;
  if (!isAbsolute(file)) throw misfit('the file for secrets is written with its full path');
  checkOutside(file, stateDir);
  return { file };
}

/** What to write where. `made` are the secrets that nobody but this program has seen. */
export function keepSecrets(
  fields: PlaceFields & { passphrase?: string | undefined },
  keeping: Keeping,
  made: readonly (Secret | false)[],
): Kept {
  const config = [...ENTRY, 'config'];
  const plain = (['bucket', 'endpoint', 'region', 'prefix', 'keyId'] as const).map((field) => ({
    path: [...config, field],
    value: fields[field],
  }));
  const secrets = (Object.keys(VARIABLES) as Secret[]).map((field) => ({
    path: [...config, field],
    value: fields[field] === undefined ? undefined : referred(field, fields[field], keeping),
  }));
  const provider =
    typeof keeping === 'object'
      ? [
          {
            path: ['secrets', 'providers', PROVIDER],
            value: { source: 'file', path: keeping.file, mode: 'json' },
          },
        ]
      : [];
  const given = (Object.keys(VARIABLES) as Secret[]).flatMap((field) =>
    fields[field] === undefined ? [] : [[field, fields[field]] as const],
  );
  return {
    edits: [{ path: [...ENTRY, 'enabled'], value: true }, ...plain, ...secrets, ...provider],
    variables:
      keeping === 'env'
        ? given.map(([field, value]) => [VARIABLES[field], made.includes(field) ? value : undefined] as const)
        : [],
    write: () =>
      typeof keeping === 'object' ? writeSecrets(keeping.file, Object.fromEntries(given)) : () => {},
  };
}

function referred(field: Secret, value: string, keeping: Keeping): unknown {
  if (keeping === 'config') return value;
  if (keeping === 'env') return { source: 'env', provider: 'default', id: VARIABLES[field] };
  return { source: 'file', provider: PROVIDER, id: `/${field}` };
}

/** Beside what else the file holds. @throws {BackupError} B2_CONFIG where it holds something else, B2_IO */
function writeSecrets(file: string, secrets: Readonly<Record<string, string>>): () => void {
  const before = readOf(file);
  let content: unknown = {};
  try {
    if (before.trim() !== '') content = JSON.parse(before);
  } catch {
    content = undefined;
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw misfit(`${file} is there and holds no JSON object: take another file for the secrets`);
  }
  writeWhole(file, `${JSON.stringify({ ...content, ...secrets }, null, 2)}\n`);
  return () => (before === '' ? rmSync(file, { force: true }) : writeWhole(file, before));
}
