/** The page's style: the host's theme tokens, with defaults for the time before they come. */

/** Inline in each document. Nothing in it comes from outside. */
export const STYLE = `
:root {
  color-scheme: light;
  --surface: #ffffff; --card: #f7f7f8; --elevated: #ffffff; --text: #2b2b31; --text-strong: #131316; --muted: #5f6068;
  --border: #e2e2e6; --border-strong: #c6c6cd; --accent: #b3261e; --accent-fill: #b3261e; --accent-fg: #ffffff;
  --ok: #1a7f37; --warn: #8a5a00; --danger: #b3261e; --info: #0b5cad; --radius: 8px;
  --font-body: system-ui, sans-serif; --font-mono: ui-monospace, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --surface: #141417; --card: #1c1c20; --elevated: #232328; --text: #d7d7dc; --text-strong: #f4f4f6; --muted: #9c9ca6;
    --border: #2e2e34; --border-strong: #484850; --accent: #ff8a80; --accent-fill: #c53929; --accent-fg: #ffffff;
    --ok: #5ccf7c; --warn: #e6b450; --danger: #ff8a80; --info: #7cb7ff;
  }
}
* { box-sizing: border-box; }
html { background: var(--surface); }
body { margin: 0 auto; max-width: 56rem; padding: 1.5rem 1.5rem 4rem; background: var(--surface); color: var(--text);
  font: 0.9375rem/1.55 var(--font-body); overflow-wrap: anywhere; }
h1, h2, h3 { color: var(--text-strong); line-height: 1.3; margin: 0; font-weight: 600; }
h1 { font-size: 1.375rem; }
h2 { font-size: 1.0625rem; margin: 2.25rem 0 0.75rem; }
h3 { font-size: 0.875rem; margin: 1.5rem 0 0.25rem; color: var(--muted); }
p { margin: 0.25rem 0 0; }
a { color: var(--text-strong); text-decoration-color: var(--border-strong); text-underline-offset: 0.2em; }
a:hover { text-decoration-color: currentColor; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.muted, small { color: var(--muted); }
small { font-size: 0.8125rem; }
code, pre { font-family: var(--font-mono); font-size: 0.8125rem; }
code { background: var(--card); border: 1px solid var(--border); border-radius: 5px; padding: 0.1em 0.35em; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--surface); padding: 0.5rem; }
.verdict { border: 1px solid var(--border); border-left: 4px solid var(--tone); border-radius: var(--radius);
  background: var(--card); padding: 1.125rem 1.25rem; display: grid; grid-template-columns: auto 1fr; gap: 0 0.875rem; }
.verdict > svg { width: 1.75rem; height: 1.75rem; color: var(--tone); }
.verdict > div { min-width: 0; }
.verdict .label { color: var(--tone); font-size: 0.8125rem; font-weight: 600; margin: 0; }
.verdict .todo { color: var(--text-strong); margin-top: 0.5rem; }
.works { --tone: var(--ok); } .made { --tone: var(--info); } .waiting { --tone: var(--muted); }
.attention { --tone: var(--warn); } .broken { --tone: var(--danger); }
.head { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: baseline; justify-content: space-between; }
footer { margin-top: 2.5rem; padding-top: 0.75rem; border-top: 1px solid var(--border); }
details { margin-top: 0.5rem; }
summary { cursor: pointer; color: var(--muted); font-size: 0.8125rem; }
.facts { display: flex; flex-wrap: wrap; margin: 1rem 0 0; padding: 0; border: 1px solid var(--border);
  border-radius: var(--radius); overflow: hidden; }
.facts > div { flex: 1 1 12.5rem; min-width: 0; padding: 0.75rem 1rem; box-shadow: 0 0 0 1px var(--border); }
.facts dt { color: var(--muted); font-size: 0.8125rem; }
.facts dd { margin: 0.125rem 0 0; color: var(--text-strong); }
.facts dd small { display: block; }
.note { border-left: 3px solid var(--warn); padding: 0.125rem 0 0.125rem 0.875rem; margin: 0.75rem 0 0; }
.chart { width: 100%; height: auto; display: block; }
.chart .bar { fill: var(--border-strong); } .chart .line { fill: none; stroke: var(--ok); stroke-width: 2; }
.chart text { fill: var(--muted); font: 11px var(--font-body); } .chart .axis { stroke: var(--border); }
figure { margin: 0; } figcaption { color: var(--muted); font-size: 0.8125rem; }
.key { display: inline-block; width: 0.75rem; height: 0.75rem; border-radius: 2px; vertical-align: -1px; margin-right: 0.25rem; }
.key.bar { background: var(--border-strong); } .key.line { background: var(--ok); }
ol.time, ul.plain { list-style: none; margin: 0; padding: 0; }
ol.time { content-visibility: auto; contain-intrinsic-size: auto 14rem; }
ol.time > li { display: grid; grid-template-columns: 3.5rem 1fr auto; gap: 0 0.75rem; padding: 0.5rem 0;
  border-top: 1px solid var(--border); }
ol.time > li:first-child { border-top: 0; }
ol.time time { color: var(--muted); font-variant-numeric: tabular-nums; }
ol.time .what { min-width: 0; }
ol.time .size { color: var(--muted); font-size: 0.8125rem; text-align: right; white-space: nowrap; }
.badge { display: inline-block; font-size: 0.75rem; border: 1px solid var(--tone, var(--border-strong)); border-radius: 99px;
  padding: 0 0.5rem; color: var(--tone, var(--muted)); margin-left: 0.25rem; }
.warn { --tone: var(--warn); } .danger { --tone: var(--danger); } .ok { --tone: var(--ok); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; color: var(--muted); font-size: 0.8125rem; }
th, td { padding: 0.375rem 0.75rem 0.375rem 0; border-bottom: 1px solid var(--border); vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding-right: 0; }
.wide { overflow-x: auto; }
button { font: inherit; font-size: 0.875rem; color: var(--text-strong); background: var(--elevated); cursor: pointer;
  border: 1px solid var(--border-strong); border-radius: var(--radius); padding: 0.375rem 0.875rem; min-height: 2.25rem; }
button.primary { background: var(--accent-fill); border-color: var(--accent-fill); color: var(--accent-fg); }
.say { display: flex; flex-wrap: wrap; gap: 0.375rem 0.75rem; align-items: center; padding: 0.625rem 0;
  border-top: 1px solid var(--border); }
.says { margin-top: 0.5rem; }
.says > .say:first-child, section > .say:first-of-type { border-top: 0; }
.say > span { flex: 1 1 14rem; min-width: 0; }
.say > .line { flex: 0 1 auto; display: flex; gap: 0.625rem; align-items: center; }
.say .line > :empty { display: none; }
.say code { padding: 0.25rem 0.5rem; }
.say button { flex: none; }
.no-script .needs-script { display: none; }
pre.diff { margin: 0.5rem 0 0; padding: 0.75rem; background: var(--card); border: 1px solid var(--border);
  border-radius: var(--radius); overflow-x: auto; white-space: pre; line-height: 1.45; }
pre.diff ins { color: var(--ok); text-decoration: none; } pre.diff del { color: var(--danger); text-decoration: none; }
pre.diff .hunk { color: var(--muted); }
.hidden { position: absolute; left: -999rem; }
ul.tabs { list-style: none; display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0 0 0.75rem; padding: 0; }
ul.tabs a { display: block; padding: 0.25rem 0.75rem; border: 1px solid var(--border-strong); border-radius: 99px;
  text-decoration: none; font-size: 0.875rem; }
ul.tabs a[aria-current] { background: var(--text-strong); border-color: var(--text-strong); color: var(--surface); }
details.content { border: 1px solid var(--border); border-radius: var(--radius); padding: 0.625rem 1rem; }
details.content > summary { font-size: inherit; color: var(--text-strong); }
details.content td, details.content tbody th { font-size: 0.8125rem; color: var(--text); font-weight: 400; }
li.entry { padding: 0.25rem 0; border-top: 1px solid var(--border); }
li.entry:first-child { border-top: 0; }
li.entry .say { padding: 0.25rem 0; border: 0; }
li.entry pre.diff { margin: 0.25rem 0 0.5rem; }
article.version { border-top: 1px solid var(--border); padding-bottom: 0.75rem; }
article.version h3 { color: var(--text-strong); margin-top: 1rem; }
.narrow { display: none; }
table.beside { table-layout: fixed; background: var(--card); border: 1px solid var(--border); }
table.beside td { font: 0.8125rem/1.45 var(--font-mono); white-space: pre-wrap; border: 0; padding: 0 0.75rem; width: 50%; }
table.beside th { padding: 0.25rem 0.75rem; }
table.beside td + td { border-left: 1px solid var(--border); }
table.beside ins { color: var(--ok); text-decoration: none; } table.beside del { color: var(--danger); text-decoration: none; }
table.beside td:empty::after { content: '\\a0'; }
table.beside .hunk { color: var(--muted); }
nav.path { margin-bottom: 1rem; font-size: 0.875rem; }
@media (max-width: 32rem) {
  body { padding: 1rem 1rem 3rem; }
  ol.time > li { grid-template-columns: 3.25rem 1fr; }
  ol.time .size { grid-column: 2; text-align: left; }
  .roomy { display: none; }
  .narrow { display: block; }
  .facts > div { flex-basis: 9rem; padding: 0.625rem 0.75rem; }
}
@media (prefers-reduced-motion: no-preference) { .waiting > svg { animation: breathe 2.4s ease-in-out infinite; } }
@keyframes breathe { 50% { opacity: 0.35; } }
`;
