/** The agent's tool `b2_rollback`. */
import { BackupError } from '../errors.js';
import type { PluginApi, Tool, ToolContext, ToolResult } from './api.js';
import { theBackup } from './rpc.js';
import { tellList, tellProgress, tellPush, tellStatus } from './tell.js';

/** The name under which the manifest promises it. */
export const TOOL = 'b2_rollback';

const ACTIONS = ['list', 'status', 'backup', 'diff'] as const;

/** At first a model sees only the first 60 characters of a description. */
const PARAMETERS = {
  type: 'object',
  additionalProperties: false,
  required: ['action'],
  properties: {
    action: {
      type: 'string',
      enum: ACTIONS,
      description:
        'list: the snapshots; status: are backups working; backup: back up now; diff: what changed. ' +
        'list says for each snapshot when and why it was made, how big it is and which files changed most. ' +
        'diff compares a snapshot with the present, or with the snapshot in "with".',
    },
    snapshot: {
      type: 'string',
      description:
        'For diff: which snapshot, by id or in words such as "yesterday". ' +
        'Also "latest", "from before compaction", "February 15th", "2 days ago". ' +
        'When the words fit several, the answer names them: ask the user, then use the id.',
    },
    with: {
      type: 'string',
      description: 'For diff: the other snapshot, by id or in words; "live", the present, when left out.',
    },
    paths: {
      type: 'array',
      items: { type: 'string' },
      description:
        'For diff: only these files or patterns, such as "workspace/MEMORY.md". ' +
        'Relative to the state directory; "workspace/**" is everything below. Text files come with a text diff.',
    },
    limit: {
      type: 'integer',
      minimum: 1,
      maximum: 200,
      description: 'For list and diff: how many lines at most (list 20, diff 60 by default).',
    },
  },
} as const;

interface Parameters {
  readonly action: (typeof ACTIONS)[number];
  readonly snapshot?: string;
  readonly with?: string;
  readonly paths?: readonly string[];
  readonly limit?: number;
}

/** Registers the tool for owners outside sandboxes; for all others there is none. */
export function registerTool(api: PluginApi, now: () => Date = () => new Date()): void {
  const create = ({ senderIsOwner, sandboxed }: ToolContext): Tool | null =>
    senderIsOwner === true && sandboxed !== true ? createTool(now) : null;
  api.registerTool?.(create, { name: TOOL, optional: true });
}

/** The tool itself. */
export function createTool(now: () => Date): Tool {
  return {
    name: TOOL,
    label: 'Backups',
    description:
      'Backups of your own memory and state: list, compare, back up. ' +
      'Snapshots of sessions, memory, workspace, configuration and cron jobs of this OpenClaw, kept in the ' +
      "user's bucket. Use it when the user asks what was backed up, what changed since a day, or wants a backup now.",
    parameters: PARAMETERS,
    execute: async (_callId, given, signal, onUpdate) => {
      const parameters = given as Parameters;
      const backup = theBackup();
      const { timeZone } = backup;
      switch (parameters.action) {
        case 'list': {
          const report = await backup.list({ signal });
          const limit = parameters.limit ?? 20;
          // A model reads the details, too: only what is shown, newest first.
          const snapshots = report.snapshots.slice(-limit).reverse();
          const details = { total: report.snapshots.length, snapshots, warnings: report.warnings };
          return result(tellList(report, { now: now(), timeZone, limit }), details);
        }
        case 'status': {
          const status = await backup.status({ bucket: true }, { signal });
          return result(tellStatus(status, now(), timeZone), { backups: status });
        }
        case 'backup': {
          const { report, joined } = await backup.push({
            signal,
            onProgress: (event) => onUpdate?.(result(tellProgress(event), { progress: event })),
          });
          const note = joined ? ' (a backup was already running; this one is part of it)' : '';
          return result(`${tellPush(report)}${note}`, report);
        }
        default:
          throw new BackupError(`b2_rollback: there is no action ${JSON.stringify(parameters.action)}`, {
            code: 'B2_USAGE',
          });
      }
    },
  };
}

function result(text: string, details: unknown): ToolResult {
  return { content: [{ type: 'text', text }], details };
}
