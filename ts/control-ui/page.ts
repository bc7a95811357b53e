/** The page "Backups" in the Control UI itself: what the framed page shows, and buttons that do it. */
import { ActionBar } from './bar.js';
import { type Intent, PlanDialog } from './dialog.js';
import { make, messageOf } from './dom.js';
import type { Disposer, Host, ViewContext } from './host.js';
import { build } from './markup.js';
import type { Activity, ShownView } from './protocol.js';

/** The id of the tab, which the manifest of the gateway's half names, too. */
export const PAGE = 'backups';

/** After so many milliseconds it looks again where the server does not say when. */
const AGAIN_MS = 60_000;

/** Whether a link was followed: then the next page's heading gets the focus, since the link is gone. */
let followed = false;

/** See above. */
export class BackupsPage {
  readonly #host: Host;
  readonly #root = make('div', { className: 'b2-backups' });
  readonly #head = make('div');
  readonly #rest = make('div');
  readonly #bar: ActionBar;
  readonly #off: readonly Disposer[];
  #context: ViewContext;
  #shown = '';
  #dialog: PlanDialog | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Answers may come in another order than they were asked for. */
  #asked = 0;

  constructor(container: HTMLElement, context: ViewContext) {
    const { host } = context;
    this.#host = host;
    this.#context = context;
    this.#bar = new ActionBar(host, () =>
      this.#open({ title: 'Undo the last rollback', doIt: 'Undo it', request: { undo: true } }),
    );
    this.#root.append(this.#head, this.#bar.element, this.#rest);
    this.#root.addEventListener('click', (event) => this.#clicked(event));
    container.append(this.#root);
    this.#off = [
      host.onEvent('plugin.b2-backup.changed', () => void this.#read()),
      host.onEvent('plugin.b2-backup.activity', (payload) => this.#active(payload as Activity)),
      host.subscribe(() => this.#connection()),
    ];
    this.#connection();
  }

  /** It is seen again, or not. Each address gets a page of its own. */
  update(context: ViewContext): void {
    this.#context = context;
    void this.#read();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#asked += 1;
    for (const off of this.#off) off();
    this.#dialog?.close();
    this.#root.remove();
  }

  #wasConnected = false;

  #connection(): void {
    const { connected } = this.#host.connection;
    this.#bar.connected();
    if (connected && !this.#wasConnected) void this.#read();
    this.#wasConnected = connected;
  }

  /** Reads everything again. */
  async #read(): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#context.presented || this.#context.signal.aborted) return;
    this.#asked += 1;
    const asked = this.#asked;
    let againMs = AGAIN_MS;
    try {
      const search = searchOf(this.#context.props);
      const [view, activity] = await Promise.all([
        this.#host.request<ShownView>('b2-backup.page', { search }),
        this.#host.request<Activity>('b2-backup.activity').catch((): Activity => ({})),
      ]);
      if (asked !== this.#asked) return;
      this.#show(view);
      this.#active(activity);
      againMs = view.againMs ?? AGAIN_MS;
    } catch (error) {
      if (asked !== this.#asked) return;
      // While the gateway starts again, what was known stays.
      if (this.#host.connection.connected || this.#shown === '') this.#cannotRead(messageOf(error));
    }
    this.#timer = setTimeout(() => void this.#read(), againMs);
  }

  #show({ markup, undo }: ShownView): void {
    this.#bar.fit(searchOf(this.#context.props) === '', undo);
    if (markup === this.#shown) return;
    this.#shown = markup;
    const keep = new Place(this.#root);
    const built = build(markup, (search) => this.#host.navigation.pageHref(targetOf(search)));
    const first = built.firstElementChild;
    const isHead = first?.querySelector('.verdict') != null && first !== built.lastElementChild;
    this.#head.replaceChildren(...(isHead && first !== null ? [first] : []));
    this.#rest.replaceChildren(built);
    this.#addButtons();
    keep.restore();
    if (!followed) return;
    followed = false;
    const heading = this.#root.querySelector<HTMLElement>('h1');
    if (heading === null) return;
    heading.tabIndex = -1;
    heading.focus();
  }

  #cannotRead(message: string): void {
    this.#shown = '';
    this.#rest.replaceChildren(
      make('p', { className: 'note', textContent: `Cannot read the backups: ${message}` }),
    );
  }

  #active(activity: Activity): void {
    this.#bar.show(activity);
    this.#dialog?.show(activity);
  }

  /** A button wherever the server's markup says what could be brought back. */
  #addButtons(): void {
    const { canWrite, canAdmin } = this.#host.connection;
    if (!canWrite) return;
    for (const place of this.#root.querySelectorAll<HTMLElement>('[data-restore]')) {
      const { restore: snapshot = '', path, title = '' } = place.dataset;
      const doIt = path === undefined ? 'Roll back' : 'Restore this file';
      const request = path === undefined ? { snapshot } : { snapshot, paths: [path] };
      const label = canAdmin ? `${doIt} ...` : 'Preview';
      const open = (): void => this.#open({ title, doIt, request });
      place.append(make('button', { type: 'button', textContent: label, onclick: open }));
    }
  }

  #open(intent: Intent): void {
    this.#dialog?.close();
    this.#dialog = new PlanDialog(this.#root, this.#host, intent, () => {
      this.#dialog = undefined;
      void this.#read();
    });
  }

  #clicked(event: MouseEvent): void {
    if (!(event.target instanceof Element)) return;
    const link = event.target.closest<HTMLAnchorElement>('a[data-search]');
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (link !== null && plain) {
      event.preventDefault();
      followed = true;
      this.#host.navigation.openPage(targetOf(link.dataset['search'] ?? ''));
    }
    const button = event.target.closest('button');
    const { copy, session, agent, reload } = button?.dataset ?? {};
    if (session !== undefined)
      this.#host.sessions.open({ sessionKey: session, ...(agent === undefined ? {} : { agentId: agent }) });
    if (reload !== undefined) void this.#read();
    if (copy !== undefined && button !== null) void this.#copy(copy, button);
  }

  async #copy(text: string, button: HTMLButtonElement): Promise<void> {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Mark the text and copy it by hand';
    }
    setTimeout(() => {
      button.textContent = before;
    }, 1_500);
  }
}

/** Where the reader is, over a change of what is shown: the focus, and what was unfolded. */
class Place {
  readonly #root: HTMLElement;
  readonly #focused: string | undefined;
  readonly #unfolded: ReadonlySet<string>;

  constructor(root: HTMLElement) {
    this.#root = root;
    const { activeElement } = document;
    this.#focused =
      activeElement !== null && root.contains(activeElement) ? nameOf(activeElement) : undefined;
    this.#unfolded = new Set([...root.querySelectorAll('details[open] > summary')].map(nameOf));
  }

  restore(): void {
    for (const summary of this.#root.querySelectorAll('details > summary'))
      if (this.#unfolded.has(nameOf(summary))) summary.parentElement?.setAttribute('open', '');
    if (this.#focused === undefined || this.#root.contains(document.activeElement)) return;
    const all = this.#root.querySelectorAll<HTMLElement>('a, button, summary, [tabindex]');
    [...all].find((element) => nameOf(element) === this.#focused)?.focus();
  }
}

function nameOf(element: Element): string {
  return `${element.localName} ${element.getAttribute('data-search') ?? ''} ${element.getAttribute('data-copy') ?? ''} ${element.textContent}`;
}

function searchOf(props: Readonly<Record<string, string>>): string {
  const search = new URLSearchParams(props).toString();
  return search === '' ? '' : `?${search}`;
}

function targetOf(search: string): { id: string; params: Readonly<Record<string, string>> } {
  return { id: PAGE, params: Object.fromEntries(new URLSearchParams(search)) };
}
