/**
 * A model on loopback that speaks OpenAI's chat completions and does what the user's message tells it:
 *
 * - `CALL <tool> <json arguments>`: calls that tool, once, and then answers `RESULT: ` and the tool's text
 * - `BIG <n>`: answers with n words, to make a transcript grow
 * - `SAY <text>`: answers with the text, up to the end of the line
 * - a sentence of {@linkcode Model.understands}: calls the tool that it is about, and then answers the tool's text
 *
 * Anything else is answered with `MOCK-REPLY`; a request to summarize, with a summary.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { within } from './until.ts';

interface Message {
  readonly role: string;
  readonly content?: unknown;
}

interface Request {
  readonly messages: readonly Message[];
  readonly tools?: readonly {
    readonly function?: { readonly name?: string; readonly description?: string };
  }[];
  readonly stream?: boolean;
}

/** What the model answered. */
type Reply =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'summary'; readonly text: string }
  | { readonly kind: 'call'; readonly tool: string; readonly args: string };

/** A request and the answer to it. */
export interface Exchange {
  readonly request: Request;
  readonly reply: Reply;
}

const SUMMARY = [
  '## Goal\nMock summary of the conversation.',
  ...['Decisions', 'Open TODOs', 'Constraints/Rules', 'Pending user asks', 'Exact identifiers'].map(
    (heading) => `## ${heading}\nnone`,
  ),
].join('\n\n');

/** What OpenClaw adds to a turn for the model only. */
const INTERNAL = 'OPENCLAW_INTERNAL_CONTEXT';

/** Which tool the model calls for a sentence, and with what, given all that was said before. */
export interface Understood {
  readonly tool: string;
  readonly args: (said: string) => object;
}

export class Model {
  /** What people say in words of their own. */
  readonly understands = new Map<string, Understood>();
  /** The `baseUrl` of the provider. */
  readonly url: string;
  readonly exchanges: Exchange[] = [];
  /**
   * How many tokens each prompt is said to have had, instead of an estimate: OpenClaw compacts a session by
   * itself when that comes near the context window.
   */
  promptTokens: number | undefined;
  #summaries: Promise<void> | undefined;
  readonly #server: Server;
  readonly #listeners = new Set<(exchange: Exchange) => void>();
  #replies = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<Model> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    return new Model(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** From now on summaries take as long as a real model's: until the returned function is called. */
  holdSummaries(): () => void {
    let go = (): void => {};
    this.#summaries = new Promise((resolve) => {
      go = resolve;
    });
    return go;
  }

  /** The next exchange from now on that fits. */
  async next(what: string, fits: (exchange: Exchange) => boolean, seconds = 60): Promise<Exchange> {
    let listener: ((exchange: Exchange) => void) | undefined;
    const found = new Promise<Exchange>((resolve) => {
      listener = (exchange) => {
        if (fits(exchange)) resolve(exchange);
      };
      this.#listeners.add(listener);
    });
    try {
      return await within(`the model to get ${what}`, found, { seconds });
    } finally {
      if (listener !== undefined) this.#listeners.delete(listener);
    }
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of message) chunks.push(chunk as Uint8Array);
    if (message.url?.endsWith('/models')) {
      sendJson(response, 200, { object: 'list', data: [{ id: 'm1', object: 'model' }] });
      return;
    }
    if (!message.url?.endsWith('/chat/completions')) {
      sendJson(response, 404, { error: { message: `no such place: ${message.url}` } });
      return;
    }
    const request = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Request;
    const reply = decide(request, this.understands);
    if (reply.kind === 'summary') await this.#summaries;
    const prompt = this.promptTokens ?? Math.ceil(JSON.stringify(request.messages).length / 4);
    const usage = { prompt_tokens: prompt, completion_tokens: 20, total_tokens: prompt + 20 };
    this.#replies += 1;
    send(response, `chatcmpl-${this.#replies}`, reply, usage, request.stream === true);
    const exchange = { request, reply };
    this.exchanges.push(exchange);
    for (const listener of this.#listeners) listener(exchange);
  }
}

/** What a person would be told of a tool's result. The host's tool that calls others puts it into an object. */
function inWords(result: string): string {
  try {
    const { content } = (JSON.parse(result) as { result: { content: { text: string }[] } }).result;
    return content.map(({ text }) => text).join('\n');
  } catch {
    return result;
  }
}

function textOf(message: Message | undefined): string {
  const content = message?.content;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: { text?: string }) => part.text ?? '').join('\n');
}

function decide({ messages, tools = [] }: Request, understands: ReadonlyMap<string, Understood>): Reply {
  const last = messages.at(-1);
  const internal = textOf(last).includes(INTERNAL);
  const users = messages.filter(({ role }) => role === 'user');
  const user = textOf(users.findLast((message) => !textOf(message).includes(INTERNAL)) ?? users.at(-1));
  const understood = [...understands].find(([sentence]) => user.includes(sentence))?.[1];
  if (last?.role === 'tool' || (internal && messages.at(-2)?.role === 'tool')) {
    const result = textOf(messages.findLast(({ role }) => role === 'tool'));
    return { kind: 'text', text: understood === undefined ? `RESULT: ${result}` : inWords(result) };
  }
  const system = messages.filter(({ role }) => role === 'system' || role === 'developer').map(textOf);
  if (tools.length === 0 && /summar/i.test(system.join('\n') + user))
    return { kind: 'summary', text: SUMMARY };

  const call = /CALL (\S+) (\{.*\})/.exec(user);
  const [, tool, args] =
    understood === undefined
      ? (call ?? [])
      : ['', understood.tool, JSON.stringify(understood.args(messages.map(textOf).join('\n')))];
  if (tool !== undefined && args !== undefined) {
    const names = tools.map((entry) => entry.function?.name);
    // By default the model does not see plugin tools, but one tool to find and call them with.
    return names.includes(tool) || !names.includes('tool_call')
      ? { kind: 'call', tool, args }
      : {
          kind: 'call',
          tool: 'tool_call',
          args: JSON.stringify({ id: tool, args: JSON.parse(args) as unknown }),
        };
  }
  const big = /BIG (\d+)/.exec(user);
  if (big !== null) return { kind: 'text', text: 'word '.repeat(Number(big[1])) };
  return { kind: 'text', text: /SAY ([^\n]+)/.exec(user)?.[1] ?? 'MOCK-REPLY' };
}

function send(response: ServerResponse, id: string, reply: Reply, usage: object, stream: boolean): void {
  const call =
    reply.kind === 'call'
      ? { id: `call_${id}`, type: 'function', function: { name: reply.tool, arguments: reply.args } }
      : undefined;
  const text = reply.kind === 'call' ? null : reply.text;
  const finish = call === undefined ? 'stop' : 'tool_calls';
  const common = { id, created: 1, model: 'm1' };
  if (!stream) {
    const message = { role: 'assistant', content: text, ...(call && { tool_calls: [call] }) };
    const choices = [{ index: 0, finish_reason: finish, message }];
    sendJson(response, 200, { ...common, object: 'chat.completion', choices, usage });
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const chunk = (choices: object[], more: object = {}): void => {
    const body = { ...common, object: 'chat.completion.chunk', choices, ...more };
    response.write(`data: ${JSON.stringify(body)}\n\n`);
  };
  chunk([{ index: 0, delta: { role: 'assistant', content: text }, finish_reason: null }]);
  if (call) chunk([{ index: 0, delta: { tool_calls: [{ index: 0, ...call }] }, finish_reason: null }]);
  chunk([{ index: 0, delta: {}, finish_reason: finish }]);
  chunk([], { usage });
  response.end('data: [DONE]\n\n');
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
