/** From `argv` to a command. Knows the shape of the command line, not what the commands do. */
import { parseArgs } from 'node:util';
import { LIVE } from '../engine.js';
import { BackupError } from '../errors.js';
import type { Agreed, Command, GlobalOptions, Invocation, Topic } from './command.js';
import { instant } from './instant.js';
import { SETUP_NAMES, SETUP_OPTIONS, setupOptions } from './setup-options.js';

const OPTIONS = {
  'state-dir': { type: 'string' },
  config: { type: 'string' },
  'moved-from': { type: 'string' },
  json: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
  'dry-run': { type: 'boolean' },
  list: { type: 'boolean' },
  to: { type: 'string' },
  path: { type: 'string', multiple: true },
  'allow-unauthenticated': { type: 'boolean' },
  'more-than-half': { type: 'boolean' },
  'read-data': { type: 'boolean' },
  text: { type: 'boolean' },
  exact: { type: 'boolean' },
  partial: { type: 'boolean' },
  resume: { type: 'boolean' },
  discard: { type: 'boolean' },
  yes: { type: 'boolean', short: 'y' },
  plan: { type: 'string' },
  machine: { type: 'string' },
  sample: { type: 'string' },
  'application-key': { type: 'boolean' },
  passphrase: { type: 'boolean' },
  unlock: { type: 'boolean' },
  force: { type: 'boolean' },
  'show-code': { type: 'boolean' },
  'as-of': { type: 'string' },
  since: { type: 'string' },
  keys: { type: 'boolean' },
  write: { type: 'boolean' },
  'new-bucket': { type: 'boolean' },
  boot: { type: 'boolean' },
  'accept-missing': { type: 'string', multiple: true },
  ...SETUP_OPTIONS,
} as const;

type OptionName = keyof typeof OPTIONS;

const EVERYWHERE: readonly OptionName[] = [
  'state-dir',
  'config',
  'moved-from',
  'json',
  'quiet',
  'help',
  'version',
];

const OWN: Readonly<Record<Topic, readonly OptionName[]>> = {
  setup: [...SETUP_NAMES, 'yes', 'show-code'],
  push: ['dry-run', 'list', 'new-bucket', 'accept-missing'],
  list: ['machine', 'as-of'],
  diff: ['path', 'text', 'as-of', 'allow-unauthenticated'],
  show: ['as-of', 'allow-unauthenticated'],
  history: ['text', 'as-of', 'allow-unauthenticated'],
  restore: [
    'to',
    'path',
    'exact',
    'partial',
    'dry-run',
    'yes',
    'plan',
    'resume',
    'discard',
    'as-of',
    'allow-unauthenticated',
  ],
  undo: ['dry-run', 'yes', 'plan'],
  'undo-update': ['to', 'dry-run', 'yes'],
  prune: ['dry-run', 'more-than-half'],
  verify: ['read-data', 'sample', 'as-of'],
  drill: ['boot'],
  key: ['application-key', 'passphrase', 'unlock', 'force', 'yes', 'show-code'],
  doctor: ['write'],
  undelete: ['since', 'keys', 'dry-run', 'yes'],
  forget: ['dry-run', 'yes'],
  status: [],
  adopt: ['yes'],
};

/** What `key` does, and which options each takes. */
const KEY_OWN: Readonly<Record<string, readonly OptionName[]>> = {
  list: [],
  add: ['application-key', 'passphrase', 'unlock'],
  remove: ['force', 'yes'],
  recovery: ['show-code'],
};

/** How many words a command takes besides its options; none unless named. */
const POSITIONALS: Partial<Readonly<Record<Topic, number>>> = {
  diff: 2,
  show: 2,
  history: 1,
  restore: 1,
  key: 2,
  adopt: 1,
  forget: 1,
  undelete: Number.POSITIVE_INFINITY,
};

/** The commands, in the order in which help shows them. */
export const TOPICS = Object.keys(OWN) as readonly Topic[];

/** Whether the output is to be JSON, also when the rest of the command line makes no sense. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

/** @throws {BackupError} B2_USAGE */
export function parse(argv: readonly string[]): Invocation {
  const { values, positionals } = parseOptions(argv);
  const global: GlobalOptions = {
    stateDir: nonEmpty(values, 'state-dir'),
    config: nonEmpty(values, 'config'),
    movedFrom: nonEmpty(values, 'moved-from'),
    json: values.json === true,
    quiet: values.quiet === true,
  };
  if (values.version === true) return { command: { name: 'version' }, global };
  const [name, ...rest] = positionals;
  if (name === undefined || name === 'help') {
    return { command: { name: 'help', topic: rest[0] === undefined ? undefined : topic(rest[0]) }, global };
  }
  const command = topic(name);
  if (values.help === true) return { command: { name: 'help', topic: command }, global };
  for (const option of Object.keys(values) as OptionName[]) {
    if (!EVERYWHERE.includes(option) && !OWN[command].includes(option)) {
      throw usage(`${command} has no option --${option}`, command);
    }
  }
  return { command: commandOf(command, values, rest), global };
}

type Values = ReturnType<typeof parseOptions>['values'];

function parseOptions(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    if (error instanceof TypeError) throw usage(firstSentence(error.message), undefined);
    throw error;
  }
}

function commandOf(name: Topic, values: Values, rest: readonly string[]): Command {
  const surplus = rest[POSITIONALS[name] ?? 0];
  if (surplus !== undefined) throw usage(`${name} does not take "${surplus}"`, name);
  switch (name) {
    case 'setup':
      return { name, ...setupOptions(values), yes: values.yes === true };
    case 'push': {
      const dryRun = values['dry-run'] === true;
      if (values.list === true && !dryRun) throw usage('--list goes with --dry-run', name);
      const newBucket = values['new-bucket'] === true;
      if (newBucket && dryRun) throw usage('--new-bucket does not go with --dry-run', name);
      const acceptMissing = values['accept-missing'] ?? [];
      if (acceptMissing.includes('')) throw usage('--accept-missing needs a path', name);
      if (acceptMissing.length > 0 && dryRun) {
        throw usage('--accept-missing does not go with --dry-run', name);
      }
      return { name, dryRun, list: values.list === true, newBucket, acceptMissing };
    }
    case 'restore':
      return restoreOf(values, rest[0]);
    case 'undo-update':
      return { name, to: nonEmpty(values, 'to'), ...agreedOf(values) };
    case 'undo':
      return { name, ...agreedOf(values) };
    case 'diff': {
      const [from, to = LIVE] = rest;
      if (from === undefined || from === '' || to === '') {
        throw usage('diff needs a snapshot: its name from b2-backup list, or latest', name);
      }
      if (from === LIVE) throw usage('diff takes the snapshot first: b2-backup diff SNAPSHOT', name);
      return {
        name,
        from,
        to,
        paths: pathsOf(values, name),
        text: values.text === true,
        asOf: moment(values, 'as-of', name),
        allowUnauthenticated: values['allow-unauthenticated'] === true,
      };
    }
    case 'show': {
      const [snapshot, path] = rest;
      if (snapshot === undefined || snapshot === '' || path === '') {
        throw usage('show needs a snapshot: its name from b2-backup list, or latest', name);
      }
      const allowUnauthenticated = values['allow-unauthenticated'] === true;
      return { name, snapshot, path, asOf: moment(values, 'as-of', name), allowUnauthenticated };
    }
    case 'history': {
      const [path] = rest;
      if (path === undefined || path === '') {
        throw usage('history needs a file, such as workspace/MEMORY.md', name);
      }
      const allowUnauthenticated = values['allow-unauthenticated'] === true;
      const asOf = moment(values, 'as-of', name);
      return { name, path, text: values.text === true, asOf, allowUnauthenticated };
    }
    case 'forget': {
      const machine = rest[0];
      if (machine === undefined || machine === '') {
        throw usage('forget needs a machine: its id from b2-backup status', name);
      }
      return { name, machine, dryRun: values['dry-run'] === true, yes: values.yes === true };
    }
    case 'prune':
      return {
        name,
        dryRun: values['dry-run'] === true,
        moreThanHalf: values['more-than-half'] === true,
      };
    case 'verify':
      return verifyOf(values);
    case 'drill':
      return { name, boot: values.boot === true };
    case 'adopt': {
      const machine = rest[0];
      if (machine === undefined || machine === '') {
        throw usage('adopt needs a machine: its id from b2-backup list', name);
      }
      return { name, machine, yes: values.yes === true };
    }
    case 'key':
      return keyOf(values, rest);
    case 'doctor':
      return { name, write: values.write === true };
    case 'undelete':
      if (rest.includes('')) throw usage('undelete takes names of snapshots', name);
      return {
        name,
        snapshots: rest,
        since: moment(values, 'since', name),
        keys: values.keys === true,
        dryRun: values['dry-run'] === true,
        yes: values.yes === true,
      };
    case 'list':
      return { name, machine: nonEmpty(values, 'machine'), asOf: moment(values, 'as-of', name) };
    case 'status':
      return { name };
  }
}

/** Options that only make sense over the live state. */
const LIVE_ONLY = ['exact', 'partial', 'dry-run', 'yes', 'plan'] as const;

/** Whether it is only shown, done without asking, or done where it is what was shown before. */
function agreedOf({ 'dry-run': dryRun = false, yes = false, plan }: Values): Agreed {
  return { dryRun, yes, ...(plan === undefined ? {} : { plan }) };
}

function restoreOf(values: Values, snapshot: string | undefined): Command {
  const name = 'restore';
  for (const alone of ['resume', 'discard'] as const) {
    if (values[alone] !== true) continue;
    const others = Object.keys(values).filter((option) => option !== alone);
    if (snapshot !== undefined || others.some((option) => !EVERYWHERE.includes(option as OptionName))) {
      throw usage(`--${alone} stands alone`, name);
    }
    return { name: alone };
  }
  if (snapshot === undefined || snapshot === '') {
    throw usage('restore needs a snapshot: its name from b2-backup list, or latest', name);
  }
  const paths = pathsOf(values, name);
  const allowUnauthenticated = values['allow-unauthenticated'] === true;
  const to = nonEmpty(values, 'to');
  const asOf = moment(values, 'as-of', name);
  if (to === undefined) {
    if (asOf !== undefined) {
      throw usage(
        '--as-of goes with --to; for the live state, bring snapshots back with undelete first',
        name,
      );
    }
    return {
      name: 'rollback',
      snapshot,
      paths,
      exact: values.exact === true,
      partial: values.partial === true,
      ...agreedOf(values),
      allowUnauthenticated,
    };
  }
  const misplaced = LIVE_ONLY.find((option) => values[option] !== undefined);
  if (misplaced !== undefined) throw usage(`--${misplaced} does not go with --to`, name);
  return { name, snapshot, to, paths, asOf, allowUnauthenticated };
}

function verifyOf(values: Values): Command {
  const name = 'verify';
  const readData = values['read-data'] === true;
  const asOf = moment(values, 'as-of', name);
  const given = values.sample;
  if (given === undefined) return { name, readData, sample: undefined, asOf };
  if (asOf !== undefined) throw usage('--sample is about what is there now, and --as-of is not', name);
  if (readData) throw usage('--sample reads a part and --read-data everything: say one of them', name);
  const sample = /^(\d{1,3})%?$/.exec(given)?.[1];
  const percent = Number(sample);
  if (sample === undefined || percent < 1 || percent > 100) {
    throw usage('--sample takes a percentage from 1% to 100%, such as 5%', name);
  }
  return { name, readData, sample: percent, asOf };
}

function keyOf(values: Values, [what = '', slot]: readonly string[]): Command {
  const name = 'key';
  const own = KEY_OWN[what];
  if (own === undefined) throw usage('key needs one of list, add, remove and recovery', name);
  // Not repeated: it may be a secret, typed where none belongs.
  if (slot !== undefined && what !== 'remove') throw usage(`key ${what} takes nothing more`, name);
  const misplaced = OWN[name].find((option) => values[option] === true && !own.includes(option));
  if (misplaced !== undefined) throw usage(`key ${what} has no option --${misplaced}`, name);
  switch (what) {
    case 'add': {
      const asked = values.passphrase === true;
      if (asked && values['application-key'] === true) {
        throw usage('--passphrase and --application-key are two different keys', name);
      }
      return {
        name: 'keyAdd',
        what: asked ? 'passphrase' : values['application-key'] === true ? 'application-key' : 'configured',
        unlock: values.unlock === true,
      };
    }
    case 'remove':
      if (slot === undefined) throw usage('key remove needs a slot: its id from b2-backup key list', name);
      return { name: 'keyRemove', slot, force: values.force === true, yes: values.yes === true };
    case 'recovery': {
      const showCode = values['show-code'] === true;
      if (values.json === true && !showCode) {
        throw usage('--json would write the code into a log; add --show-code where that is wanted', name);
      }
      return { name: 'keyRecovery', showCode };
    }
    default:
      return { name: 'keyList' };
  }
}

function pathsOf(values: Values, name: Topic): readonly string[] {
  const paths = values.path ?? [];
  if (paths.includes('')) throw usage('--path needs a value', name);
  return paths;
}

function moment(values: Values, option: 'as-of' | 'since', name: Topic): string | undefined {
  const value = values[option];
  if (value === undefined) return undefined;
  const at = instant(value);
  if (at === undefined) {
    throw usage(`--${option} needs a time such as 2026-11-23 or "2026-11-23 14:05", not "${value}"`, name);
  }
  return at.toISOString();
}

function nonEmpty(
  values: Values,
  option: 'state-dir' | 'config' | 'to' | 'machine' | 'moved-from',
): string | undefined {
  const value = values[option];
  if (value === '') throw usage(`--${option} needs a value`, undefined);
  return value;
}

function topic(name: string): Topic {
  const found = TOPICS.find((known) => known === name);
  if (found === undefined) throw usage(`there is no command "${name}"`, undefined);
  return found;
}

/** Node explains at length; its first sentence says what is wrong. */
function firstSentence(message: string): string {
  const sentence = message.split(/\.\s|\n/, 1)[0] ?? message;
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, '');
}

function usage(message: string, about: Topic | undefined): BackupError {
  const help = about === undefined ? 'b2-backup help' : `b2-backup help ${about}`;
  return new BackupError(`${message}; see ${help}`, { code: 'B2_USAGE' });
}
