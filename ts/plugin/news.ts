/** News that the user must not miss: told again until a turn of the agent has carried them. */
import type { PluginApi, TranscriptUpdate } from './api.js';

/** A session of the host. */
export interface Session {
  readonly sessionKey: string;
  readonly agentId: string;
}

/** What is told, and who wants to know when it was carried. */
interface Item {
  readonly text: string;
  readonly to: Session;
  readonly carried: () => void;
  /** Whether the host took it, as far as is known. */
  accepted: boolean;
}

/** What the host offers for this. */
export interface NewsDeps {
  /** Puts it before the session's next turn. False when the host does not take it, or has it already. */
  tell(text: string, to: Session): boolean;
  /** Whether it still stands before the next turn; undefined where the host does not say. */
  waits(text: string, to: Session): Promise<boolean | undefined>;
  /** Calls back with each message of a transcript; returns what ends that. Undefined where the host does not say. */
  updates(listener: (update: TranscriptUpdate) => void): (() => void) | undefined;
}

/** The news of one running gateway. */
export class News {
  readonly #deps: NewsDeps;
  #item: Item | undefined;
  #end: (() => void) | undefined;

  constructor(deps: NewsDeps) {
    this.#deps = deps;
  }

  /** Tells it; `carried` is called once a turn had it before it and came to a good end. */
  tell(text: string, to: Session, carried: () => void): void {
    const item: Item = { text, to, carried, accepted: false };
    this.#item = item;
    this.#end ??= this.#deps.updates((update) => void this.#heard(update));
    this.again();
  }

  /** Tries again where the host did not take it. To be called now and then. */
  again(): void {
    const item = this.#item;
    if (item === undefined || item.accepted) return;
    if (this.#deps.tell(item.text, item.to)) this.#accepted(item);
    else void this.#standsAlready(item);
  }

  /** The host takes nothing that it has: what was told before a reload of the plugin still stands before the next turn. */
  async #standsAlready(item: Item): Promise<void> {
    if ((await this.#deps.waits(item.text, item.to)) === true && this.#item === item) this.#accepted(item);
  }

  #accepted(item: Item): void {
    item.accepted = true;
    // Such a host says nothing of turns: what it took counts.
    if (this.#end === undefined) this.#done(item);
  }

  /** Stops listening; what was not carried is told at the next start. */
  stop(): void {
    this.#end?.();
    this.#end = undefined;
    this.#item = undefined;
  }

  async #heard({ sessionKey, message }: TranscriptUpdate): Promise<void> {
    const item = this.#item;
    if (item === undefined || sessionKey !== item.to.sessionKey) return;
    const end = endOfTurn(message);
    if (end === undefined) return;
    if ((await this.#deps.waits(item.text, item.to)) === true || this.#item !== item) return;
    if (end === 'good') {
      if (item.accepted) this.#done(item);
      return;
    }
    // The turn took it, and never came to say it.
    item.accepted = false;
    this.again();
  }

  #done(item: Item): void {
    if (this.#item !== item) return;
    this.#item = undefined;
    item.carried();
  }
}

/** How the turn ended of which this is the last message of the agent; undefined for all other messages. */
function endOfTurn(message: unknown): 'good' | 'bad' | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { role, stopReason } = message as { role?: unknown; stopReason?: unknown };
  if (role !== 'assistant' || stopReason === 'toolUse') return undefined;
  return stopReason === 'error' || stopReason === 'aborted' ? 'bad' : 'good';
}

/** What the host's SDK exports for this. */
interface EventRuntime {
  peekSystemEventEntries(sessionKey: string, agentId?: string): readonly { readonly text: string }[];
}

/** Whether a system event still stands before the session's next turn. */
export async function eventWaits(text: string, to: Session): Promise<boolean | undefined> {
  // Not resolvable by the compiler, and not there at all on old hosts.
  const runtime: string = 'openclaw/plugin-sdk/system-event-runtime';
  try {
    const { peekSystemEventEntries } = (await import(runtime)) as EventRuntime;
    return peekSystemEventEntries(to.sessionKey, to.agentId).some((event) => event.text === text.trim());
  } catch {
    return undefined;
  }
}

/** Messages of transcripts, where the host tells of them. */
export function transcriptUpdates(
  api: PluginApi,
  listener: (update: TranscriptUpdate) => void,
): (() => void) | undefined {
  try {
    return api.runtime?.events?.onSessionTranscriptUpdate?.(listener);
  } catch {
    return undefined;
  }
}
