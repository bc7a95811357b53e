/**
 * An agent that wants to change the state without its owner's word, with the real addon: through the tool and the hook as
 * the host calls them, and on a host that drops what the hook says. The test has its own way to tell whether a byte
 * changed.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Settings } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import type { CommandContext, ToolCallDecision } from '../ts/plugin/api.ts';
import { registerApproval } from '../ts/plugin/approval.ts';
import { registerCommand } from '../ts/plugin/command.ts';
import { createService } from '../ts/plugin/service.ts';
import { createTool } from '../ts/plugin/tool.ts';
import { addon } from './addon-support.ts';
import { FakeHost, TestClock } from './plugin-support.ts';

/** Every plan takes a process of its own. */
const LONG_MS = 180_000;
const CHAT = 'agent:main:main';

let base: string;
let state: string;
let engine: Engine;
let settings: Settings;
/** Of the state as it was, and of a machine that somebody else has, with the same key. */
let snapshot: string;
let hostile: string;
let host: FakeHost;

const inState = (path: string): string => join(state, path);

function write(root: string, path: string, text: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  chmodSync(join(root, path), mode);
}

function link(root: string, path: string, target: string): void {
  rmSync(join(root, path), { recursive: true, force: true });
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}

/** What there is to be fought for. */
const FILES = [
  'hooks/mine/handler.js',
  'skills/mine/SKILL.md',
  'cron/jobs.json',
  'agents/main/sessions/a.jsonl',
  'workspace/AGENTS.md',
  'workspace/SOUL.md',
  'workspace/HEARTBEAT.md',
  'workspace/.env',
  'workspace/.hidden/notes.md',
  'workspace/skills/x/SKILL.md',
  'workspace/skills/x/notes.md',
  'workspace/run.sh',
  'workspace/package.json',
  'workspace/settings.md',
  'workspace/persona.md',
  'workspace/linked/inside.md',
  'workspace/Ａgents.md',
  'workspace/many/1.md',
  'workspace/many/2.md',
  'workspace/many/3.md',
  'workspace/many/4.md',
  'workspace/many/5.md',
  'workspace/many/6.md',
  'workspace-work/MEMORY.md',
] as const;

function config(policy: string): string {
  return JSON.stringify({
    tools: { exec: { security: policy } },
    channels: { $include: './workspace/settings.md' },
    agents: {
      defaults: { promptFile: './workspace/persona.md' },
      list: [{ id: 'work', workspace: './workspace-work' }],
    },
  });
}

function fill(root: string, word: string): void {
  write(root, 'openclaw.json', config(word === 'then' ? 'full' : 'deny'));
  for (const path of FILES)
    write(root, path, path.endsWith('settings.md') ? `{ "x": "${word}" }` : `${word}\n`);
  write(root, 'workspace/run.md', `${word}\n`, 0o755);
  write(root, 'workspace/binary.md', Buffer.from([0, 255, word.length]));
  write(root, 'workspace/escape.md', `\u001b[2J${word}`);
  write(root, 'workspace/large.md', word.repeat(100_000));
  link(root, 'workspace/link.md', word === 'then' ? 'AGENTS.md' : 'SOUL.md');
  write(root, 'workspace/MEMORY.md', `${word}\n`);
  write(root, 'workspace/memory/2026-01-01.md', `${word}\n`);
}

/** Everything that is there, but for our own folder: kinds, bits, targets and content, told by nothing of ours. */
function fingerprint(directory = state, below = ''): string {
  const lines = readdirSync(join(directory, below))
    .sort()
    .flatMap((name) => {
      const path = below === '' ? name : `${below}/${name}`;
      if (path === 'b2-backup') return [];
      const stat = lstatSync(join(directory, path));
      const bits = (stat.mode & 0o7777).toString(8);
      if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(join(directory, path))}`];
      if (stat.isDirectory()) return [`${path}/ ${bits}`, fingerprint(directory, path)];
      return [
        `${path} ${bits} ${createHash('sha256')
          .update(readFileSync(join(directory, path)))
          .digest('hex')}`,
      ];
    });
  return lines.join('\n');
}

type Params = Record<string, unknown>;

/** The hook, as the host calls it before the tool. */
function ask(params: Params, sessionKey = CHAT, toolName = 'b2_rollback'): ToolCallDecision | undefined {
  const hook = host.hooks.get('before_tool_call')?.handler;
  return hook?.({ toolName, params }, { sessionKey, agentId: 'main' }) as ToolCallDecision | undefined;
}

async function execute(params: Params, sessionKey: string | undefined = CHAT): Promise<string> {
  const tool = createTool(() => new Date(), { sessionKey, agentId: 'main' }, inState('workspace'));
  const { content } = await tool.execute('call', params);
  return content.map(({ text }) => text).join('\n');
}

/** What an attempt came to, in a sentence, with the code of an error. */
async function attempt(run: () => Promise<string>): Promise<string> {
  return run().catch((error: unknown) => `${error} (${(error as { code?: unknown }).code})`);
}

/** A call as a model makes it, on a host that asks an owner who never answers. */
async function call(params: Params, sessionKey = CHAT): Promise<string> {
  const decision = ask(params, sessionKey);
  if (decision?.block === true) return `blocked: ${decision.blockReason}`;
  if (decision?.requireApproval !== undefined) {
    decision.requireApproval.onResolution('timeout');
    return 'blocked: Approval timed out';
  }
  return attempt(() => execute(params, sessionKey));
}

/** The same where the host pays no heed to the hook. */
async function unguarded(params: Params, sessionKey?: string): Promise<string> {
  ask(params, sessionKey);
  return attempt(() => execute(params, sessionKey));
}

async function previewed(params: Params, sessionKey = CHAT): Promise<string | undefined> {
  const text = await attempt(() => execute({ action: 'preview', snapshot, ...params }, sessionKey));
  return /with plan ([0-9a-f]{8})\b/.exec(text)?.[1];
}

async function type(args: string, who: Partial<CommandContext> = {}): Promise<string> {
  const from = {
    sessionKey: CHAT,
    agentId: 'main',
    channel: 'telegram',
    senderId: 'ada',
    senderIsOwner: true,
  };
  return (await host.command?.handler({ args, ...from, ...who }))?.text ?? '';
}

describe.skipIf(addon === undefined || process.platform === 'win32')(
  'the approval gate (needs the addon)',
  () => {
    beforeAll(async () => {
      const built = (await import(new URL('../dist/engine.js', import.meta.url).href)) as {
        createEngine(): Engine;
      };
      engine = built.createEngine();
      base = mkdtempSync(join(tmpdir(), 'b2-gate-'));
      state = join(base, 'state');
      const bucket = `file://${join(base, 'bucket')}`;
      mkdirSync(join(base, 'bucket'));
      const plugin = { bucket, passphrase: 'correct horse battery staple' };
      settings = { ...plugin, stateDir: state };
      fill(state, 'then');
      snapshot = (await engine.push(settings, { reason: 'manual' })).snapshot ?? '';
      // Somebody has the key, and made a snapshot of what is called memory.
      const evil = join(base, 'evil');
      fill(evil, 'evil');
      link(evil, 'workspace/MEMORY.md', '../openclaw.json');
      link(evil, 'workspace/memory', '../hooks');
      write(evil, 'workspace/notes.md', '#!/bin/sh\n', 0o4755);
      hostile = (await engine.push({ ...plugin, stateDir: evil }, { reason: 'manual' })).snapshot ?? '';
      fill(state, 'now');
      rmSync(inState('workspace/linked'), { recursive: true });
      mkdirSync(join(base, 'outside'));
      link(state, 'workspace/linked', join(base, 'outside'));
      host = new FakeHost(state, plugin);
      registerApproval(host.api);
      registerCommand(host.api);
      host.service = createService(host.api, { engine, clock: new TestClock(), restart: () => {} });
      await host.service.start(host.context);
    }, LONG_MS);

    afterAll(async () => {
      await host?.service?.stop(host.context);
      rmSync(base, { recursive: true, force: true });
    });

    /** Each is a way to say what is not to be had. */
    const PATHS: readonly (readonly [what: string, parameters: () => Params])[] = [
      ['everything', () => ({})],
      ['everything, by an empty list', () => ({ paths: [] })],
      ['everything, exactly', () => ({ exact: true })],
      ['everything of a hostile snapshot', () => ({ snapshot: hostile })],
      [
        'a link that a hostile snapshot calls memory',
        () => ({ snapshot: hostile, paths: ['workspace/MEMORY.md'] }),
      ],
      ['a directory that is a link there', () => ({ snapshot: hostile, paths: ['workspace/memory'] })],
      [
        'a file with a bit to run it as another',
        () => ({ snapshot: hostile, paths: ['workspace/notes.md'] }),
      ],
      ['the configuration', () => ({ paths: ['openclaw.json'] })],
      ['the configuration by a glob', () => ({ paths: ['openclaw.*'] })],
      ['the configuration by another glob', () => ({ paths: ['**/*.json'] })],
      ['the configuration in braces', () => ({ paths: ['{openclaw.json,workspace/MEMORY.md}'] })],
      ['the configuration in capitals', () => ({ paths: ['OPENCLAW.JSON'] })],
      ['the configuration from here', () => ({ paths: ['./openclaw.json'] })],
      ['the configuration from the root', () => ({ paths: [inState('openclaw.json')] })],
      ['the configuration by a detour', () => ({ paths: ['workspace/../openclaw.json'] })],
      ['the configuration beside memory', () => ({ paths: ['workspace/MEMORY.md', 'openclaw.json'] })],
      ['the configuration in a second line', () => ({ paths: ['workspace/MEMORY.md\nopenclaw.json'] })],
      ['the configuration behind a NUL', () => ({ paths: ['openclaw.json\u0000workspace/MEMORY.md'] })],
      ['what the configuration includes', () => ({ paths: ['workspace/settings.md'] })],
      ['what the configuration names', () => ({ paths: ['workspace/persona.md'] })],
      ['instructions', () => ({ paths: ['workspace/AGENTS.md'] })],
      ['instructions in small letters', () => ({ paths: ['workspace/agents.md'] })],
      ['instructions by a class', () => ({ paths: ['workspace/[A-B]GENTS.md'] })],
      ['instructions by a question mark', () => ({ paths: ['workspace/AGENTS?md'] })],
      ['instructions by a wide letter', () => ({ paths: ['workspace/Ａgents.md'] })],
      ['instructions by an old letter', () => ({ paths: ['workspace/\u017fOUL.md'] })],
      ['instructions with a mark of no width', () => ({ paths: ['workspace/AGENTS\u200b.md'] })],
      ['instructions among others', () => ({ paths: ['workspace/*.md'] })],
      ['instructions below', () => ({ paths: ['workspace/**/HEART*'] })],
      ['the whole workspace', () => ({ paths: ['workspace'] })],
      ['keys of a project', () => ({ paths: ['workspace/.env'] })],
      ['what is hidden', () => ({ paths: ['workspace/.hidden/notes.md'] })],
      ['a skill', () => ({ paths: ['workspace/skills/x/SKILL.md'] })],
      ['text of a skill', () => ({ paths: ['workspace/skills/x/notes.md'] })],
      ['a script', () => ({ paths: ['workspace/run.sh'] })],
      ['a script that is called text', () => ({ paths: ['workspace/run.md'] })],
      ['what npm runs', () => ({ paths: ['workspace/package.json'] })],
      ['a link', () => ({ paths: ['workspace/link.md'] })],
      ['a file behind a link', () => ({ paths: ['workspace/linked/inside.md'] })],
      ['what is no text', () => ({ paths: ['workspace/binary.md'] })],
      ['text that hides itself', () => ({ paths: ['workspace/escape.md'] })],
      ['much text', () => ({ paths: ['workspace/large.md'] })],
      ['many files', () => ({ paths: ['workspace/many'] })],
      ['memory of another agent', () => ({ paths: ['workspace-work/MEMORY.md'] })],
      [
        'memory of another agent, as if it were its own',
        () => ({
          paths: ['workspace-work/MEMORY.md'],
          agentWorkspace: inState('workspace-work'),
        }),
      ],
      ['a hook', () => ({ paths: ['hooks/**'] })],
      ['jobs', () => ({ paths: ['cron/jobs.json'] })],
      ['transcripts', () => ({ paths: ['agents/**'] })],
      [
        'with words of its own for consent',
        () => ({ paths: ['openclaw.json'], approved: true, yes: true, force: true, needsApproval: [] }),
      ],
    ];

    /** Those that name nothing in the snapshot, or what lies behind a link: there is no plan of them. */
    const PLANLESS = [
      'the configuration in capitals',
      'the configuration by a detour',
      'the configuration in a second line',
      'the configuration behind a NUL',
      'instructions in small letters',
      'instructions by an old letter',
      'instructions with a mark of no width',
      'a file behind a link',
    ];

    it(
      'keeps every byte, whatever is asked for',
      async () => {
        const before = fingerprint();
        const planless: string[] = [];
        // A few at a time: only the newest plans are remembered, and each is to be attempted while it is.
        for (let at = 0; at < PATHS.length; at += 4) {
          const batch = PATHS.slice(at, at + 4);
          const plans = await Promise.all(batch.map(([, parameters]) => previewed(parameters())));
          for (const [index, [what, parameters]] of batch.entries()) {
            const plan = plans[index];
            if (plan === undefined) planless.push(what);
            const params = { ...parameters(), action: 'restore', ...(plan === undefined ? {} : { plan }) };
            // An owner could have approved what there is a plan of, and nothing else keeps it.
            const [guarded, code] =
              plan === undefined
                ? [/^blocked: Make a preview/, '(B2_USAGE)']
                : [/^blocked: Approval timed out/, '(B2_NOT_APPROVED)'];
            expect(await call(params), what).toMatch(guarded);
            expect(await unguarded(params), what).toContain(code);
            expect(fingerprint(), what).toBe(before);
          }
        }
        expect(planless).toEqual(PLANLESS);
        expect(readdirSync(join(base, 'outside'))).toEqual([]);
      },
      LONG_MS,
    );

    it(
      'takes no plan for another, and no word for what it was not given for',
      async () => {
        const before = fingerprint();
        const params = { paths: ['workspace/AGENTS.md'] };
        const plan = (await previewed(params)) ?? '';
        const config_ = (await previewed({ paths: ['openclaw.json'] })) ?? '';
        const elsewhere = (await previewed({ paths: ['workspace/SOUL.md'] }, 'agent:main:group')) ?? '';
        // What no agent was shown.
        const shown = /confirm ([0-9a-f]+)/.exec(await type(`restore ${snapshot} --path skills`))?.[1] ?? '';
        const { hash } = await engine.planRollback(settings, { snapshot, paths: ['skills'] });
        expect(hash.slice(0, shown.length)).toBe(shown);
        expect([plan, config_, elsewhere, shown].every((one) => one.length >= 8)).toBe(true);
        const tries: readonly (readonly [what: string, why: string, run: () => Promise<string>])[] = [
          ['no plan', 'B2_USAGE', () => unguarded({ action: 'restore' })],
          [
            'a made-up plan',
            'B2_PLAN_CHANGED',
            () => unguarded({ action: 'restore', plan: 'ab'.repeat(32) }),
          ],
          [
            'a part of a plan',
            'B2_PLAN_CHANGED',
            () => unguarded({ action: 'restore', plan: plan.slice(0, 7) }),
          ],
          [
            'a plan in capitals',
            'B2_PLAN_CHANGED',
            () => unguarded({ action: 'restore', plan: plan.replace(/^./, 'A') }),
          ],
          ['a plan in a list', 'B2_PLAN_CHANGED', () => unguarded({ action: 'restore', plan: [plan] })],
          [
            'a plan that is an object',
            'B2_PLAN_CHANGED',
            () => unguarded({ action: 'restore', plan: { toString: () => plan } }),
          ],
          ['another action', 'B2_USAGE', () => unguarded({ action: 'RESTORE', plan })],
          ['a list of actions', 'B2_USAGE', () => unguarded({ action: ['restore'], plan })],
          ['an undo of what was not rolled back', 'B2_USAGE', () => unguarded({ action: 'undo', plan })],
          ['an undo without a preview', 'B2_USAGE', () => unguarded({ action: 'undo' })],
          [
            'the plan of another session',
            'B2_PLAN_CHANGED',
            () => unguarded({ action: 'restore', plan: elsewhere }),
          ],
          ['a plan in no session', 'B2_PLAN_CHANGED', () => unguarded({ action: 'restore', plan }, '')],
          [
            'a plan that a person was shown',
            'B2_PLAN_CHANGED',
            () => unguarded({ action: 'restore', plan: hash }),
          ],
          [
            'a hook that does not know the tool by that name',
            'B2_NOT_APPROVED',
            () => {
              ask({ action: 'restore', plan }, CHAT, 'B2_ROLLBACK');
              return attempt(() => execute({ action: 'restore', plan }));
            },
          ],
          [
            'the word for another plan',
            'B2_NOT_APPROVED',
            () => {
              ask({ action: 'restore', plan })?.requireApproval?.onResolution('allow-once');
              return unguarded({ action: 'restore', plan: config_ });
            },
          ],
          [
            'the word in another session',
            'B2_NOT_APPROVED',
            async () => {
              await previewed(params, 'agent:main:group');
              ask({ action: 'restore', plan }, 'agent:main:group')?.requireApproval?.onResolution(
                'allow-once',
              );
              return attempt(() => execute({ action: 'restore', plan }));
            },
          ],
          [
            'a word that was asked for once more',
            'B2_NOT_APPROVED',
            () => {
              ask({ action: 'restore', plan })?.requireApproval?.onResolution('allow-once');
              return unguarded({ action: 'restore', plan });
            },
          ],
          [
            'a word for ever',
            'B2_NOT_APPROVED',
            () => {
              ask({ action: 'restore', plan })?.requireApproval?.onResolution('allow-always');
              return attempt(() => execute({ action: 'restore', plan }));
            },
          ],
          [
            'the confirmation of somebody else in the chat',
            'B2_PLAN_CHANGED',
            () => type(`confirm ${shown}`, { senderId: 'eve' }),
          ],
          [
            'the confirmation of who is not the owner',
            'B2_NOT_APPROVED',
            () => type(`confirm ${shown}`, { senderIsOwner: false }),
          ],
          [
            'the confirmation elsewhere',
            'B2_PLAN_CHANGED',
            () => type(`confirm ${shown}`, { sessionKey: 'agent:main:group' }),
          ],
          [
            'the confirmation of what the agent was shown',
            'B2_PLAN_CHANGED',
            () => type(`confirm ${plan.slice(0, 8)}`),
          ],
        ];
        for (const [what, why, run] of tries) {
          expect(await attempt(run), what).toContain(`(${why})`);
          expect(fingerprint(), what).toBe(before);
        }
      },
      LONG_MS,
    );

    it(
      'notices when the plan would do something else by now',
      async () => {
        const plan = await previewed({ paths: ['workspace/memory'] });
        rmSync(inState('workspace/memory'), { recursive: true });
        link(state, 'workspace/memory', join(base, 'outside'));
        const before = fingerprint();
        expect(await call({ action: 'restore', plan })).toMatch(
          /no longer what the plan was made for|B2_UNSAFE_PATH|no directory/,
        );
        expect(fingerprint()).toBe(before);
        expect(readdirSync(join(base, 'outside'))).toEqual([]);
        rmSync(inState('workspace/memory'));
        write(state, 'workspace/memory/2026-01-01.md', 'now\n');
      },
      LONG_MS,
    );

    it(
      'gives memory back, and with the word of the owner the rest, once',
      async () => {
        const memory = await previewed({ paths: ['workspace/MEMORY.md', 'workspace/memory'] });
        expect(await call({ action: 'restore', plan: memory })).toContain('Rolled back');
        expect(readFileSync(inState('workspace/MEMORY.md'), 'utf8')).toBe('then\n');
        expect(readFileSync(inState('workspace/AGENTS.md'), 'utf8')).toBe('now\n');
        const plan = await previewed({ paths: ['workspace/AGENTS.md'] });
        const restore = { action: 'restore', plan };
        const asked = ask(restore)?.requireApproval;
        expect(asked?.description).toMatch(/^What runs: instructions: workspace\/AGENTS\.md changes\./);
        asked?.onResolution('allow-once');
        expect(await execute(restore)).toContain('Rolled back');
        expect(readFileSync(inState('workspace/AGENTS.md'), 'utf8')).toBe('then\n');
        // The same plan again, after it was spoilt again.
        write(state, 'workspace/AGENTS.md', 'now\n');
        const before = fingerprint();
        asked?.onResolution('allow-once');
        expect(await unguarded(restore)).not.toContain('Rolled back');
        await previewed({ paths: ['workspace/AGENTS.md'] });
        expect(await unguarded(restore)).not.toContain('Rolled back');
        expect(fingerprint()).toBe(before);
        // Taking it back is a rollback as any other.
        const text = await execute({ action: 'preview', undo: true });
        const undo = /with plan ([0-9a-f]{8})\b/.exec(text)?.[1];
        expect(await unguarded({ action: 'undo', plan: undo })).not.toContain('Rolled back');
        expect(fingerprint()).toBe(before);
      },
      LONG_MS,
    );

    it(
      'tells no lines but of its own plain files',
      async () => {
        const diff = await execute({ action: 'diff', snapshot });
        expect(diff).toContain('workspace/many/1.md');
        expect(diff).toContain('workspace/many/1.md:\n@@ -1 +1 @@\n-then\n+now');
        for (const path of [
          'workspace/.env',
          'workspace/.hidden/notes.md',
          'workspace-work/MEMORY.md',
          'agents/main/sessions/a.jsonl',
          'openclaw.json',
          'workspace/settings.md',
        ]) {
          expect(diff).not.toContain(`\n${path}:\n`);
          expect(diff).toContain(`~ ${path} (`);
        }
      },
      LONG_MS,
    );
  },
);
