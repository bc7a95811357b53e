/** Snapshots that somebody planted are no proof that an update lost something. */
import { expect, it, vi } from 'vitest';
import type { Settings } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { checkUpdate } from '../ts/updates/check.ts';
import { targetOf, updatesIn } from '../ts/updates/history.ts';
import { made } from './words-support.ts';

const [OLD, NEW] = ['2026.9.5', '2026.9.6'];
const before = made('2026-02-17 03:00', 'scheduled', { hostVersion: OLD });
const after = made('2026-02-18 03:00', 'scheduled', { hostVersion: NEW });
const planted = [
  made('2026-02-17 04:00', 'scheduled', { hostVersion: OLD, authenticated: false }),
  made('2026-02-19 03:00', 'scheduled', { hostVersion: NEW, authenticated: false }),
];

async function looked(encrypt: boolean) {
  const all = [before, after, ...planted].toSorted((a, b) => a.createdAt.localeCompare(b.createdAt));
  const snapshots = all.map((one) => (encrypt ? one : { ...one, authenticated: false }));
  const list: Engine['list'] = async () => ({ snapshots, warnings: [] });
  const show = vi.fn(async (_: Settings, { snapshot }: { readonly snapshot: string }) => ({
    ...{ snapshot, createdAt: '', entries: [], incomplete: false, remarks: [], warnings: [] },
  }));
  const settings = { stateDir: '/none', encrypt, hostVersion: NEW } as Settings;
  const engine = { list, show } as unknown as Pick<Engine, 'list' | 'show' | 'restore'>;
  const check = await checkUpdate(engine, settings);
  return { check, shown: show.mock.calls.map(([, options]) => options) };
}

it('are passed over where backups are encrypted', async () => {
  const { check, shown } = await looked(true);
  expect(check).toMatchObject({ snapshot: before.id });
  expect(shown).toEqual([before, after].map(({ id }) => ({ snapshot: id, allowUnauthenticated: false })));
});

it('name no version to go back to', () => {
  const old = made('2026-02-17 05:00', 'scheduled', { hostVersion: '2026.7.1', authenticated: false });
  const all = [before, old, after];
  expect(targetOf(all, NEW)).toMatchObject({ version: OLD, snapshot: before.id });
  expect(() => targetOf(all, NEW, '2026.7.1')).toThrow(/there are some of 2026\.9\.5, 2026\.9\.6$/);
  expect(updatesIn(all)).toMatchObject([{ from: OLD, to: NEW, snapshot: before.id }]);
});

it('cannot be told from others where backups are not', async () => {
  const { shown } = await looked(false);
  expect(shown).toEqual(planted.map(({ id }) => ({ snapshot: id, allowUnauthenticated: true })));
});
