/** Telegram on loopback: its Bot API as far as OpenClaw's own channel asks it, and a person who writes to the bot. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A message of the bot. */
export interface Sent {
  readonly id: number;
  readonly text: string;
  readonly buttons: readonly { readonly text: string; readonly data: string }[];
}

interface Keyboard {
  readonly inline_keyboard?: readonly (readonly { text: string; callback_data?: string }[])[];
}

type Parameters = Record<string, unknown> & { readonly reply_markup?: Keyboard | string };

/** Whoever writes to the bot, in a chat of two. */
const PERSON = { id: 4711, is_bot: false, first_name: 'Ada' };
const CHAT = { id: PERSON.id, type: 'private', first_name: 'Ada' };
const BOT = { id: 123456, is_bot: true, first_name: 'Claw', username: 'claw_test_bot' };
const TOKEN = `${BOT.id}:e2e-test-token-of-nobody`;
/** So long a request for news is held, in milliseconds; the real one holds it for what is asked. */
const POLL_MS = 2_000;
/** How long the bot may take on a machine that is busy, in milliseconds. */
const PATIENCE_MS = 90_000;

export class Telegram {
  /** What belongs into `openclaw.json`: the channel, and who owns this OpenClaw. */
  readonly config: object;
  readonly sent: Sent[] = [];
  readonly #server: Server;
  readonly #updates: ({ update_id: number } & Record<string, unknown>)[] = [];
  readonly #listeners = new Set<() => void>();
  #count = 0;

  private constructor(server: Server) {
    this.#server = server;
    const apiRoot = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.config = {
      channels: {
        telegram: {
          ...{ enabled: true, botToken: TOKEN, apiRoot },
          ...{ dmPolicy: 'allowlist', allowFrom: [`${PERSON.id}`] },
        },
      },
      commands: { ownerAllowFrom: [`telegram:${PERSON.id}`] },
    };
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<Telegram> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    return new Telegram(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** The person writes; gives the next message of the bot that fits. */
  async write(text: string, fits: RegExp): Promise<Sent> {
    const from = this.sent.length;
    const command = /^\/\S+/.exec(text)?.[0];
    const entities = command && [{ type: 'bot_command', offset: 0, length: command.length }];
    this.#add({ message: { ...this.#head(), from: PERSON, text, ...(entities && { entities }) } });
    return await this.#next(text, fits, from);
  }

  /** The person presses a button below a message; gives the next message of the bot that fits. */
  async press({ id, text, buttons }: Sent, label: string, fits: RegExp): Promise<Sent> {
    const from = this.sent.length;
    const button = buttons.find((one) => one.text === label);
    if (button === undefined) throw new Error(`there is no button "${label}" below: ${text}`);
    const keyboard = buttons.map((one) => [{ text: one.text, callback_data: one.data }]);
    const message = {
      ...{ ...this.#head(), message_id: id, from: BOT, text },
      reply_markup: { inline_keyboard: keyboard },
    };
    this.#add({
      callback_query: {
        id: `${++this.#count}`,
        from: PERSON,
        chat_instance: '1',
        message,
        data: button.data,
      },
    });
    return await this.#next(`an answer to the button ${label}`, fits, from);
  }

  #head(): { message_id: number; date: number; chat: typeof CHAT } {
    return { message_id: ++this.#count, date: Math.floor(Date.now() / 1_000), chat: CHAT };
  }

  #add(update: Record<string, unknown>): void {
    this.#updates.push({ update_id: ++this.#count, ...update });
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  async #next(what: string, fits: RegExp, from: number): Promise<Sent> {
    const found = await this.#when(
      () => this.sent.slice(from).find(({ text }) => fits.test(text)),
      AbortSignal.timeout(PATIENCE_MS),
    );
    if (found !== undefined) return found;
    const all = this.sent.map(({ text }) => text).join('\n---\n');
    throw new Error(`the bot has not answered: ${what}\n${all}`);
  }

  /** Resolves when `look` finds something, now or after a change, or when `over` says that it is too late. */
  #when<T>(look: () => T | undefined, over?: AbortSignal): Promise<T | undefined> {
    return new Promise((resolve) => {
      const listener = (): void => {
        const found = look();
        if (found === undefined && over?.aborted !== true) return;
        this.#listeners.delete(listener);
        resolve(found);
      };
      this.#listeners.add(listener);
      over?.addEventListener('abort', listener, { once: true });
      listener();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const [, token, method = ''] = /^\/bot([^/]+)\/(\w+)/.exec(request.url ?? '') ?? [];
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (token !== TOKEN) return answer(401, { ok: false, error_code: 401, description: 'Unauthorized' });
    const text = Buffer.concat(chunks).toString('utf8');
    answer(200, {
      ok: true,
      result: await this.#result(method, (text === '' ? {} : JSON.parse(text)) as Parameters),
    });
  }

  async #result(method: string, given: Parameters): Promise<unknown> {
    switch (method) {
      case 'getMe':
        return {
          ...BOT,
          can_join_groups: true,
          can_read_all_group_messages: false,
          supports_inline_queries: false,
        };
      case 'getUpdates':
        return await this.#news(Number(given['offset'] ?? 0));
      case 'getWebhookInfo':
        return { url: '', has_custom_certificate: false, pending_update_count: 0 };
      case 'getChat':
        return CHAT;
      case 'sendMessage':
      case 'sendRichMessage':
      case 'editMessageText':
        return this.#take(given);
      default:
        return true;
    }
  }

  async #news(offset: number): Promise<unknown[]> {
    const fresh = (): unknown[] | undefined => {
      const all = this.#updates.filter(({ update_id }) => update_id >= offset);
      return all.length === 0 ? undefined : all;
    };
    return (await this.#when(fresh, AbortSignal.timeout(POLL_MS))) ?? [];
  }

  #take(given: Parameters): object {
    const { reply_markup: markup = {}, message_id, text } = given;
    const keyboard = (typeof markup === 'string' ? (JSON.parse(markup) as Keyboard) : markup).inline_keyboard;
    const buttons = (keyboard ?? []).flat().map((one) => ({ text: one.text, data: one.callback_data ?? '' }));
    const head = this.#head();
    const id = typeof message_id === 'number' ? message_id : head.message_id;
    this.sent.push({ id, text: String(text ?? JSON.stringify(given)), buttons });
    this.#tell();
    return { ...head, message_id: id, from: BOT, text };
  }
}
