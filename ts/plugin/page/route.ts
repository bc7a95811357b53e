/** The tab "Backups" of the Control UI, and the route that its frame shows. */
import { randomBytes } from 'node:crypto';
import { LIVE } from '../../operations.js';
import type { HttpRequest, HttpResponse, PluginApi } from '../api.js';
import type { Backup } from '../backup.js';
import { mainSession, workspaceOf } from '../settings.js';
import { currentBackup } from '../shared.js';
import { contentPolicy, documentOf, type View } from './document.js';
import { fileView } from './file.js';
import { pageModel } from './model.js';
import { type Chat, overview } from './overview.js';
import { snapshotView } from './snapshot.js';
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
      await answer(request, response, api);
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

/** Longer names of snapshots and files are none of ours. */
const LONGEST = 4_096;

async function answer(
  { method = 'GET', url = '' }: HttpRequest,
  response: HttpResponse,
  api: PluginApi,
): Promise<void> {
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
  const view = await viewAt(api, url.split('?')[1] ?? '');
  response.end(method === 'HEAD' ? undefined : documentOf(view, nonce));
}

/** What is shown at an address, in the frame and in the Control UI itself; `query` is what follows the question mark. */
export async function viewAt(api: PluginApi, query: string): Promise<View> {
  const backup = currentBackup();
  if (backup === undefined) return stopped();
  const chat = mainSession(api.config);
  return viewOf(backup, new URLSearchParams(query), chat, workspaceOf(api, chat));
}

async function viewOf(
  { view }: Backup,
  asked: URLSearchParams,
  chat: Chat,
  workspace: string | undefined,
): Promise<View> {
  const model = pageModel(await view.facts());
  const file = named(asked, 'file');
  if (file !== undefined) return fileView(file, model, await view.history(file, workspace));
  const id = named(asked, 'snapshot');
  if (id === undefined) return overview(model, chat);
  const one = model.days.flatMap(({ snapshots }) => snapshots).find((snapshot) => snapshot.id === id);
  const other = asked.get('with') === LIVE ? LIVE : one?.before;
  const [holds, differs] = await Promise.all([
    view.snapshot(id),
    other === undefined
      ? undefined
      : other === LIVE
        ? view.diff(id, LIVE, workspace)
        : view.diff(other, id, workspace),
  ]);
  return snapshotView({ id, model, holds, with: other, differs });
}

function named(asked: URLSearchParams, name: string): string | undefined {
  const value = asked.get(name) ?? '';
  return value === '' || value.length > LONGEST ? undefined : value;
}
