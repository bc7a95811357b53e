/** The view of one file: its versions over all snapshots, each beside the one before. Pure. */
import type { HistoryReport, PathVersion } from '../../../index.js';
import { machineOf } from '../../machine-name.js';
import { count, formatBytes } from '../../text.js';
import { hunks, omitted } from './diff.js';
import type { View } from './document.js';
import { type Html, html } from './html.js';
import type { Looked } from './kept.js';
import type { PageModel } from './model.js';
import { failed, path, say, waiting } from './parts.js';
import { beside } from './side.js';
import { capital, Words } from './when.js';

const SOON_MS = 1_500;
/** Versions shown, the newest. */
const MOST = 100;

const CHANGES: Readonly<Record<string, string>> = { added: 'new', removed: 'gone', changed: 'changed' };

/** The view of the versions of `name`. */
export function fileView(name: string, model: PageModel, looked: Looked<HistoryReport>): View {
  const { value, problem, asking } = looked;
  const words = new Words({ now: new Date(model.at), timeZone: model.timeZone });
  const nothing =
    problem === undefined || asking ? waiting('Its versions are being looked for.') : failed(problem);
  return {
    title: `Backups: ${name}`,
    ...(asking && value === undefined ? { againMs: SOON_MS } : {}),
    body: html`${path(name)}
<main><header><h1><bdi>${name}</bdi></h1></header>
<section aria-labelledby="versions"><h2 id="versions">Versions</h2>${value === undefined ? nothing : versions(value, words, saidOf(model))}</section></main>`,
  };
}

/** What `/b2` takes for a snapshot. The list of them may not have come yet. */
function saidOf({ days }: PageModel): (id: string) => string {
  const said = new Map(days.flatMap(({ snapshots }) => snapshots.map((one) => [one.id, one.said] as const)));
  return (id) => said.get(id) ?? id;
}

function versions(
  { versions: all, snapshots, warnings }: HistoryReport,
  words: Words,
  said: (id: string) => string,
): Html {
  if (all.length === 0) return html`<p class="muted">No snapshot has this file.</p>`;
  const newest = all.toReversed();
  const more = newest.length - MOST;
  const isAlone = new Set(all.map(({ machine }) => machine)).size === 1;
  return html`<p class="muted">${count(all.length, 'version')} in ${count(snapshots, 'snapshot')}, newest first.</p>
${newest.slice(0, MOST).map((one) => version(one, words, isAlone, said(one.snapshot)))}
${more > 0 && html`<p class="muted">and ${count(more, 'older version')}</p>`}
${warnings.map((warning) => html`<p class="note">${warning}</p>`)}`;
}

function version(one: PathVersion, words: Words, isAlone: boolean, said: string): Html {
  const { createdAt, snapshot, snapshots, change, bytes, text, textOmitted, database, path: name } = one;
  const why = text === undefined ? omitted(textOmitted, database) : undefined;
  const when = capital(words.when(createdAt));
  const isGone = change === 'removed';
  return html`<article class="version"><h3><a href="?snapshot=${encodeURIComponent(snapshot)}">${when}</a>
<span class="badge">${CHANGES[change] ?? change}</span></h3>
<p class="muted">${isGone ? 'It is no more' : formatBytes(bytes)}, in ${count(snapshots, 'snapshot')}${!isAlone && html`, machine <bdi>${machineOf(one)}</bdi>`}</p>
${text !== undefined && html`<details class="keep"${change === 'changed' && html` open`}><summary>What changed against the version before</summary>${beside(text, `${name}, ${when}`)}<div class="narrow">${hunks(text, `${name}, ${when}`)}</div></details>`}
${why !== undefined && html`<p><small>${why}</small></p>`}
${!isGone && !/\s/.test(name) && say('Bring this version back', `/b2 restore ${said} --path ${name}`, { snapshot, path: name, title: `${name} as it was: ${capital(words.when(createdAt))}` })}</article>`;
}
