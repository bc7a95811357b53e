/** Files by the names that people give them. */
import { describe, expect, it } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import type { Backup } from '../ts/plugin/backup.ts';
import { findFiles } from '../ts/plugin/files.ts';

const STATE = [
  'openclaw.json',
  'workspace',
  'workspace/MEMORY.md',
  'workspace/memory/2026-01-01.md',
  'workspace/a.md',
];
const OTHERS = [
  'workspace-work/MEMORY.md',
  'workspace-work/a.md',
  'workspace-home/only.md',
  'workspace-work/openclaw.json',
];

function find(names: readonly string[], workspace: string | undefined, files = [...STATE, ...OTHERS]) {
  const show = async (options: { path?: string }) => {
    const path = options.path ?? '';
    const name = path.replace('**/', '');
    const found = files.filter((file) => file === name || (path !== name && file.endsWith(`/${name}`)));
    if (found.length === 0) throw new BackupError(`nothing at ${path}`, { code: 'B2_CONFIG' });
    return { entries: found.map((file) => ({ path: file })) };
  };
  const backup = { stateDir: '/state', show } as unknown as Backup;
  return findFiles(names, { backup, snapshot: 'latest', workspace, operation: {} });
}

describe('a file', () => {
  it.each([
    ['MEMORY.md', '/state/workspace', 'workspace/MEMORY.md'],
    ['MEMORY.md', '/state/workspace-work', 'workspace-work/MEMORY.md'],
    ['memory/2026-01-01.md', '/state/workspace', 'workspace/memory/2026-01-01.md'],
    ['openclaw.json', '/state/workspace', 'openclaw.json'],
    ['workspace', '/state/workspace', 'workspace'],
    ['only.md', '/state/workspace', 'workspace-home/only.md'],
    // What is new, and in no snapshot, is the agent's own.
    ['new.md', '/state/workspace', 'workspace/new.md'],
    ['new.md', undefined, 'new.md'],
    // Paths and patterns stand as they are.
    ['workspace-work/MEMORY.md', '/state/workspace', 'workspace-work/MEMORY.md'],
    ['**/MEMORY.md', '/state/workspace', '**/MEMORY.md'],
    ['../MEMORY.md', '/state/workspace', '../MEMORY.md'],
    ['', '/state/workspace', ''],
  ])('called "%s" by an agent in %s is %s', async (name, workspace, path) => {
    expect(await find([name], workspace)).toEqual({ paths: [path] });
  });

  it('of a workspace elsewhere is named from the root on', async () => {
    const files = [...STATE, '/home/me/ws/MEMORY.md'];
    expect(await find(['MEMORY.md'], '/home/me/ws', files)).toEqual({ paths: ['/home/me/ws/MEMORY.md'] });
  });

  it.each([
    ['a.md', undefined, ['workspace/a.md', 'workspace-work/a.md']],
    ['a.md', '/state/workspace-home', ['workspace/a.md', 'workspace-work/a.md']],
    // The agent's own has the name of the configuration.
    ['openclaw.json', '/state/workspace-work', ['openclaw.json', 'workspace-work/openclaw.json']],
  ])('called "%s" of which there are several is asked about', async (name, workspace, paths) => {
    const found = await find(['workspace/x', name], workspace);
    expect(found).toHaveProperty('unclear');
    for (const path of paths) expect(JSON.stringify(found)).toContain(path);
  });

  it('is not made up where the bucket cannot be asked', async () => {
    const show = () => Promise.reject(new BackupError('no route', { code: 'B2_NETWORK' }));
    const backup = { stateDir: '/state', show } as unknown as Backup;
    const place = { backup, snapshot: 'latest', workspace: '/state/workspace', operation: {} };
    await expect(findFiles(['MEMORY.md'], place)).rejects.toMatchObject({ code: 'B2_NETWORK' });
  });
});
