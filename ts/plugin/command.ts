/** The slash command `/b2` of chats. */
import { BackupError, toBackupError } from '../errors.js';
import { planNumber } from '../plan-number.js';
import { printableText } from '../text.js';
import type { Button, CommandContext, CommandReply, PluginApi } from './api.js';
import type { Backup } from './backup.js';
import { HELP, SETUP } from './command-help.js';
import { restoreOf } from './command-words.js';
import { formatBackup, formatList, formatTrouble } from './format.js';
import { formatPlan, formatRollback } from './format-rollback.js';
import type { Asker } from './rollback.js';
import { theBackup } from './rpc.js';
import { workspaceOf } from './settings.js';
import { type Call, diff, history, makePlan, planText, readerOf, status } from './tool-rollback.js';
import type { Parameters } from './tool-shape.js';

/** Snapshots and versions shown in a chat. */
const LIMIT = 10;
/** Paths of a plan shown in a chat. */
const PLAN_LIMIT = 30;
/** Paths of a plan that are repeated when it was confirmed. */
const SUMMARY_LIMIT = 5;

/** An answer, and the buttons below it. */
interface Answer {
  readonly text: string;
  readonly buttons?: readonly Press[];
}

/** Registers `/b2`. The host lets only its operators give it: nothing else stands between it and a rollback. */
export function registerCommand(api: PluginApi, now: () => Date = () => new Date()): void {
  api.registerCommand?.({
    name: 'b2',
    description: 'Backups to B2: list, status, backup, diff, history, restore, undo, help',
    acceptsArgs: true,
    requireAuth: true,
    requiredScopes: ['operator.admin'],
    handler: async (context) => {
      try {
        return replyOf(await answer(context, askerOf(api, context), now()), context);
      } catch (error) {
        return { text: printableText(formatTrouble(toBackupError(error))) };
      }
    },
  });
}

function replyOf({ text, buttons = [] }: Answer, { channel }: CommandContext): CommandReply {
  const shown = printableText(text);
  if (buttons.length === 0) return { text: shown };
  const presentation = {
    blocks: [
      { type: 'text', text: shown },
      { type: 'buttons', buttons: buttons.map((one) => buttonIn(channel, one)) },
    ],
  } as const;
  return { text: shown, presentation, presentationTextMode: 'fallback' };
}

/** Who gives the command. Somebody else in the same chat is another one. */
function askerOf(api: PluginApi, context: CommandContext): Asker {
  const { sessionKey, agentId, channel, accountId, senderId } = context;
  const sender = JSON.stringify([channel, accountId, senderId]);
  return { by: 'person', sessionKey, agentId, workspace: workspaceOf(api, context), sender };
}

async function answer(context: CommandContext, asker: Asker, now: Date): Promise<Answer> {
  const [name = 'status', ...rest] = (context.args ?? '').trim().split(/\s+/).filter(Boolean);
  const verb = name.toLowerCase();
  if (verb === 'setup') return { text: SETUP };
  if (verb === 'help') return { text: HELP };
  const alone = rest.length === 0;
  const call = (parameters: Partial<Parameters>): Call => callOf(asker, now, parameters);
  switch (verb) {
    case 'status':
      if (alone) return howItStands(call({}));
      break;
    case 'list':
      if (alone) return list(theBackup(), asker, now);
      break;
    case 'backup':
      if (alone) return pushed(call({}));
      break;
    case 'diff':
      return textOf(await diff(call({ snapshot: 'latest', ...restoreOf(rest, 'diff'), limit: PLAN_LIMIT })));
    case 'history':
      if (!alone) return textOf(await history(call({ paths: [rest.join(' ')], limit: LIMIT })));
      break;
    case 'restore':
      if (!alone) return plan(call({ ...restoreOf(rest, 'restore'), limit: PLAN_LIMIT }));
      break;
    case 'undo':
      if (alone) return plan(call({ undo: true, limit: PLAN_LIMIT }));
      break;
    case 'confirm':
      if (rest.length === 1) return confirm(call({}), rest[0] ?? '', context);
      break;
  }
  return { text: HELP };
}

async function howItStands(call: Call): Promise<Answer> {
  const buttons = [button('Back up now', 'backup'), button('Show backups', 'list')];
  return { ...textOf(await status(call)), buttons };
}

async function list(backup: Backup, { sessionKey }: Asker, now: Date): Promise<Answer> {
  const { snapshots, warnings } = await backup.list();
  const fresh = [...backup.untold(warnings, sessionKey)];
  const { timeZone, here } = backup;
  return { text: formatList({ snapshots, warnings: fresh }, { now, timeZone, here, limit: LIMIT }) };
}

async function pushed(call: Call): Promise<Answer> {
  const { report, inside } = await call.backup.push();
  return {
    text: [formatBackup(report, readerOf(call)), ...(inside === undefined ? [] : [inside])].join('\n'),
  };
}

async function plan(call: Call): Promise<Answer> {
  const made = await makePlan(call);
  if ('asks' in made) return textOf(made.asks);
  const { text, changes } = await planText(made);
  if (!changes) return { text };
  const number = planNumber(made.plan.hash);
  return {
    text: `${text}\nTo do it: /b2 confirm ${number}`,
    buttons: [{ ...button('Do it', `confirm ${number}`), style: 'danger' }],
  };
}

async function confirm(call: Call, typed: string, context: CommandContext): Promise<Answer> {
  const { backup, asker } = call;
  if (!isOwner(context)) {
    throw new BackupError(
      'only the owner of this OpenClaw can confirm a rollback here; in a shell it is "openclaw b2-backup restore"',
      { code: 'B2_NOT_APPROVED' },
    );
  }
  const planned = backup.rollbacks.planned(typed.toLowerCase(), asker);
  if (planned === undefined) {
    throw new BackupError(`you were shown no plan ${typed} here; begin with /b2 restore or /b2 undo`, {
      code: 'B2_PLAN_CHANGED',
    });
  }
  context.assertOwnerCurrent?.();
  const report = await backup.rollbacks.carryOut(planned.plan.hash, asker);
  const undo = planned.options.undo === true;
  const reader = readerOf(call);
  const confirmed = formatPlan(planned.plan, { ...reader, undo, limit: SUMMARY_LIMIT });
  return {
    text: `${formatRollback(report, reader)}\n\nWhat you confirmed:\n${confirmed}`,
    ...(report.outcome === 'applied' ? { buttons: [button('Undo', 'undo')] } : {}),
  };
}

/** Whether the host says that the sender is the owner, or a client with all rights. What it does not say is not so. */
function isOwner({ senderIsOwner, gatewayClientScopes }: CommandContext): boolean {
  return senderIsOwner ?? gatewayClientScopes?.includes('operator.admin') ?? false;
}

function callOf(asker: Asker, now: Date, parameters: Partial<Parameters>): Call {
  return {
    backup: theBackup(),
    parameters: { action: 'preview', ...parameters },
    now,
    operation: {},
    asker,
  };
}

function textOf({ content }: { content: readonly { text: string }[] }): Answer {
  return { text: content.map(({ text }) => text).join('\n') };
}

/** What is written on a button, and what it types. */
interface Press {
  readonly label: string;
  readonly command: string;
  readonly style?: 'danger';
}

function button(label: string, args: string): Press {
  return { label, command: `/b2 ${args}` };
}

/**
 * The button as a channel needs it. Telegram's in OpenClaw 2026.9.6 gives a button with a command to the agent unless the
 * command is OpenClaw's own; what has the older form arrives as if it was typed. e2e/telegram.test.ts presses them.
 */
function buttonIn(channel: string | undefined, { command, ...shown }: Press): Button {
  if (channel === 'telegram') return { ...shown, value: command };
  return { ...shown, action: { type: 'command', command } };
}
