/** The document around each view: one file, without any request. Pure. */
import { Html, html } from './html.js';
import { SCRIPT } from './script.js';
import { STYLE } from './style.js';

/** What a view gives. */
export interface View {
  /** Of the window. */
  readonly title: string;
  readonly body: Html;
  /** After so many milliseconds the page looks again; not set: it does not. */
  readonly againMs?: number;
}

/** Which parts of a document may run and be shown: what has the nonce, and nothing from anywhere. */
export function contentPolicy(nonce: string): string {
  return (
    `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
  );
}

/** Without scripts the page loads again in so many seconds at the soonest. */
const FASTEST_S = 5;

/** The whole document. `nonce` must not be known before. */
export function documentOf({ title, body, againMs }: View, nonce: string): string {
  // Only a reload shows news where scripts are off.
  const noScript =
    againMs === undefined
      ? undefined
      : html`<noscript><meta http-equiv="refresh" content="${Math.max(FASTEST_S, Math.round(againMs / 1000))}"></noscript>`;
  return html`<!doctype html>
<html lang="en" class="no-script"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">${noScript}<title>${title}</title><style nonce="${nonce}">${new Html(STYLE)}</style></head>
<body${againMs === undefined ? '' : html` data-again="${againMs}"`}>
${body}
<p id="said" role="status" class="skip"></p>
<script nonce="${nonce}">${new Html(SCRIPT)}</script></body></html>`.text;
}
