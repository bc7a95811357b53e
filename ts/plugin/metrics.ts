/** How the backups stand, for Prometheus and whatever reads its text format (version 0.0.4). */
import type { HttpRequest, HttpResponse, PluginApi } from './api.js';
import type { Facts } from './page/facts.js';
import { provenAt, verdictOf } from './page/verdict.js';
import { currentBackup } from './shared.js';

/** Where it is. The gateway asks for its token before. */
export const METRICS_ROUTE = '/plugins/b2-backup/metrics';

/** One figure. Not shown where it is not known. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly value: number | undefined;
}

/** Registers the route. */
export function registerMetrics(api: PluginApi): void {
  api.registerHttpRoute?.({
    path: METRICS_ROUTE,
    auth: 'gateway',
    match: 'exact',
    handler: async (request, response) => {
      await answer(request, response);
      return true;
    },
  });
}

async function answer({ method = 'GET' }: HttpRequest, response: HttpResponse): Promise<void> {
  const backup = currentBackup();
  const allowed = method === 'GET' || method === 'HEAD';
  response.statusCode = !allowed ? 405 : backup === undefined ? 503 : 200;
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (!allowed) response.setHeader('Allow', 'GET, HEAD');
  if (!allowed || backup === undefined) {
    response.end();
    return;
  }
  response.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8');
  const text = metricsOf(await backup.view.facts());
  response.end(method === 'HEAD' ? undefined : text);
}

/** The text. */
export function metricsOf(facts: Facts): string {
  return all(facts)
    .filter(({ value }) => value !== undefined)
    .flatMap(({ name, help, value }) => [
      `# HELP b2_backup_${name} ${help}`,
      `# TYPE b2_backup_${name} gauge`,
      `b2_backup_${name} ${value}`,
    ])
    .map((line) => `${line}\n`)
    .join('');
}

function all(facts: Facts): readonly Metric[] {
  const { gateway, bucket, now } = facts;
  const { standing } = verdictOf(facts);
  const last = seconds(gateway.lastSuccessAt);
  const newest = bucket?.list.snapshots.find(({ id }) => id === bucket.status.lastSnapshot);
  const remarks = bucket?.status.remarks ?? gateway.remarks ?? [];
  const metric = (name: string, help: string, value: number | undefined): Metric => ({ name, help, value });
  return [
    metric(
      'healthy',
      '1 while backups work, 0 while something is to be done.',
      Number(standing === 'works' || standing === 'made'),
    ),
    metric('last_success_timestamp_seconds', 'When a backup last succeeded, with or without changes.', last),
    metric(
      'age_seconds',
      'How long ago that was.',
      last === undefined ? undefined : Math.max(0, now.getTime() / 1000 - last),
    ),
    metric('next_timestamp_seconds', 'When the next scheduled backup is due.', seconds(gateway.nextAt)),
    metric('failures', 'Backups that have failed since the last success.', gateway.failures),
    metric('running', '1 while a backup runs.', Number(gateway.running !== undefined)),
    metric(
      'incomplete',
      '1 while the newest snapshot lacks something of the state.',
      Number(remarks.some(({ missing }) => missing)),
    ),
    metric('snapshots', 'Snapshots of all machines in the bucket.', bucket?.status.snapshots),
    metric(
      'stored_bytes',
      'Bytes of all objects in the bucket below the prefix.',
      bucket?.status.storedBytes,
    ),
    metric(
      'last_snapshot_bytes',
      'Bytes of all files in the newest snapshot of this machine.',
      newest?.bytes,
    ),
    metric('last_snapshot_files', 'Files in the newest snapshot of this machine.', newest?.files),
    metric(
      'last_verify_timestamp_seconds',
      'When a part of what is stored was last read again.',
      seconds(gateway.lastVerifyAt),
    ),
    metric(
      'last_restore_trial_timestamp_seconds',
      'When a trial restore last brought everything back.',
      seconds(provenAt(facts)),
    ),
    metric(
      'damaged_packs',
      'Packs that were found lost or damaged, and that snapshots still need.',
      bucket?.status.damagedPacks,
    ),
  ];
}

function seconds(iso: string | undefined): number | undefined {
  const at = iso === undefined ? Number.NaN : Date.parse(iso);
  return Number.isNaN(at) ? undefined : at / 1000;
}
