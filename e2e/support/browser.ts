/** A real browser on the Control UI of a gateway: what people see, at their sizes and in their colours. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser as Chromium, chromium, type Frame, type Page } from 'playwright-core';
import type { Home } from './gateway.ts';
import { cache, environment } from './host.ts';
import { until } from './until.ts';

/** Where Debian installs it. */
const INSTALLED = '/usr/bin/chromium';

/** The program; undefined where there is none. `B2_CHROMIUM` names another one. */
export const chromiumProgram = [process.env['B2_CHROMIUM'], INSTALLED].find(
  (path) => path !== undefined && existsSync(path),
);

/** What was seen, for whoever changes a page to look at. */
export const screenshots = join(cache, 'screenshots');

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Nothing of it asks anybody for anything but the gateway. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** How long something may take to appear on a machine that is busy, in milliseconds. */
const PATIENCE_MS = 90_000;

/** How somebody looks at it. */
export interface Look {
  readonly dark?: boolean;
  readonly phone?: boolean;
}

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

/** A browser of the user of a home. */
export class Browser {
  readonly #chromium: Chromium;
  readonly #home: Home;

  private constructor(program: Chromium, home: Home) {
    this.#chromium = program;
    this.#home = home;
  }

  static async start(home: Home): Promise<Browser> {
    mkdirSync(screenshots, { recursive: true });
    const executablePath = chromiumProgram;
    if (executablePath === undefined) throw new Error('there is no Chromium; B2_CHROMIUM can name one');
    // The reaper finds it by the environment.
    const env = Object.fromEntries(
      Object.entries(environment(home.path)).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    );
    return new Browser(await chromium.launch({ executablePath, args: ARGUMENTS, env }), home);
  }

  /** A tab of a browser that nobody has used, at an address of the Control UI, signed in. */
  async open(path: string, { dark = false, phone = false }: Look = {}): Promise<Tab> {
    const { port, auth } = this.#home.readConfig().gateway;
    const context = await this.#chromium.newContext({
      viewport: phone ? PHONE : DESKTOP,
      colorScheme: dark ? 'dark' : 'light',
      isMobile: phone,
      hasTouch: phone,
      timezoneId: 'Europe/Vienna',
      locale: 'en-GB',
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const tab = new Tab(page, port);
    await page.goto(`http://127.0.0.1:${port}${path}#token=${auth.token}`);
    return tab;
  }

  async close(): Promise<void> {
    await this.#chromium.close();
  }
}

/** One tab. */
export class Tab {
  readonly page: Page;
  /** Errors of scripts, and what was asked of anybody but the gateway. */
  readonly trouble: string[] = [];

  constructor(page: Page, port: number) {
    this.page = page;
    page.on('pageerror', (error) => this.trouble.push(`${error}`));
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (/^(?:https?|wss?):$/.test(protocol) && host !== `127.0.0.1:${port}`)
        this.trouble.push(`asked ${request.url()}`);
    });
  }

  /** The frame that shows a path of the gateway. */
  async frame(path: string): Promise<Frame> {
    return await until(`a frame of ${path}`, () =>
      this.page.frames().find((frame) => new URL(frame.url()).pathname === path),
    );
  }

  /** Keeps a picture. */
  async picture(name: string): Promise<void> {
    await this.page.screenshot({ path: join(screenshots, `${name}.png`), animations: 'disabled' });
  }

  /** What keeps people out below `selector`, in words; empty where nothing does. */
  async violations(selector: string, where: Page | Frame = this.page): Promise<string[]> {
    await where.evaluate(axeSource);
    return await where.evaluate(async (within) => {
      interface Found {
        violations: { id: string; help: string; nodes: { target: unknown; failureSummary: string }[] }[];
      }
      const { axe } = globalThis as unknown as {
        axe: { run(within: string, options: object): Promise<Found> };
      };
      const { violations } = await axe.run(within, { resultTypes: ['violations'] });
      return violations.flatMap(({ id, help, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target}: ${failureSummary}`),
      );
    }, selector);
  }

  /** By how many pixels it is wider than the window: then people have to scroll sideways. */
  async tooWide(where: Page | Frame = this.page): Promise<number> {
    return await where.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
