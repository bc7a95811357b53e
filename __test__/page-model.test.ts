/** What the page "Backups" says of what is known. */
import { describe, expect, it } from 'vitest';
import { documentOf } from '../ts/plugin/page/document.ts';
import { pageModel } from '../ts/plugin/page/model.ts';
import { overview } from '../ts/plugin/page/overview.ts';
import { bucketOf, facts, remembering, snapshot } from './page-support.ts';

const CHAT = { sessionKey: 'agent:main:main', agentId: 'main' };

describe('the model', () => {
  it('tells days and times in the time zone of the user, newest first', () => {
    const { days } = pageModel(facts());
    expect(days.map(({ name }) => name)).toEqual(['Today', 'Yesterday', 'Tuesday, 24 November']);
    expect(days[0]?.snapshots[0]).toMatchObject({
      time: '01:00',
      made: 'By the schedule',
      what: 'Conversations of main and MEMORY.md',
    });
  });

  it('changes no name of a file', () => {
    const most = [{ path: 'workspace/notes.md', bytes: 1 }];
    const changes = { added: 0, changed: 2, removed: 0, storedBytes: 1, most };
    const [day] = pageModel(facts({ bucket: bucketOf([snapshot(1_000, { changes })]) })).days;
    expect(day?.snapshots[0]?.what).toBe('notes.md and 1 more file');
  });

  it('says once, not of each, that nothing is encrypted', () => {
    const plain = [snapshot(2_000, { authenticated: false }), snapshot(1_000, { authenticated: false })];
    const problems = (all: typeof plain) =>
      pageModel(facts({ bucket: bucketOf(all) })).days.flatMap(({ snapshots }) =>
        snapshots.map(({ problem }) => problem),
      );
    expect(problems(plain)).toEqual([undefined, undefined]);
    expect(problems([...plain, snapshot(0)])[1]).toMatch(/^not encrypted/);
  });

  it('notes what goes wrong beside backups', () => {
    const { notes } = pageModel(
      remembering({
        pruneProblem: { code: 'B2_CAPABILITY', message: 'the key may not delete' },
        verifyProblem: { code: 'B2_NETWORK', message: 'no answer' },
      }),
    );
    expect(notes).toEqual([
      'Old snapshots are not deleted: the key may not delete',
      'What is stored could not be read again: no answer',
    ]);
  });

  it('names for each snapshot that can be read the one before of the same machine that can', () => {
    const other = { machine: 'ffee0011', thisMachine: false };
    const all = [
      snapshot(5_000),
      snapshot(4_000, other),
      snapshot(3_000, { problem: 'closed' }),
      snapshot(2_000),
      snapshot(1_000, other),
    ];
    const shown = pageModel(facts({ bucket: bucketOf(all) })).days.flatMap(({ snapshots }) => snapshots);
    expect(shown.map(({ before }) => all.findIndex(({ id }) => id === before))).toEqual([1, 0, -1, -1, -1]);
  });
});

describe('the picture', () => {
  it('is drawn of five snapshots and more, and can be heard', () => {
    const all = (many: number) => Array.from({ length: many }, (_, at) => snapshot((many - at) * 1_000));
    const drawn = (many: number) =>
      overview(pageModel(facts({ bucket: bucketOf(all(many)) })), CHAT).body.text;
    expect(drawn(4)).not.toContain('<figure');
    expect(drawn(5)).toMatch(
      /<svg class="chart"[^>]* role="img" aria-label="The last 5 snapshots\. In them 52\.4 MB at first/,
    );
    expect(drawn(500).match(/<rect/g)).toHaveLength(120);
    expect(drawn(500).match(/<li>/g)).toHaveLength(500);
  });
});

describe('the document', () => {
  it('shows no name as anything else than text', () => {
    const evil = '"><script>alert(1)</script>\u202egnp.md\u0007';
    const all = facts({
      bucket: bucketOf(
        [
          snapshot(1_000, {
            id: evil,
            machine: evil,
            thisMachine: false,
            problem: evil,
            changes: { added: 1, changed: 0, removed: 0, storedBytes: 1, most: [{ path: evil, bytes: 1 }] },
            remarks: [{ path: evil, code: evil, message: evil, failure: true, missing: true }],
          }),
        ],
        { warnings: [evil], bucket: evil },
      ),
    });
    const text = documentOf(overview(pageModel(all), CHAT), 'nonce');
    expect(text).toContain('&lt;script&gt;alert');
    expect(text).not.toContain('<script>alert');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });
});
