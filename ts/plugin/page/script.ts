/** The page's script: the theme, copying, the chat, and looking again. Without it everything can be read all the same. */

/**
 * Runs in a sandboxed frame of no origin: it can make no request and store nothing. The parent takes one message, and sends
 * one: docs/plugins/sdk-overview/host-hooks.md and docs/tools/show-widget.md of the host.
 */
export const SCRIPT = `
'use strict';
document.documentElement.classList.remove('no-script');
addEventListener('message', ({ source, data }) => {
  if (source !== parent || data?.type !== 'openclaw:widget-theme') return;
  for (const [name, value] of Object.entries(data.tokens ?? {}))
    document.documentElement.style.setProperty('--' + name, String(value));
  if (data.mode === 'light' || data.mode === 'dark') document.documentElement.style.colorScheme = data.mode;
});
const status = document.getElementById('said');
document.addEventListener('click', ({ target }) => {
  const button = target instanceof Element ? target.closest('button') : null;
  if (button === null) return;
  const { copy, session, agent, reload } = button.dataset;
  if (session !== undefined)
    parent.postMessage({ type: 'openclaw-plugin-session-open', sessionKey: session, ...(agent ? { agentId: agent } : {}) }, '*');
  if (reload !== undefined) location.reload();
  if (copy === undefined) return;
  const field = Object.assign(document.createElement('textarea'), { value: copy, readOnly: true });
  field.style.position = 'fixed';
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  button.focus();
  status.textContent = done ? 'Copied' : 'Could not copy: mark the text and copy it by hand';
  if (done) {
    const before = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = before; }, 1500);
  }
});
const again = Number(document.body.dataset.again);
if (again > 0) {
  const look = () => {
    // Not while somebody reads with a keyboard or has marked text.
    const busy = document.hidden || String(getSelection()) !== '' || document.querySelector('details[open].keep');
    if (busy || document.activeElement?.matches('a, button, summary')) setTimeout(look, again);
    else location.reload();
  };
  setTimeout(look, again);
  // Whoever comes back to it wants to see how things are now.
  let leftAt;
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) leftAt = Date.now();
    else if (Date.now() - leftAt > 60000) location.reload();
  });
}
`;
