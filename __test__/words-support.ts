/** Snapshots, and short forms of what is found among them. */
import type { SnapshotInfo } from '../index.js';
import { type Language, loadLanguages } from '../ts/plugin/words/dates.ts';
import { type Found, findSnapshots } from '../ts/plugin/words.ts';

const LOCALES = 'ar de de-AT en es es-MX fi fr fr-FR id it ja ja-JP nl no-such pt-BR ru sv uk vi zh'.split(
  ' ',
);
const LANGUAGES = new Map<string, readonly Language[]>();
for (const locale of LOCALES) LANGUAGES.set(locale, await loadLanguages(locale));

const MINE = 'd0e8c2c9';

/** A snapshot made at a time in UTC, `2026-02-15 14:30` or with seconds. */
export function made(at: string, reason = 'scheduled', more: Partial<SnapshotInfo> = {}): SnapshotInfo {
  const [day = '', clock = ''] = at.split(' ');
  const time = clock.length === 5 ? `${clock}:00` : clock;
  const kind = reason === 'safety' ? 'safety' : 'regular';
  const machine = more.machine ?? MINE;
  return {
    id: `${kind === 'safety' ? 'safety-' : ''}${day}T${time.replaceAll(':', '-')}Z-${machine}`,
    kind,
    reason,
    machine,
    thisMachine: machine === MINE,
    createdAt: `${day}T${time}.000Z`,
    files: 10,
    bytes: 1000,
    authenticated: true,
    format: 2,
    incomplete: false,
    remarks: [],
    moreRemarks: 0,
    ...more,
  };
}

/** Short for what was found: `= 2026-02-15 14:30`, `? A, B`, `- nearest A`. */
export function short(found: Found): string {
  const name = ({ createdAt }: SnapshotInfo): string => createdAt.slice(0, 16).replace('T', ' ');
  switch (found.kind) {
    case 'one':
      return `= ${name(found.snapshot)}`;
    case 'several':
      return `? ${found.candidates.map(name).join(', ')}`;
    case 'none':
      return found.nearest === undefined ? '-' : `- nearest ${name(found.nearest)}`;
  }
}

export function finder(
  snapshots: readonly SnapshotInfo[],
  now: string,
  timeZone = 'UTC',
  that?: string,
  locale = 'en',
) {
  const languages = LANGUAGES.get(locale) ?? [];
  const situation = { now: new Date(now), timeZone, languages, ...(that === undefined ? {} : { that }) };
  return (words: string): Found => findSnapshots(words, snapshots, situation);
}
