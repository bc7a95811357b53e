/** The page's verdict over what people set up, and over the state itself; see `page-outcomes.test.ts`. */
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import { addon } from './addon-support.ts';
import { type Machine, type Outcome, verdicts } from './page-outcomes-support.ts';

const WRONG = ['broken', /^A setting is wrong or missing$/, 'B2_CONFIG'] as const;

/** The plugin's settings are these, besides those that are right. */
const set =
  (settings: Record<string, unknown>) =>
  (machine: Machine): Promise<unknown> => {
    Object.assign(machine.config, settings);
    return machine.start();
  };

/** Windows asks for a privilege to make a link. */
const LINK: Outcome = [
  'a link in a workspace leads out of it',
  async (m) => {
    const far = join(m.folder, 'far');
    mkdirSync(far);
    writeFileSync(join(far, 'notes.md'), 'far away');
    symlinkSync(far, join(m.stateDir, 'workspace', 'far'));
    await m.start();
  },
  'attention',
  /^Your backups lack something$/,
  'B2_SKIPPED_LINK',
];

const OUTCOMES: readonly Outcome[] = [
  ...(process.platform === 'win32' ? [] : [LINK]),
  ['the schedule is no schedule', set({ schedule: 'at noon' }), ...WRONG],
  [
    'a reference to a secret leads nowhere',
    set({ passphrase: { source: 'file', provider: 'vault', id: '/b2' } }),
    ...WRONG,
  ],
  ['secrets are to be stored in the clear', set({ encrypt: false, includeSecrets: true }), ...WRONG],
  ['the prefix is none', set({ prefix: 'a//b' }), ...WRONG],
  ['a pattern can match nothing', set({ exclude: ['!keep.md'] }), ...WRONG],
  [
    'the folder of the bucket lies in the state',
    (m) => set({ bucket: `file://${join(m.stateDir, 'backups')}` })(m),
    ...WRONG,
  ],
  [
    'the disk of the state is not mounted on the first day',
    async (m) => {
      for (const name of readdirSync(m.stateDir)) rmSync(join(m.stateDir, name), { recursive: true });
      await m.start();
    },
    ...WRONG,
  ],
  [
    'the workspace in the state was removed',
    async (m) => {
      for (const name of ['a', 'b', 'c', 'd']) m.write(`workspace/${name}`, name);
      await m.start();
      rmSync(join(m.stateDir, 'workspace'), { recursive: true });
      await m.push();
    },
    'attention',
    /^A directory that was backed up is gone$/,
    'B2_INCOMPLETE',
  ],
  [
    'the workspace is a file',
    async (m) => {
      const path = join(m.folder, 'notes');
      writeFileSync(path, 'no directory');
      m.write('openclaw.json', JSON.stringify({ agents: { defaults: { workspace: path } } }));
      await m.start();
    },
    'attention',
    /^A workspace is not backed up$/,
    'B2_INCOMPLETE',
  ],
  [
    'the configuration of OpenClaw is cut off',
    async (m) => {
      m.write('openclaw.json', '{ "agents": ');
      await m.start();
    },
    'attention',
    /^Your backups lack something$/,
    'B2_SKIPPED_CONFIG',
  ],
];

describe.skipIf(addon === undefined)('the verdict (needs the built addon)', { timeout: 60_000 }, () =>
  verdicts(OUTCOMES),
);
