/** The Control UI in a real browser: the settings form, the page "Backups" in its frame, and the one with buttons. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame, Locator } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ROUTE } from '../ts/plugin/page/route.ts';
import { Browser, chromiumProgram, type Look, type Tab } from './support/browser.ts';
import { Bucket } from './support/bucket.ts';
import { Gateway, Home } from './support/gateway.ts';
import { project } from './support/host.ts';
import { Operator } from './support/operator.ts';
import { until } from './support/until.ts';

const FORM = '/settings/plugins/b2-backup?view=settings';
const LOOKS: [string, Look][] = [
  ['light-desktop', {}],
  ['dark-desktop', { dark: true }],
  ['light-phone', { phone: true }],
  ['dark-phone', { dark: true, phone: true }],
];
const GOOD = '# Memory\n\nThe cat is called Momo.\n';
/** Somebody chose this name for a file, so that a page would run it. */
const EVIL = '<img src=x onerror="document.title=`owned`">.md';

let bucket: Bucket;
let home: Home;
let gateway: Gateway;
let browser: Browser;
let failures = 0;

const workspace = (name: string): string => join(home.stateDir, 'workspace', name);

/** Somebody opens a page, and leaves it. What scripts did wrong, or asked of others, is a failure. */
async function visit(path: string, look: Look, what: (tab: Tab) => Promise<void>): Promise<void> {
  const tab = await browser.open(path, look);
  try {
    await what(tab);
    expect(tab.trouble).toEqual([]);
  } catch (error) {
    await tab.picture(`failed-${failures++}`).catch(() => {});
    throw error;
  } finally {
    await tab.close();
  }
}

/** A browser, a gateway and its plugin that starts anew take long where others keep the machine busy. */
const PATIENT = { timeout: 300_000 };

describe.skipIf(chromiumProgram === undefined)('in a browser (needs Chromium)', PATIENT, () => {
  beforeAll(async () => {
    bucket = await Bucket.start();
    home = await Home.create({ url: 'http://127.0.0.1:9/v1' }, { like: inject('installed').home });
    mkdirSync(workspace(''), { recursive: true });
    writeFileSync(workspace('MEMORY.md'), GOOD);
    writeFileSync(workspace(EVIL), 'harmless\n');
    gateway = await Gateway.start(home);
    browser = await Browser.start(home);
  });

  afterAll(async () => {
    await browser?.close();
    await gateway?.kill();
    await bucket?.close();
    home?.remove();
  });

  describe('the settings form', () => {
    it('takes what people type, and the first backup follows', async () => {
      const { keyId, applicationKey, bucket: name, endpoint, region } = bucket.settings;
      await visit(FORM, {}, async (tab) => {
        const field = (label: string): Locator => tab.page.getByLabel(label, { exact: true });
        for (const [label, text] of [
          ['S3 server', endpoint],
          ['Region', region],
          ['Key ID', keyId],
          ['Application key', applicationKey],
          ['Bucket', name],
        ] as const) {
          await field(label).fill(text);
          await field(label).press('Tab');
        }
        await gateway.says(/scheduled push: Snapshot /, { seconds: 180 });
        expect(await tab.page.getByText(/valid JSON/).count()).toBe(0);
        for (const label of ['Application key', 'Passphrase'])
          expect(await field(label).getAttribute('type')).toBe('password');
        await tab.picture('form');
      });
      expect(home.readConfig().plugins?.entries?.['b2-backup']?.config).toMatchObject({
        bucket: name,
        region,
      });
    });
  });

  describe('the page in its frame', () => {
    /** The Control UI may put another frame in the place of the first. */
    const shown = (tab: Tab, link: string): Promise<void> =>
      tab.page.frameLocator('iframe').getByRole('link', { name: link }).first().waitFor();

    it.each(LOOKS)('keeps nobody out: %s', async (name, look) => {
      await visit('/backups', look, async (tab) => {
        await shown(tab, 'By the schedule');
        const frame = await tab.frame(ROUTE);
        expect(await frame.getByRole('heading', { level: 1 }).textContent()).toContain('Backups are made');
        expect(await tab.violations('html', frame)).toEqual([]);
        expect(await tab.tooWide(frame)).toBe(0);
        const surface = await frame.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const [red = 0] = (/\d+/.exec(surface) ?? []).map(Number);
        expect(red < 128).toBe(look.dark === true);
        await tab.picture(`frame-${name}`);
      });
    });

    it('is seen on a dashboard, too, in a widget that may read it', async () => {
      const operator = await gateway.operator();
      await operator.say('/b2 help');
      const html = readFileSync(join(project, 'assets', 'health-widget.html'), 'utf8');
      const { widgets } = await operator.request<{
        widgets: readonly { name: string; grantState: string }[];
      }>('board.widget.put', {
        ...{ sessionKey: 'agent:main:main', name: 'backups', title: 'Backups' },
        content: { kind: 'html', html },
        declared: { tools: ['b2-backup.health', 'b2-backup.push'] },
      });
      // This gateway asks nobody about capabilities; that it knows them is what counts here.
      expect(widgets).toMatchObject([{ name: 'backups', grantState: 'granted' }]);
      // OpenClaw serves widgets from an address of their own: what else is asked is not looked at.
      const tab = await browser.open('/chat?session=agent:main:main&dashboard=expanded');
      try {
        const shown = await until('the widget', () => widgetIn(tab));
        await until('its verdict', async () =>
          /Backups|backups/.test((await shown.textContent('#title')) ?? ''),
        );
        expect(await shown.textContent('#times')).toMatch(/^Last backup: .*Next: /);
        await tab.picture('dashboard');
        const before = (await bucket.snapshots()).length;
        writeFileSync(workspace('note.md'), 'new\n');
        await shown.click('#push');
        await until('another snapshot', async () => (await bucket.snapshots()).length > before);
      } catch (error) {
        await tab.picture('failed-dashboard').catch(() => {});
        throw error;
      } finally {
        await tab.close();
      }
    });

    it('is used by the keyboard alone, and shows a hostile name as a name', async () => {
      await visit('/backups', {}, async (tab) => {
        await shown(tab, 'By the schedule');
        const frame = await tab.frame(ROUTE);
        const link = frame.getByRole('link', { name: 'By the schedule' });
        await tabTo(tab, link);
        await tab.page.keyboard.press('Enter');
        const part = frame.locator('summary', { hasText: 'Workspace' });
        await part.waitFor();
        await tabTo(tab, part);
        await tab.page.keyboard.press('Enter');
        await frame.getByRole('link', { name: EVIL }).waitFor();
        expect(await tab.violations('html', frame)).toEqual([]);
        await tab.picture('frame-snapshot');
        expect(await frame.evaluate(() => document.title)).not.toContain('owned');
      });
    });
  });

  describe('the page with buttons', () => {
    beforeAll(async () => {
      const config = home.readConfig();
      Object.assign(config.gateway, { controlUi: { experimental: { customPlugins: true } } });
      home.writeConfig(config);
    });

    const ours = (tab: Tab): Locator => tab.page.locator('.b2-backups').first();
    const button = (tab: Tab, name: string): Locator => tab.page.getByRole('button', { name, exact: true });
    const said = (tab: Tab, text: RegExp): Promise<void> => ours(tab).getByText(text).first().waitFor();

    it.each(LOOKS)('keeps nobody out: %s', async (name, look) => {
      await visit('/backups', look, async (tab) => {
        await button(tab, 'Back up now').waitFor();
        await said(tab, /By the schedule/);
        expect(await tab.violations('.b2-backups')).toEqual([]);
        expect(await tab.tooWide()).toBe(0);
        await tab.picture(`native-${name}`);
      });
    });

    it('backs up, says how far it is, and stops when told', async () => {
      await visit('/backups', {}, async (tab) => {
        const push = button(tab, 'Back up now');
        await push.waitFor();
        writeFileSync(workspace('NOTES.md'), 'buy milk\n');
        const { begun } = bucket.gate.hold();
        await push.click();
        await begun();
        await said(tab, /^Uploading/);
        expect(await push.isDisabled()).toBe(true);
        expect(await tab.violations('.b2-backups')).toEqual([]);
        await tab.picture('native-progress');
        await button(tab, 'Cancel').click();
        await said(tab, /this backup was stopped/);
        bucket.gate.release();
        await until('the button to be free', () => push.isEnabled());
        await push.click();
        await said(tab, /^(?:Snapshot|Nothing has changed).*finished \S+/);
        // What others see of it comes by itself.
        await said(tab, /By hand/);
      });
    });

    it('brings a file back in three clicks, and undoes that', async () => {
      writeFileSync(workspace('MEMORY.md'), 'spoilt\n');
      await visit('/backups', {}, async (tab) => {
        await ours(tab).getByRole('link', { name: 'By hand' }).first().click();
        await button(tab, 'Restore this file ...').first().click();
        const confirm = button(tab, 'Restore this file');
        await confirm.waitFor();
        expect(readFileSync(workspace('MEMORY.md'), 'utf8')).toBe('spoilt\n');
        expect(await tab.violations('.b2-dialog')).toEqual([]);
        await tab.picture('native-plan');
        await confirm.click();
        await tab.page.getByText(/Rolled back to/).waitFor();
        expect(readFileSync(workspace('MEMORY.md'), 'utf8')).toBe(GOOD);
        await tab.picture('native-done');
        await button(tab, 'Close').click();
        await tab.page.getByRole('link', { name: 'Backups', exact: true }).last().click();
        await button(tab, 'Undo the last rollback').click();
        await button(tab, 'Undo it').click();
        await tab.page.getByText(/Rolled back to/).waitFor();
        expect(readFileSync(workspace('MEMORY.md'), 'utf8')).toBe('spoilt\n');
      });
    });

    it('is used by the keyboard alone, and keeps the focus in its dialog', async () => {
      await visit('/backups', { phone: true }, async (tab) => {
        const link = ours(tab).getByRole('link', { name: 'By hand' }).first();
        await link.waitFor();
        await tabTo(tab, link);
        await tab.page.keyboard.press('Enter');
        const open = button(tab, 'Restore this file ...').first();
        await open.waitFor();
        // The link is gone; whoever hears the page goes on at the heading of the new one.
        await until('the heading to have the focus', () => isFocused(ours(tab).locator('h1')));
        await tabTo(tab, open);
        await tab.page.keyboard.press('Enter');
        await button(tab, 'Restore this file').waitFor();
        await until('the safe button to have the focus', () => isFocused(button(tab, 'Cancel')));
        for (let times = 0; times < 8; times += 1) {
          await tab.page.keyboard.press('Tab');
          expect(
            await tab.page.evaluate(() =>
              document.activeElement?.matches('.b2-backups:not(.b2-dialog) *:not(.b2-dialog *)'),
            ),
          ).toBe(false);
        }
        await tab.picture('native-plan-phone');
        expect(await tab.tooWide()).toBe(0);
        await tab.page.keyboard.press('Escape');
        await button(tab, 'Restore this file').waitFor({ state: 'detached' });
        expect(await isFocused(open)).toBe(true);
      });
      expect(readFileSync(workspace('MEMORY.md'), 'utf8')).toBe('spoilt\n');
    });

    it('shows what is wrong, and when it is over', async () => {
      await visit('/backups', {}, async (tab) => {
        await button(tab, 'Back up now').waitFor();
        home.configurePlugin({ applicationKey: 'K004wrongwrongwrong' });
        await said(tab, /The key is refused|The secret does not open/);
        expect(await tab.violations('.b2-backups')).toEqual([]);
        await tab.picture('native-broken');
        home.configurePlugin({ applicationKey: bucket.settings.applicationKey });
        await said(tab, /Backups are made/);
      });
    });

    it('rolls everything back over a restart, and tells how it went', async () => {
      await visit('/backups', {}, async (tab) => {
        await ours(tab).getByRole('link', { name: 'By hand' }).first().click();
        await gateway.call('cron.add', {
          ...{ name: 'evil', enabled: false, schedule: { kind: 'cron', expr: '0 5 * * *' }, wakeMode: 'now' },
          ...{
            sessionTarget: 'isolated',
            payload: { kind: 'command', argv: ['true'] },
            delivery: { mode: 'none' },
          },
        });
        await button(tab, 'Roll back ...').click();
        const confirm = button(tab, 'Roll back and restart');
        await confirm.waitFor();
        expect(await tab.page.locator('.b2-dialog').textContent()).toMatch(/Goes back to today, .*\b1 job\b/);
        await tab.picture('native-plan-everything');
        const from = gateway.log.length;
        await confirm.click();
        await gateway.says(/http server listening/, { from, seconds: 180 });
        // The Control UI connects again by itself.
        await said(tab, /OpenClaw was rolled back to/);
        await tab.picture('native-rolled-back');
      });
      expect(readFileSync(workspace('MEMORY.md'), 'utf8')).toBe(GOOD);
    });

    it('lets through no markup that runs, or leads anywhere else', async () => {
      const source = readFileSync(join(project, 'dist', 'control-ui', 'markup.js'), 'utf8');
      await visit('/backups', {}, async ({ page }) => {
        await page.goto('about:blank');
        const module = `data:text/javascript,${encodeURIComponent(source)}`;
        const markup =
          '<main id="x" onclick="evil()"><script>evil()</script><img src=x onerror="evil()"><p style="position:fixed">a' +
          '<a href="javascript:evil()">b</a><a href="https://evil.example">c</a><a href="?file=d">d</a></p>' +
          '<svg><script>evil()</script><foreignObject><p>e</p></foreignObject><path d="M0" onload="evil()"/></svg>' +
          '<iframe srcdoc="f"></iframe><form action="/g"><button formaction="/h">g</button></form></main>';
        // As text: vitest would change what it compiles.
        const built: unknown = await page.evaluate(`(async () => {
          const { build } = await import(${JSON.stringify(module)});
          const box = document.createElement('div');
          box.append(build(${JSON.stringify(markup)}, (search) => '/backups' + search));
          return box.innerHTML;
        })()`);
        expect(built).toBe(
          '<div id="b2-x"><p>a<a>b</a><a>c</a><a href="/backups?file=d" data-search="?file=d">d</a></p>' +
            '<svg><path d="M0"></path></svg></div>',
        );
      });
    });
  });

  describe('who may only look', () => {
    it('can start nothing, and roll nothing back', async () => {
      const { port, auth } = home.readConfig().gateway;
      const operator = await Operator.connect(port, auth.token, home.path, ['operator.read']);
      try {
        expect(await operator.request('b2-backup.activity')).toBeTypeOf('object');
        for (const method of ['push', 'cancel', 'preview', 'confirm'])
          await expect(operator.request(`b2-backup.${method}`)).rejects.toThrow(/scope/);
      } finally {
        await operator.close();
      }
    });
  });
});

/** The innermost frame of the widget: OpenClaw puts it into two. */
async function widgetIn({ page }: Tab): Promise<Frame | undefined> {
  for (const frame of page.frames()) {
    if (
      (await frame
        .locator('#standing')
        .count()
        .catch(() => 0)) > 0
    )
      return frame;
  }
  return undefined;
}

async function isFocused(wanted: Locator): Promise<boolean> {
  return await wanted.first().evaluate((element) => element === element.ownerDocument.activeElement);
}

/** Presses Tab until `wanted` has the focus. */
async function tabTo(tab: Tab, wanted: Locator): Promise<void> {
  for (let times = 0; times < 120; times += 1) {
    if (await isFocused(wanted)) return;
    await tab.page.keyboard.press('Tab');
  }
  throw new Error(`no key leads to ${wanted}`);
}
