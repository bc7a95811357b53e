/** Tells a watchdog elsewhere how each backup went: it notices a machine that is off, which this machine cannot. */
import type { BackupError } from '../errors.js';
import { printable } from '../text.js';
import type { Logger } from './api.js';
import { ADVICE } from './page/advice.js';

/** How long one try may take, in milliseconds. */
const TIMEOUT_MS = 10_000;
/** So many redirects are followed, on the same host alone. */
const MOST_REDIRECTS = 2;
/** Push monitors of Uptime Kuma have such a path (its page "Push"), and take the state as a parameter. */
const UPTIME_KUMA = /\/api\/push\/[^/]+\/?$/;

/** What a ping works with. */
export interface PingDeps {
  readonly logger: Pick<Logger, 'warn' | 'info'>;
  /** As the global one. */
  readonly fetch?: typeof fetch;
}

/** Pings one address. It may hold a token: nothing of it is ever logged. */
export class Ping {
  readonly #url: URL;
  readonly #deps: PingDeps;
  /** Why it last failed; told once, until that is over or another reason. */
  #problem: string | undefined;

  constructor(url: string, deps: PingDeps) {
    this.#url = new URL(url);
    this.#deps = deps;
  }

  /** Tells that a backup was made, or what is wrong. Never fails; nobody has to wait for it. */
  async tell(problem: Pick<BackupError, 'code'> | undefined): Promise<void> {
    try {
      await this.#send(
        problem === undefined
          ? undefined
          : `${ADVICE[problem.code as keyof typeof ADVICE].what} (${problem.code})`,
      );
      if (this.#problem !== undefined) this.#deps.logger.info('healthcheckUrl answers again');
      this.#problem = undefined;
    } catch (error) {
      const why = reasonOf(error);
      if (why !== this.#problem)
        this.#deps.logger.warn(`healthcheckUrl: the watchdog could not be told how the backup went: ${why}`);
      this.#problem = why;
    }
  }

  async #send(problem: string | undefined): Promise<void> {
    const call = this.#deps.fetch ?? fetch;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    let url = addressOf(this.#url, problem);
    for (let redirects = 0; ; redirects += 1) {
      const response = await call(url, {
        ...(problem === undefined || isKuma(this.#url) ? {} : { method: 'POST', body: problem }),
        redirect: 'manual',
        signal,
      });
      await response.body?.cancel();
      if (response.ok) return;
      const next = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || next === null)
        throw new Refused(`it answers with status ${response.status}`);
      const to = new URL(next, url);
      // What is said is for the host that the user named, and no other.
      if (to.hostname !== url.hostname || to.protocol !== url.protocol)
        throw new Refused('it redirects to another host');
      if (redirects >= MOST_REDIRECTS) throw new Refused('it redirects too often');
      url = to;
    }
  }
}

function isKuma({ pathname }: URL): boolean {
  return UPTIME_KUMA.test(pathname);
}

/** healthchecks.io, and what works like it, has `/fail` below the address; Uptime Kuma has parameters. */
function addressOf(url: URL, problem: string | undefined): URL {
  const address = new URL(url);
  if (isKuma(url)) {
    address.searchParams.set('status', problem === undefined ? 'up' : 'down');
    address.searchParams.set('msg', problem ?? 'OK');
  } else if (problem !== undefined) {
    address.pathname = `${url.pathname.replace(/\/+$/, '')}/fail`;
  }
  return address;
}

/** An answer that is none. */
class Refused extends Error {}

/** Messages of `fetch` hold the address at times: of others' errors only the code is told. */
function reasonOf(error: unknown): string {
  if (error instanceof Refused) return error.message;
  if (error instanceof Error && error.name === 'TimeoutError') return 'it does not answer in time';
  const { cause } = error as { cause?: { code?: unknown } };
  return typeof cause?.code === 'string' ? `no connection (${printable(cause.code)})` : 'no connection';
}
