/** The slash command `/b2` of chats. */
import { toBackupError } from '../errors.js';
import type { PluginApi } from './api.js';
import { theBackup } from './rpc.js';
import { tellList, tellPush, tellStatus } from './tell.js';

const HELP = `/b2 list - the newest snapshots
/b2 status - are backups working
/b2 backup - back up now`;

/** Snapshots shown in a chat. */
const LIMIT = 10;

/** Registers `/b2`. */
export function registerCommand(api: PluginApi, now: () => Date = () => new Date()): void {
  api.registerCommand?.({
    name: 'b2',
    description: 'Backups to B2: list, status, backup',
    acceptsArgs: true,
    requireAuth: true,
    requiredScopes: ['operator.admin'],
    handler: async ({ args = '' }) => {
      try {
        return { text: await answer(args.trim().toLowerCase(), now) };
      } catch (error) {
        const { message, code } = toBackupError(error);
        return { text: `${message} (${code})` };
      }
    },
  });
}

async function answer(args: string, now: () => Date): Promise<string> {
  if (!['', 'list', 'status', 'backup'].includes(args)) return HELP;
  const backup = theBackup();
  const { timeZone } = backup;
  switch (args) {
    case 'list':
      return tellList(await backup.list(), { now: now(), timeZone, limit: LIMIT });
    case 'backup':
      return tellPush((await backup.push()).report);
    default:
      return tellStatus(await backup.status({ bucket: true }), now(), timeZone);
  }
}
