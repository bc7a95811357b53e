/** All commands, and what is said of them together. */

import { adoptCommand } from './adopt.js';
import type { Described } from './command.js';
import { createProgram } from './command.js';
import { diffCommand } from './diff.js';
import { doctorCommand } from './doctor.js';
import { drillCommand } from './drill.js';
import { forgetCommand } from './forget.js';
import { historyCommand } from './history.js';
import { keyCommand } from './key.js';
import { listCommand } from './list.js';
import type { Cli } from './outcome.js';
import { pruneCommand } from './prune.js';
import { pushCommand } from './push.js';
import { restoreCommand } from './restore.js';
import { undoCommand } from './rollback.js';
import { setupCommand } from './setup.js';
import { showCommand } from './show.js';
import { statusCommand } from './status.js';
import { undeleteCommand } from './undelete.js';
import { undoUpdateCommand } from './undo-update.js';
import { verifyCommand } from './verify.js';

/** In the order in which help shows them. */
const COMMANDS: readonly ((cli: Cli) => void)[] = [
  setupCommand,
  pushCommand,
  listCommand,
  diffCommand,
  showCommand,
  historyCommand,
  restoreCommand,
  undoCommand,
  undoUpdateCommand,
  pruneCommand,
  verifyCommand,
  drillCommand,
  keyCommand,
  doctorCommand,
  undeleteCommand,
  statusCommand,
  adoptCommand,
  forgetCommand,
];

const AFTER = `
Settings are plugins.entries["b2-backup"].config in the configuration; "setup"
writes them. Outside OpenClaw these variables override them:
  B2_APPLICATION_KEY_ID  B2_APPLICATION_KEY  B2_BUCKET  B2_BACKUP_PASSPHRASE
  B2_REGION  B2_ENDPOINT  B2_PREFIX  B2_BACKUP_OLD_KEYS (former keys)
Exit status: 0 done, 1 failed, 2 usage, 3 done but for what is listed.`;

/** The whole command line. `print` gets help and `version`. */
export function createCommandLine(
  version: string,
  print: (text: string) => void,
  how: Omit<Cli, 'program'>,
): Described {
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
  for (const describe of COMMANDS) describe({ ...how, program });
  return program;
}
