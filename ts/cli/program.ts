/** All commands, and what is said of them together. */

import type { Described } from './command.js';
import { createProgram } from './command.js';
import type { Cli } from './outcome.js';

/**
 * In the order in which help shows them. A module for each, read when it is called for: all of them, with what they stand on,
 * take as long as a push without changes.
 */
const COMMANDS: Readonly<Record<string, () => Promise<(cli: Cli) => void>>> = {
  setup: async () => (await import('./setup.js')).setupCommand,
  push: async () => (await import('./push.js')).pushCommand,
  list: async () => (await import('./list.js')).listCommand,
  diff: async () => (await import('./diff.js')).diffCommand,
  show: async () => (await import('./show.js')).showCommand,
  history: async () => (await import('./history.js')).historyCommand,
  restore: async () => (await import('./restore.js')).restoreCommand,
  undo: async () => (await import('./rollback.js')).undoCommand,
  'undo-update': async () => (await import('./undo-update.js')).undoUpdateCommand,
  prune: async () => (await import('./prune.js')).pruneCommand,
  verify: async () => (await import('./verify.js')).verifyCommand,
  drill: async () => (await import('./drill.js')).drillCommand,
  key: async () => (await import('./key.js')).keyCommand,
  doctor: async () => (await import('./doctor.js')).doctorCommand,
  undelete: async () => (await import('./undelete.js')).undeleteCommand,
  status: async () => (await import('./status.js')).statusCommand,
  adopt: async () => (await import('./adopt.js')).adoptCommand,
  forget: async () => (await import('./forget.js')).forgetCommand,
};

const AFTER = `
Settings are plugins.entries["b2-backup"].config in the configuration; "setup"
writes them. Outside OpenClaw these variables override them:
  B2_APPLICATION_KEY_ID  B2_APPLICATION_KEY  B2_BUCKET  B2_BACKUP_PASSPHRASE
  B2_REGION  B2_ENDPOINT  B2_PREFIX  B2_BACKUP_OLD_KEYS (former keys)
Exit status: 0 done, 1 failed, 2 usage, 3 done but for what is listed.`;

/**
 * The command line as far as `argv` needs it: a command that comes first, else all of them. `print` gets help and `version`.
 */
export async function createCommandLine(
  argv: readonly string[],
  version: string,
  print: (text: string) => void,
  how: Omit<Cli, 'program'>,
): Promise<Described> {
  const program: Described = createProgram('b2-backup', print)
    .description('Backs OpenClaw up to Backblaze B2, S3 or a folder, and brings it back.')
    .usage('COMMAND [options]')
    .helpCommand('help [command]', 'explain a command, with examples')
    .option('--state-dir <dir>', 'the state; else OPENCLAW_STATE_DIR, then ~/.openclaw')
    .option('--config <file>', 'the configuration; else openclaw.json in the state')
    .option('--moved-from <prefix>', 'also open what you moved from this prefix: "help key"')
    .option('--json', 'print one JSON document and nothing else')
    .option('-q, --quiet', 'print only problems, and what was asked for')
    .version(version, '-V, --version', 'print the version')
    .addHelpText('after', AFTER);
  const called = argv.slice(0, 1).filter((word) => Object.hasOwn(COMMANDS, word));
  const modules = called.length === 0 ? Object.keys(COMMANDS) : called;
  for (const describe of await Promise.all(modules.map((name) => COMMANDS[name]?.()))) {
    describe?.({ ...how, program });
  }
  return program;
}
