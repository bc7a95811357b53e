/** What the model is told about `b2_rollback`. Of each description it sees only the first 60 characters at first. */

import { printableText } from '../text.js';
import type { ToolResult } from './api.js';

/** What can be asked for. */
export const ACTIONS = ['list', 'status', 'backup', 'diff', 'history', 'preview', 'restore', 'undo'] as const;

/** Of the tool. */
export const DESCRIPTION =
  'Backups of your own memory and state: list, compare, roll back, back up. ' +
  'Snapshots of sessions, memory, workspace, configuration and cron jobs of this OpenClaw, kept in the ' +
  "user's bucket. Use it when the user asks what was backed up, what changed since a day, wants a backup now, or wants " +
  'a lost or ruined file, or everything, back as it was. Rolling back: preview, show the plan to the user, and only when ' +
  'the user agrees restore with that plan. An update of OpenClaw itself is undone by the user alone, in a shell: ' +
  '"b2-backup undo-update" brings the old version back with the state that it left.';

/** JSON Schema of the parameters. */
export const PARAMETERS = {
  type: 'object',
  additionalProperties: false,
  required: ['action'],
  properties: {
    action: {
      type: 'string',
      enum: ACTIONS,
      description:
        'list, status, backup (now), diff, history, preview, restore, undo. ' +
        'list says for each snapshot when and why it was made, how big it is and which files changed most. ' +
        'diff compares a snapshot with the present, or with the snapshot in "with". history tells the versions of one file over all snapshots: since when, in which ' +
        'snapshot, how big, and which lines changed. preview tells what a rollback would ' +
        'do and gives the number of a plan; restore carries that plan out; undo takes the last rollback back (preview with undo: true ' +
        'gives its plan).',
    },
    snapshot: {
      type: 'string',
      description:
        'For diff and preview: which one, by its time or as "yesterday". ' +
        'Also "latest", "from before compaction", "February 15th", "2 days ago". ' +
        'When the words fit several, the answer names them: ask the user, then use the time or id that stands there.',
    },
    with: {
      type: 'string',
      description: 'For diff: the other snapshot; the present when left out. By id or in words, or "live".',
    },
    paths: {
      type: 'array',
      items: { type: 'string' },
      description:
        'For diff, preview, history: which files, as "MEMORY.md". ' +
        '"MEMORY.md" is your own; others by their path in the state directory; "workspace/**" is everything below. Everything when left out. ' +
        'history takes exactly one file.',
    },
    exact: {
      type: 'boolean',
      description:
        'For preview: also remove files that the snapshot lacks. ' +
        'The answer to a planted skill or hook; without it what came later stays.',
    },
    undo: { type: 'boolean', description: 'For preview: of undoing the last rollback.' },
    plan: { type: 'string', description: 'For restore and undo: the number of the plan that preview gave.' },
    limit: {
      type: 'integer',
      minimum: 1,
      maximum: 200,
      description: 'How many lines at most (list and history 20, diff and preview 60).',
    },
  },
} as const;

/** Parameters that fit the schema. */
export interface Parameters {
  readonly action: (typeof ACTIONS)[number];
  readonly snapshot?: string;
  readonly with?: string;
  readonly paths?: readonly string[];
  readonly exact?: boolean;
  readonly undo?: boolean;
  readonly plan?: string;
  readonly limit?: number;
}

/** An answer in both forms. */
export function result(text: string, details: unknown): ToolResult {
  return { content: [{ type: 'text', text: printableText(text) }], details };
}
