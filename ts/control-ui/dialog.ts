/** A rollback in a dialog: its plan first, and what that means for security before everything else. */
import { make, messageOf, say } from './dom.js';
import type { Host } from './host.js';
import type { Activity, Confirmed, PlanRequest, ShownPlan } from './protocol.js';

/** What somebody is about to do. */
export interface Intent {
  readonly title: string;
  /** On the button that does it. */
  readonly doIt: string;
  readonly request: PlanRequest;
}

/** One dialog, from the plan to how it went. */
export class PlanDialog {
  readonly #host: Host;
  readonly #intent: Intent;
  readonly #ended: () => void;
  readonly #handle: { dispose(): void };
  readonly #text = make('div', { className: 'plan', tabIndex: 0 });
  readonly #status = make('p', { className: 'status' });
  readonly #buttons = make('div', { className: 'buttons' });
  /** While it is carried out, nobody can look away. */
  #working = false;
  #open = true;

  /** Opens it. `ended` is called when it is closed. */
  constructor(container: HTMLElement, host: Host, intent: Intent, ended: () => void) {
    this.#host = host;
    this.#intent = intent;
    this.#ended = ended;
    this.#status.setAttribute('role', 'status');
    this.#text.setAttribute('role', 'group');
    this.#text.setAttribute('aria-label', 'What would change');
    const content = make(
      'div',
      { className: 'b2-backups b2-dialog' },
      make('h2', { textContent: intent.title }),
      this.#status,
      this.#text,
      this.#buttons,
    );
    const opener = document.activeElement;
    this.#handle = host.components.mountDialog(container, {
      label: intent.title,
      content,
      returnFocusTarget: opener instanceof HTMLElement ? opener : null,
      onCancel: () => {
        if (this.#working) return false;
        this.close();
        return undefined;
      },
    });
    void this.#look();
  }

  /** Closes it. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#handle.dispose();
    this.#ended();
  }

  /** How far it is. */
  show({ running }: Activity): void {
    if (this.#working && running?.what === 'rollback') say(this.#status, running.text);
  }

  /** Asks for the plan. */
  async #look(): Promise<void> {
    say(this.#status, 'Looking at what would change. Nothing is changed yet.');
    this.#text.hidden = true;
    this.#offer(this.#button('Cancel', () => this.close()));
    try {
      const plan = await this.#host.request<ShownPlan>('b2-backup.preview', { ...this.#intent.request });
      if (this.#open) this.#showPlan(plan);
    } catch (error) {
      if (this.#open) this.#failed(messageOf(error));
    }
  }

  #showPlan({ plan, changes, security, text, restarts }: ShownPlan): void {
    const parts: HTMLElement[] = [];
    if (security !== '') {
      const heading = make('h3', { textContent: 'Read this first' });
      parts.push(make('section', { className: 'security' }, heading, make('pre', { textContent: security })));
    }
    parts.push(make('pre', { textContent: text }));
    this.#text.replaceChildren(...parts);
    this.#text.hidden = false;
    if (!changes) {
      say(this.#status, 'Nothing would change.');
      this.#offer(this.#button('Close', () => this.close()));
      return;
    }
    const { canAdmin } = this.#host.connection;
    say(
      this.#status,
      canAdmin ? 'This is what would change.' : 'This is what would change. Only an administrator can do it.',
    );
    const label = restarts ? `${this.#intent.doIt} and restart` : this.#intent.doIt;
    const confirm = this.#button(label, () => void this.#confirm(plan), 'danger');
    confirm.disabled = !canAdmin;
    this.#offer(
      this.#button('Cancel', () => this.close()),
      confirm,
    );
  }

  async #confirm(plan: string): Promise<void> {
    this.#working = true;
    this.#offer();
    // Where the focus was is gone; what is said stays in reach.
    this.#text.focus();
    say(this.#status, 'Rolling back ...');
    try {
      const { text } = await this.#host.request<Confirmed>('b2-backup.confirm', { plan });
      this.#working = false;
      if (!this.#open) return;
      say(this.#status, text);
      this.#text.hidden = true;
      this.#offer(this.#button('Close', () => this.close()));
    } catch (error) {
      this.#working = false;
      if (this.#open) this.#failed(messageOf(error));
    }
  }

  #failed(message: string): void {
    say(this.#status, message);
    this.#text.hidden = true;
    const again = this.#button('Look again', () => void this.#look());
    this.#offer(
      this.#button('Close', () => this.close()),
      again,
    );
  }

  /** What can be done next; the first is what is safe, and has the focus. */
  #offer(...buttons: readonly HTMLButtonElement[]): void {
    this.#buttons.replaceChildren(...buttons);
    buttons[0]?.focus();
  }

  #button(label: string, run: () => void, className = ''): HTMLButtonElement {
    return make('button', { type: 'button', textContent: label, className, onclick: run });
  }
}
