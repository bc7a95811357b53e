/** The slash command `/b2` of chats. */
import { BackupError, toBackupError } from '../errors.js';
import { printableText } from '../text.js';
import type { CommandContext, PluginApi } from './api.js';
import type { Backup } from './backup.js';
import type { Asker } from './rollback.js';
import { theBackup } from './rpc.js';
import { workspaceOf } from './settings.js';
import { tellList, tellPush, tellStatus } from './tell.js';
import { tellPlan, tellRollback } from './tell-rollback.js';
import { type Call, history, makePlan, planText } from './tool-rollback.js';
import type { Parameters } from './tool-shape.js';

const HELP = `/b2 list - the newest snapshots
/b2 status - are backups working
/b2 backup - back up now
/b2 history FILE - the versions of a file, as workspace/MEMORY.md
/b2 restore WHEN [--path FILE] [--exact] - show what rolling back would do, as /b2 restore yesterday
/b2 undo - show what undoing the last rollback would do
/b2 confirm PLAN - do what was shown`;

/** Snapshots and versions shown in a chat. */
const LIMIT = 10;
/** Paths of a plan shown in a chat. */
const PLAN_LIMIT = 30;
/** Paths of a plan that are repeated when it was confirmed. */
const SUMMARY_LIMIT = 5;
/** So much of a plan's hash is typed to confirm it. */
const TYPED = 8;

/** Registers `/b2`. The host lets only its operators give it: nothing else stands between it and a rollback. */
export function registerCommand(api: PluginApi, now: () => Date = () => new Date()): void {
  api.registerCommand?.({
    name: 'b2',
    description: 'Backups to B2: list, status, backup, history, restore, undo',
    acceptsArgs: true,
    requireAuth: true,
    requiredScopes: ['operator.admin'],
    handler: async (context) => {
      try {
        return { text: printableText(await answer(context, askerOf(api, context), now())) };
      } catch (error) {
        const { message, code } = toBackupError(error);
        return { text: printableText(`${message} (${code})`) };
      }
    },
  });
}

/** Who gives the command. Somebody else in the same chat is another one. */
function askerOf(api: PluginApi, context: CommandContext): Asker {
  const { sessionKey, agentId, channel, accountId, senderId } = context;
  const sender = JSON.stringify([channel, accountId, senderId]);
  return { by: 'person', sessionKey, agentId, workspace: workspaceOf(api, context), sender };
}

async function answer(context: CommandContext, asker: Asker, now: Date): Promise<string> {
  const [name = 'status', ...rest] = (context.args ?? '').trim().split(/\s+/).filter(Boolean);
  const backup = theBackup();
  const { timeZone } = backup;
  const alone = rest.length === 0;
  switch (name.toLowerCase()) {
    case 'status':
      if (!alone) break;
      return tellStatus(await backup.status({ bucket: true }), now, timeZone);
    case 'list':
      if (!alone) break;
      return tellList(await backup.list(), { now, timeZone, limit: LIMIT });
    case 'backup':
      if (!alone) break;
      return pushed(await backup.push());
    case 'history':
      if (alone) break;
      return asText(await history(callOf(backup, asker, now, { paths: [rest.join(' ')], limit: LIMIT })));
    case 'restore':
      if (alone) break;
      return plan(backup, asker, now, restoreOf(rest));
    case 'undo':
      if (!alone) break;
      return plan(backup, asker, now, { undo: true });
    case 'confirm':
      if (rest.length !== 1) break;
      return confirm(backup, rest[0] ?? '', asker, context);
  }
  return HELP;
}

function pushed({ report, inside }: Awaited<ReturnType<Backup['push']>>): string {
  return [tellPush(report), ...(inside === undefined ? [] : [inside])].join('\n');
}

/** `yesterday --path workspace/MEMORY.md --exact`. Phones like to make one long dash of two. */
function restoreOf(words: readonly string[]): Partial<Parameters> {
  const when: string[] = [];
  const paths: string[] = [];
  let exact = false;
  let takesPath = false;
  for (const word of words) {
    const option = /^(?:--|—|–)(.+)$/.exec(word)?.[1];
    if (takesPath) {
      paths.push(word);
      takesPath = false;
    } else if (option === 'path') takesPath = true;
    else if (option === 'exact') exact = true;
    else if (option === undefined) when.push(word);
    else throw wrong(`there is no option ${word}`);
  }
  if (takesPath) throw wrong('--path needs a file, such as workspace/MEMORY.md');
  if (when.length === 0)
    throw wrong('which snapshot? As "/b2 restore yesterday", or with a name of /b2 list');
  return {
    snapshot: when.join(' '),
    ...(exact ? { exact } : {}),
    ...(paths.length === 0 ? {} : { paths }),
  };
}

async function plan(
  backup: Backup,
  asker: Asker,
  now: Date,
  parameters: Partial<Parameters>,
): Promise<string> {
  const made = await makePlan(callOf(backup, asker, now, { ...parameters, limit: PLAN_LIMIT }));
  if ('asks' in made) return asText(made.asks);
  const { text, changes } = await planText(made);
  return changes ? `${text}\nTo do it: /b2 confirm ${made.plan.hash.slice(0, TYPED)}` : text;
}

async function confirm(
  backup: Backup,
  typed: string,
  asker: Asker,
  context: CommandContext,
): Promise<string> {
  if (!isOwner(context)) {
    throw new BackupError(
      'only the owner of this OpenClaw can confirm a rollback here; in a shell it is "openclaw b2-backup restore"',
      { code: 'B2_NOT_APPROVED' },
    );
  }
  const start = typed.toLowerCase();
  const planned = start.length < TYPED ? undefined : backup.rollbacks.startingWith(start, asker);
  if (planned === undefined) {
    throw new BackupError(`you were shown no plan ${typed} here; begin with /b2 restore or /b2 undo`, {
      code: 'B2_PLAN_CHANGED',
    });
  }
  context.assertOwnerCurrent?.();
  const report = await backup.rollbacks.carryOut(planned.plan.hash, asker);
  return `${tellRollback(report)}\n\nWhat you confirmed:\n${tellPlan(planned.plan, { limit: SUMMARY_LIMIT })}`;
}

/** Whether the host says that the sender is the owner, or a client with all rights. What it does not say is not so. */
function isOwner({ senderIsOwner, gatewayClientScopes }: CommandContext): boolean {
  return senderIsOwner ?? gatewayClientScopes?.includes('operator.admin') ?? false;
}

function callOf(backup: Backup, asker: Asker, now: Date, parameters: Partial<Parameters>): Call {
  return { backup, parameters: { action: 'preview', ...parameters }, now, operation: {}, asker };
}

function asText({ content }: { content: readonly { text: string }[] }): string {
  return content.map(({ text }) => text).join('\n');
}

function wrong(message: string): BackupError {
  return new BackupError(message, { code: 'B2_USAGE' });
}
