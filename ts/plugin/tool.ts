/** The agent's tool `b2_rollback`: its shape, and who carries each action out. */
import { BackupError, printableError } from '../errors.js';
import type { PluginApi, Tool, ToolContext, ToolResult } from './api.js';
import { briefs, formatBackup, formatList, formatProgress } from './format.js';
import { boundRemarks } from './record.js';
import { theBackup } from './rpc.js';
import { workspaceOf } from './settings.js';
import { type Call, diff, history, preview, readerOf, rollBack, status } from './tool-rollback.js';
import { ACTIONS, DESCRIPTION, PARAMETERS, type Parameters, result } from './tool-shape.js';

/** The name under which the manifest promises it. */
export const TOOL = 'b2_rollback';

/** Snapshots that a list shows unless told otherwise. */
const LISTED = 20;

/** Registers the tool for owners outside sandboxes; for all others there is none. */
export function registerTool(api: PluginApi, now: () => Date = () => new Date()): void {
  const create = (context: ToolContext): Tool | null =>
    context.senderIsOwner === true && context.sandboxed !== true
      ? createTool(now, context, workspaceOf(api, context))
      : null;
  api.registerTool?.(create, { name: TOOL, optional: true });
}

/** The tool itself, for those who ask from `context`. */
export function createTool(
  now: () => Date,
  { sessionKey, agentId }: ToolContext = {},
  workspace?: string,
): Tool {
  return {
    name: TOOL,
    label: 'Backups',
    description: DESCRIPTION,
    parameters: PARAMETERS,
    execute: async (_callId, given, signal, onUpdate) => {
      try {
        const call: Call = {
          backup: theBackup(),
          parameters: given as Parameters,
          now: now(),
          operation: {
            signal,
            onProgress: (event) => onUpdate?.(result(formatProgress(event), { progress: event })),
          },
          asker: { by: 'agent', sessionKey, agentId, workspace },
        };
        return await answer(call);
      } catch (error) {
        // The host knows its own reason to cut a call off.
        if (signal?.aborted === true && error === signal.reason) throw error;
        throw printableError(error);
      }
    },
  };
}

async function answer(call: Call): Promise<ToolResult> {
  const { backup, parameters, operation } = call;
  const reader = readerOf(call);
  switch (parameters.action) {
    case 'list': {
      const { snapshots, warnings: all } = await backup.list(operation);
      const limit = parameters.limit ?? LISTED;
      const warnings = backup.untold(all, call.asker.sessionKey);
      const how = { ...reader, here: backup.here, limit };
      const details = { total: snapshots.length, snapshots: briefs(snapshots, how) };
      return result(formatList({ snapshots, warnings: [...warnings] }, how), details);
    }
    case 'status':
      return status(call);
    case 'backup': {
      const { report, joined, inside } = await backup.push(operation);
      const part = joined ? ' (a backup was already running; this one is part of it)' : '';
      const note = inside === undefined ? part : `${part}\n${inside}`;
      const { skipped, ...rest } = report;
      return result(`${formatBackup(report, reader)}${note}`, { ...rest, ...boundRemarks(skipped) });
    }
    case 'diff':
      return diff(call);
    case 'history':
      return history(call);
    case 'preview':
      return preview(call);
    case 'restore':
    case 'undo':
      return rollBack(call);
    default:
      throw new BackupError(
        `b2_rollback: there is no action ${JSON.stringify(parameters.action)}; there are ${ACTIONS.join(', ')}`,
        { code: 'B2_USAGE' },
      );
  }
}
