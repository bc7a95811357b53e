/** What can be done right away, how far it is, and how it went. */
import { make, messageOf, say } from './dom.js';
import type { Connection, Host } from './host.js';
import type { Activity, Pushed } from './protocol.js';

/** A part of a backup, for those who cannot see the bar, is told in steps of this. */
const STEP = 0.25;

/** The bar below the verdict. */
export class ActionBar {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #push = this.#button('Back up now', () => void this.#backUp(), 'primary');
  readonly #cancel = this.#button('Cancel', () => void this.#stop());
  readonly #undo: HTMLButtonElement;
  readonly #doing = make('p', { className: 'doing' });
  readonly #meter = make('progress', { max: 1 });
  /** What those hear who cannot see the bar: not every figure. */
  readonly #heard = make('p', { className: 'skip' });
  readonly #said = make('p', { className: 'said' });
  readonly #rollback = make('p', { className: 'note' });
  #activity: Activity = {};
  #everything = true;
  #undoable = false;
  #pushing = false;
  #step = '';

  constructor(host: Host, undo: () => void) {
    this.#host = host;
    this.#undo = this.#button('Undo the last rollback', undo);
    for (const live of [this.#heard, this.#said, this.#rollback]) live.setAttribute('role', 'status');
    this.#meter.setAttribute('aria-label', 'How far the backup is');
    this.element = make(
      'section',
      { className: 'bar' },
      make('div', { className: 'buttons' }, this.#push, this.#cancel, this.#undo),
      this.#doing,
      this.#meter,
      this.#heard,
      this.#said,
      this.#rollback,
    );
    this.element.setAttribute('aria-label', 'What you can do now');
    this.show({});
  }

  /** What happens right now. */
  show(activity: Activity): void {
    this.#activity = activity;
    const { running, rollback = '' } = activity;
    const text = running?.text ?? '';
    say(this.#doing, text);
    this.#doing.hidden = text === '';
    this.#meter.hidden = running === undefined;
    if (running?.part === undefined) this.#meter.removeAttribute('value');
    else this.#meter.value = running.part;
    // The phase, and each quarter.
    const step = `${text.split(':')[0]} ${Math.floor((running?.part ?? 0) / STEP)}`;
    if (step !== this.#step) say(this.#heard, text);
    this.#step = step;
    say(this.#rollback, rollback);
    this.#rollback.hidden = rollback === '';
    this.#enable();
  }

  /** What fits what is shown: whether that is the view of everything, and whether there is a rollback to undo. */
  fit(everything: boolean, undoable: boolean): void {
    this.#everything = everything;
    this.#undoable = undoable;
    this.#enable();
  }

  /** What the operator may do has changed, or the connection. */
  connected(): void {
    this.#enable();
  }

  #enable(): void {
    const { connected, canWrite, canAdmin }: Connection = this.#host.connection;
    const what = this.#activity.running?.what;
    this.#push.disabled = !connected || !canWrite || this.#pushing || what !== undefined;
    this.#cancel.hidden = what !== 'backup';
    this.#cancel.disabled = !connected || !canWrite;
    this.#push.hidden = !this.#everything;
    this.#undo.hidden = !this.#everything || !this.#undoable || !canAdmin;
    this.#undo.disabled = !connected || what !== undefined;
  }

  async #backUp(): Promise<void> {
    this.#pushing = true;
    this.#enable();
    say(this.#said, '');
    try {
      say(this.#said, (await this.#host.request<Pushed>('b2-backup.push')).text);
    } catch (error) {
      say(this.#said, messageOf(error));
    }
    this.#pushing = false;
    this.#enable();
  }

  async #stop(): Promise<void> {
    this.#cancel.disabled = true;
    // The button goes away with what it stops.
    this.#push.focus();
    try {
      await this.#host.request('b2-backup.cancel');
    } catch (error) {
      say(this.#said, messageOf(error));
    }
    this.#enable();
  }

  #button(label: string, run: () => void, className = ''): HTMLButtonElement {
    return make('button', { type: 'button', textContent: label, className, onclick: run });
  }
}
