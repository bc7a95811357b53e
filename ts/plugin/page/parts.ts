/** Small parts that several views have. Pure. */
import { isErrorCode } from '../../errors.js';
import { ADVICE } from './advice.js';
import type { Problem } from './facts.js';
import { type Html, html } from './html.js';

/** The way back. */
export function path(...here: readonly string[]): Html {
  return html`<nav class="path" aria-label="You are here"><a href="?">Backups</a>${here.map((name) => html` <span aria-hidden="true">/</span> <bdi>${name}</bdi>`)}</nav>`;
}

/** Something is on its way. */
export function waiting(text: string): Html {
  return html`<p class="muted" role="status">${text} <span class="needs-script">This page looks again by itself.</span></p>`;
}

/** Something could not be had, and what to do. */
export function failed({ code, message }: Problem): Html {
  const { what, todo } = ADVICE[isErrorCode(code) ? code : 'B2_INTERNAL'];
  return html`<div class="note"><p><strong>${what}.</strong> ${todo}</p><p><small>${message} (${code})</small></p></div>`;
}

/** What a button can bring back where the page may have one that does (`ts/control-ui/`). */
export interface BroughtBack {
  readonly snapshot: string;
  /** One file; everything when not set. */
  readonly path?: string;
  /** Of the dialog that asks. */
  readonly title: string;
}

/** Words to say, and the line to type. */
export function say(said: string, typed: string, back?: BroughtBack): Html {
  const place =
    back !== undefined &&
    html`<span data-restore="${back.snapshot}" data-title="${back.title}"${back.path !== undefined && html` data-path="${back.path}"`}></span>`;
  return html`<div class="say"><span>${said}</span><span class="line">${place}<code>${typed}</code><button type="button" class="needs-script" data-copy="${typed}" aria-label="Copy ${typed}">Copy</button></span></div>`;
}

/** Where in the file a hunk of a unified diff is: `@@ -1,4 +1,5 @@`. */
export function place(head: string): string {
  const from = /^@@ -\d+(?:,\d+)? \+(\d+)/.exec(head)?.[1];
  return from === undefined ? head : `From line ${from}`;
}
