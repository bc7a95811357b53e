/** The tab "Backups" of the Control UI, and the route that its frame shows. */
import { randomBytes } from 'node:crypto';
import type { HttpRequest, HttpResponse, PluginApi } from '../api.js';
import { mainSession } from '../settings.js';
import { currentBackup } from '../shared.js';
import { contentPolicy, documentOf, type View } from './document.js';
import { pageModel } from './model.js';
import { type Chat, overview } from './overview.js';
import { stopped } from './stopped.js';

/** Where the frame's document is. Its own path must not be that of the tab (`/backups`). */
export const ROUTE = '/plugins/b2-backup/page';

/** Registers both. Who may read the gateway may see them: `operator.read`. */
export function registerPage(api: PluginApi): void {
  api.registerHttpRoute?.({
    path: ROUTE,
    auth: 'gateway',
    match: 'exact',
    handler: async (request, response) => {
      await answer(request, response, mainSession(api.config));
      return true;
    },
  });
  api.session?.controls?.registerControlUiDescriptor?.({
    surface: 'tab',
    id: 'backups',
    label: 'Backups',
    description: 'Whether backups work, and every snapshot of this OpenClaw',
    icon: 'archive',
    group: 'control',
    order: 50,
    slug: 'backups',
    path: ROUTE,
    requiredScopes: ['operator.read'],
  });
}

async function answer({ method = 'GET' }: HttpRequest, response: HttpResponse, chat: Chat): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    response.statusCode = 405;
    response.setHeader('Allow', 'GET, HEAD');
    response.end();
    return;
  }
  const nonce = randomBytes(16).toString('base64');
  response.statusCode = 200;
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.setHeader('Content-Security-Policy', contentPolicy(nonce));
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  const document = documentOf(await viewOf(chat), nonce);
  response.end(method === 'HEAD' ? undefined : document);
}

async function viewOf(chat: Chat): Promise<View> {
  const backup = currentBackup();
  if (backup === undefined) return stopped();
  return overview(pageModel(await backup.view.facts()), chat);
}
