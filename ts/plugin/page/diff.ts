/** Differences as HTML: which files, and the lines of plain text among them. Pure. */
import type { DiffEntry } from '../../../index.js';
import { count, formatBytes } from '../../text.js';
import type { Differences } from './differences.js';
import { type Html, html, lines } from './html.js';
import { place } from './parts.js';
import { thingAt } from './things.js';
import { capital } from './when.js';

const CHANGES: Readonly<Record<string, string>> = { added: 'new', removed: 'gone', changed: 'changed' };

/** Why there are no lines, as the core names it. Nobody expects those of a database. */
const OMITTED: Readonly<Record<string, string>> = {
  secret: 'Its lines are not shown: it may hold secrets.',
  hidden: 'Its lines are not shown.',
  'too large': 'It is too large to show its lines.',
  binary: 'It is not text.',
  limit: 'There is too much to show its lines here.',
  unreadable: 'Its lines cannot be read.',
  'not in the workspace of the agent':
    'Its lines are not shown: it is not in the workspace of the main agent.',
};

/** Why there are no lines, in a sentence; nothing where nobody would ask. */
export function omitted(reason: string | undefined, database: boolean): string | undefined {
  if (reason === undefined || database) return undefined;
  return OMITTED[reason] ?? `Its lines are not shown: ${reason}.`;
}

/** All differences. `none` is said where there are none. */
export function differences(found: Differences, none: string): Html {
  const { added, changed, removed, entries, more, skipped, warnings } = found;
  if (entries.length === 0) return html`<p class="muted">${none}</p>${said(warnings)}`;
  return html`<p>${summary(added, changed, removed)}</p>
<ul class="plain">${entries.map(entry)}</ul>
${more > 0 && html`<p class="muted">and ${count(more, 'more file')}</p>`}
${skipped > 0 && html`<p class="note">${count(skipped, 'file')} could not be looked at, and ${skipped === 1 ? 'is' : 'are'} not compared.</p>`}
${said(warnings)}`;
}

function summary(added: number, changed: number, removed: number): string {
  const parts = [
    [added, 'new'],
    [changed, 'changed'],
    [removed, 'gone'],
  ] as const;
  const told = parts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  return `${told.join(', ')}.`;
}

function entry(one: DiffEntry): Html {
  const { path, change, what, bytesBefore, bytesAfter, text, textOmitted, database } = one;
  const why = text === undefined ? omitted(textOmitted, database) : undefined;
  const size =
    bytesBefore === bytesAfter
      ? formatBytes(bytesAfter)
      : `${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}`;
  const only = change === 'changed' && !what.includes('content') ? ` (${what.join(', ')})` : '';
  const { part, name } = thingAt(path);
  const isThing = part === 'conversations' || part === 'jobs';
  return html`<li class="entry"><div class="say"><span><a href="?file=${encodeURIComponent(path)}"><bdi>${isThing ? capital(name) : path}</bdi></a>
<span class="badge">${CHANGES[change] ?? change}${only}</span>${isThing && html` <small><bdi>${path}</bdi></small>`}</span><small>${size}</small></div>
${text !== undefined && hunks(text, path)}
${why !== undefined && html`<small>${why}</small>`}</li>`;
}

/** Hunks of a unified diff, with words for those who cannot see colours: `+` and `-` stay in front. */
export function hunks(text: string, path: string): Html {
  const all = text.split('\n').map((line) => {
    if (line.startsWith('@')) return html`<span class="hunk">${place(line)}</span>`;
    if (line.startsWith('+')) return html`<ins>${lines(line)}</ins>`;
    if (line.startsWith('-')) return html`<del>${lines(line)}</del>`;
    return lines(line);
  });
  return html`<pre class="diff" tabindex="0" role="region" aria-label="Lines of ${path} that differ">${all.flatMap((line, at) => (at === 0 ? [line] : [lines('\n'), line]))}</pre>`;
}

function said(warnings: readonly string[]): Html {
  return html`${warnings.map((warning) => html`<p class="note">${warning}</p>`)}`;
}
