/** What the page "Backups" says of what is known. */
import { describe, expect, it } from 'vitest';
import { documentOf } from '../ts/plugin/page/document.ts';
import { pageModel } from '../ts/plugin/page/model.ts';
import { overview } from '../ts/plugin/page/overview.ts';
import { bucketOf, facts, snapshot } from './page-support.ts';

const CHAT = { sessionKey: 'agent:main:main', agentId: 'main' };

describe('the model', () => {
  it('tells days and times in the time zone of the user, newest first', () => {
    const { days } = pageModel(facts());
    expect(days.map(({ name }) => name)).toEqual(['Today', 'Yesterday', 'Tuesday, 24 November']);
    expect(days[0]?.snapshots[0]).toMatchObject({
      time: '01:00',
      made: 'By the schedule',
      what: 'conversations of main and MEMORY.md',
    });
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
