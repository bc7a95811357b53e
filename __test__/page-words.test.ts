/** The small parts of the page: what a path is, when something was, two columns, HTML. */
import { describe, expect, it } from 'vitest';
import { html, lines } from '../ts/plugin/page/html.ts';
import { pairsOf } from '../ts/plugin/page/side.ts';
import { inWords, thingAt } from '../ts/plugin/page/things.ts';
import { Words } from '../ts/plugin/page/when.ts';

describe('what a path is', () => {
  it.each([
    ['agents/main/agent/openclaw-agent.sqlite', 'conversations', 'conversations of main'],
    ['agents/work/sessions/cold/ab.jsonl.zst', 'conversations', 'conversations of work'],
    ['agents/work/agent/models.json', 'configuration', 'settings of work'],
    ['state/openclaw.sqlite', 'jobs', 'jobs and what OpenClaw remembers'],
    ['openclaw.json', 'configuration', 'the configuration'],
    ['workspace/MEMORY.md', 'memory', 'MEMORY.md'],
    ['workspace/memory/2026-11-26.md', 'memory', '2026-11-26.md'],
    ['workspace-work/plan.md', 'workspace', 'plan.md'],
    ['/home/me/notes/plan.md', 'workspace', 'plan.md'],
    ['/home/me/notes/SOUL.md', 'memory', 'SOUL.md'],
    ['skills/weather/SKILL.md', 'skills', 'the skill weather'],
    ['hooks/night/handler.js', 'skills', 'the hook night'],
    ['canvas/documents/a.html', 'other', 'a.html'],
    ['', 'other', ''],
  ])('%s', (path, part, name) => {
    expect(thingAt(path)).toMatchObject({ part, name });
  });

  it('shows no direction that a name brings along', () => {
    expect(thingAt('workspace/\u202egnp.md').name).toBe('\\u202egnp.md');
  });

  it.each([
    [[], 0, 'nothing'],
    [[], 1, '1 file'],
    [[], 4, '4 files'],
    [['workspace/MEMORY.md'], 1, 'MEMORY.md'],
    [['workspace/MEMORY.md', 'openclaw.json'], 2, 'MEMORY.md and the configuration'],
    [['workspace/a', 'workspace/b', 'workspace/c', 'workspace/d'], 6, 'a, b, c and 3 more files'],
    [['agents/main/agent/openclaw-agent.sqlite', 'agents/main/sessions/x.jsonl'], 2, 'conversations of main'],
    [['agents/main/agent/openclaw-agent.sqlite'], 2, 'conversations of main and 1 more file'],
  ])('in words: %j of %i', (paths, files, words) => {
    expect(inWords(paths, files)).toBe(words);
  });
});

describe('when something was', () => {
  const words = new Words({ now: new Date('2026-11-26T23:30:00Z'), timeZone: 'Europe/Vienna' });

  it.each([
    ['2026-11-26T23:00:00Z', 'today, 00:00', 'Today, 00:00'],
    ['2026-11-26T22:59:00Z', 'yesterday, 23:59', 'Yesterday, 23:59'],
    ['2026-11-28T00:00:00Z', 'tomorrow, 01:00', 'Tomorrow, 01:00'],
    ['2026-11-24T11:00:00Z', 'Tuesday, 24 November, 12:00', 'Tue 24 Nov, 12:00'],
    ['2025-12-26T11:00:00Z', 'Friday, 26 December 2025, 12:00', 'Fri 26 Dec 2025, 12:00'],
    ['never\u0007', 'never\\x07', 'never\\x07'],
  ])('%s', (iso, long, short) => {
    expect([words.when(iso), words.short(iso)]).toEqual([long, short]);
  });
});

describe('two columns', () => {
  it('put what came beside what went', () => {
    expect(pairsOf('@@ -1,4 +1,4 @@\n same\n-old\n+new\n+more\n same\n-gone\n')).toEqual([
      '@@ -1,4 +1,4 @@',
      ['same', 'same'],
      ['old', 'new'],
      [undefined, 'more'],
      ['same', 'same'],
      ['gone', undefined],
    ]);
  });

  it('keep a change apart from the next one', () => {
    expect(pairsOf('-a\n+b\n-c\n+d')).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });
});

describe('HTML', () => {
  it('is escaped, in attributes too, unless it was made so', () => {
    expect(html`<a title="${'"x\' <b>&'}">${html`<i>${1}</i>`}${['<', undefined, false]}</a>`.text).toBe(
      '<a title="&quot;x&#39; &lt;b&gt;&amp;"><i>1</i>&lt;</a>',
    );
  });

  it('keeps line ends only where there are lines', () => {
    expect(html`${'a\nb'}`.text).toBe('a\\x0ab');
    expect(lines('a\n\tb\u0007<').text).toBe('a\n\tb\\x07&lt;');
  });
});
