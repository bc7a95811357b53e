/** What a path of the state is to a person: the conversations of an agent, a note, a setting. Pure. */
import { printable } from '../../text.js';

/** The parts of a state that people know. */
export type Part = 'conversations' | 'memory' | 'workspace' | 'configuration' | 'jobs' | 'skills' | 'other';

/** In which order they are shown, and how they are called. */
export const PARTS: Readonly<Record<Part, string>> = {
  conversations: 'Conversations',
  memory: 'Memory',
  workspace: 'Workspace',
  configuration: 'Configuration',
  jobs: 'Jobs and what OpenClaw remembers',
  skills: 'Skills and hooks',
  other: 'Everything else',
};

/** One path, as people speak of it. */
export interface Thing {
  readonly part: Part;
  /** `MEMORY.md`, `conversations of main`: the same for all paths that are one thing. */
  readonly name: string;
  /** The agent that it belongs to. */
  readonly agent?: string;
}

/** Files that OpenClaw tells an agent about itself and its user (docs/concepts/agent-workspace.md of the host). */
const MEMORY = /^(?:MEMORY|USER|SOUL|IDENTITY|AGENTS|TOOLS|HEARTBEAT|BOOTSTRAP)\.md$/i;

/** What a path is. Paths below the state directory have no slash in front; others begin with their root. */
export function thingAt(path: string): Thing {
  const steps = path.split('/').filter((step) => step !== '');
  const [first = '', second = '', third = ''] = steps;
  const name = printable(steps.at(-1) ?? path);
  if (!path.startsWith('/')) {
    if (first === 'agents' && second !== '') {
      const agent = printable(second);
      const told = { part: 'conversations', name: `conversations of ${agent}`, agent } as const;
      if (third === 'sessions' || name === 'openclaw-agent.sqlite') return told;
      return { part: 'configuration', name: `settings of ${agent}`, agent };
    }
    if (first === 'state' || first === 'cron')
      return { part: 'jobs', name: 'jobs and what OpenClaw remembers' };
    if (/^openclaw\.json/.test(first) || first === 'settings' || first === 'policies')
      return { part: 'configuration', name: first.startsWith('openclaw.json') ? 'the configuration' : name };
    if (first === 'skills' || first === 'hooks' || first === 'skill-workshop')
      return { part: 'skills', name: `${first === 'hooks' ? 'the hook' : 'the skill'} ${printable(second)}` };
    if (first === 'memory') return { part: 'memory', name };
    if (!/^workspace(?:-|$)/.test(first)) return { part: 'other', name };
    return inWorkspace(steps.slice(1), name);
  }
  return inWorkspace(steps, name);
}

function inWorkspace(steps: readonly string[], name: string): Thing {
  const isMemory = MEMORY.test(name) || steps.slice(0, -1).includes('memory');
  return { part: isMemory ? 'memory' : 'workspace', name };
}

/** `MEMORY.md, conversations of main and 12 more files`: at most `most` things, of `files` in all. */
export function inWords(paths: readonly string[], files: number, most = 3): string {
  const names = [...new Set(paths.map((path) => thingAt(path).name))];
  const shown = names.slice(0, most);
  // Several paths may be one thing: the others are counted from what was named.
  const told = paths.filter((path) => shown.includes(thingAt(path).name)).length;
  const more = files - told;
  if (shown.length === 0) return files === 0 ? 'nothing' : more === 1 ? '1 file' : `${more} files`;
  if (more > 0) return `${shown.join(', ')} and ${more === 1 ? '1 more file' : `${more} more files`}`;
  const last = shown.at(-1) ?? '';
  return shown.length === 1 ? last : `${shown.slice(0, -1).join(', ')} and ${last}`;
}
