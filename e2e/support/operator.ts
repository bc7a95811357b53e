/** An operator connected to a gateway: chat with its agents, slash commands, and every method of the protocol. */
import { randomUUID } from 'node:crypto';
import { environment, node24, openclawPackage, support } from './host.ts';
import { Program } from './processes.ts';
import { within } from './until.ts';

export interface GatewayEvent {
  readonly event: string;
  readonly payload: Record<string, unknown>;
}

/** What came of a message in a chat. */
export interface Turn {
  readonly state: 'final' | 'error' | 'aborted';
  /** What the agent, or the slash command, answered. */
  readonly text: string;
  /** What tools reported while they ran, in order. */
  readonly tools: readonly ToolEvent[];
}

export interface ToolEvent {
  readonly phase?: string;
  readonly name?: string;
  readonly [more: string]: unknown;
}

interface Line {
  readonly id?: string;
  readonly result?: unknown;
  readonly error?: string;
  readonly hello?: object;
  readonly event?: string;
  readonly payload?: Record<string, unknown>;
  readonly trouble?: string;
}

/** A request that the gateway refused or failed. */
export class RequestFailed extends Error {}

export class Operator {
  readonly events: GatewayEvent[] = [];
  readonly #program: Program;
  readonly #listeners = new Set<(event: GatewayEvent) => void>();
  readonly #waiting = new Map<string, (line: Line) => void>();
  #read = 0;
  #hello: ((hello: object) => void) | undefined;

  private constructor(program: Program) {
    this.#program = program;
    program.onNews(() => this.#readLines());
  }

  /** `scopes` are all that an operator can have, unless others are given; `openclaw` is the package whose client is used. */
  static async connect(
    port: number,
    token: string,
    home: string,
    scopes = ['operator.read', 'operator.write', 'operator.approvals', 'operator.admin'],
    openclaw = openclawPackage,
  ): Promise<Operator> {
    const env = environment(home, {
      B2_E2E_OPENCLAW: openclaw,
      B2_E2E_URL: `ws://127.0.0.1:${port}`,
      B2_E2E_TOKEN: token,
      B2_E2E_SCOPES: scopes.join(' '),
    });
    const program = new Program('operator', node24, [support('operator-client.mjs')], { env, input: true });
    const operator = new Operator(program);
    const hello = new Promise<object>((resolve) => {
      operator.#hello = resolve;
    });
    await within('the gateway to greet the operator', hello, { evidence: () => program.tail() });
    return operator;
  }

  /**
   * Calls a method of the gateway.
   *
   * @throws {RequestFailed} with the gateway's message
   */
  async request<T = Record<string, unknown>>(method: string, params: object = {}, seconds = 60): Promise<T> {
    const id = randomUUID();
    const answer = new Promise<Line>((resolve) => this.#waiting.set(id, resolve));
    this.#program.write(`${JSON.stringify({ id, method, params })}\n`);
    const { result, error } = await within(`an answer to ${method}`, answer, {
      seconds,
      evidence: () => this.#program.tail(10),
    });
    if (error !== undefined) throw new RequestFailed(error);
    return result as T;
  }

  /** The next event from now on that fits. Call it before what causes the event. */
  async next(what: string, fits: (event: GatewayEvent) => boolean, seconds = 60): Promise<GatewayEvent> {
    let listener: ((event: GatewayEvent) => void) | undefined;
    const found = new Promise<GatewayEvent>((resolve) => {
      listener = (event) => {
        if (fits(event)) resolve(event);
      };
      this.#listeners.add(listener);
    });
    try {
      return await within(`the event: ${what}`, found, {
        seconds,
        evidence: () =>
          this.events
            .slice(-10)
            .map((event) => JSON.stringify(event).slice(0, 300))
            .join('\n'),
      });
    } finally {
      if (listener !== undefined) this.#listeners.delete(listener);
    }
  }

  /** Sends a message or a slash command, and waits until the agent is done with it. */
  async chat(message: string, { sessionKey = 'agent:main:main', seconds = 60 } = {}): Promise<Turn> {
    await this.request('sessions.messages.subscribe', { key: sessionKey });
    const from = this.events.length;
    const runId = randomUUID();
    const ended = this.next(
      `the end of the turn "${message.slice(0, 40)}"`,
      ({ event, payload }) =>
        event === 'chat' &&
        payload['runId'] === runId &&
        ['final', 'error', 'aborted'].includes(`${payload['state']}`),
      seconds,
    );
    // Not unhandled when the request fails first.
    ended.catch(() => {});
    await this.request('chat.send', { sessionKey, message, idempotencyKey: runId });
    const { payload } = await ended;
    return {
      state: payload['state'] as Turn['state'],
      text: textOf(payload),
      tools: this.events
        .slice(from)
        .filter((event) => event.event === 'agent' && event.payload['stream'] === 'tool')
        .map((event) => event.payload['data'] as ToolEvent),
    };
  }

  /** A chat that has to end well. */
  async say(message: string, options: { sessionKey?: string; seconds?: number } = {}): Promise<Turn> {
    const turn = await this.chat(message, options);
    if (turn.state !== 'final')
      throw new Error(`"${message.slice(0, 80)}" ended as ${turn.state}: ${turn.text}`);
    return turn;
  }

  async close(): Promise<void> {
    await this.#program.kill();
  }

  #readLines(): void {
    for (;;) {
      const end = this.#program.out.indexOf('\n', this.#read);
      if (end === -1) return;
      const text = this.#program.out.slice(this.#read, end);
      this.#read = end + 1;
      // OpenClaw's modules may print lines of their own.
      if (text.startsWith('{')) this.#take(JSON.parse(text) as Line);
    }
  }

  #take({ hello, event, payload, ...answer }: Line): void {
    if (hello !== undefined) this.#hello?.(hello);
    if (event !== undefined) {
      const entry = { event, payload: payload ?? {} };
      this.events.push(entry);
      for (const listener of this.#listeners) listener(entry);
    }
    if (answer.id === undefined) return;
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }
}

function textOf(payload: Record<string, unknown>): string {
  const { content } = (payload['message'] ?? {}) as { content?: unknown };
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map((part: { text?: string }) => part.text ?? '').join('\n');
  return `${payload['errorMessage'] ?? ''}`;
}
