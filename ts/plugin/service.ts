/** The service: one backup for as long as the gateway runs. */
import { createEngine, type Engine } from '../engine.js';
import { BackupError, printableError, toBackupError } from '../errors.js';
import { findOpenClaw, openClawVersion } from '../openclaw.js';
import { printable, printableText } from '../text.js';
import { Announcer } from './announce.js';
import type { Logger, PluginApi, Service, ServiceContext } from './api.js';
import { Backup } from './backup.js';
import { type Clock, systemClock } from './clock.js';
import { eventWaits, News, type Session, transcriptUpdates } from './news.js';
import { Ping } from './ping.js';
import { RecordFile } from './record.js';
import { Reporter } from './report.js';
import { restartGateway } from './restart.js';
import { type Configured, configure, mainSession, PLUGIN_ID } from './settings.js';
import { gatewayRuns, installBackup, removeBackup } from './shared.js';
import type { Voice } from './voice.js';

/** What a test may replace. */
export interface ServiceDeps {
  readonly engine?: Engine;
  readonly clock?: Clock;
  readonly restart?: (logger: Logger) => void;
  /** The version of OpenClaw that is installed now, whichever runs. */
  readonly installed?: () => string | undefined;
  /** Whether what was told still waits for the session's next turn. */
  readonly waits?: typeof eventWaits;
}

/** Makes the service. */
export function createService(
  api: PluginApi,
  {
    engine = createEngine(),
    clock = systemClock,
    restart = restartGateway,
    waits = eventWaits,
    installed = () => openClawVersion(findOpenClaw()),
  }: ServiceDeps = {},
): Service {
  let running: { readonly backup: Backup; readonly reporter: Reporter; readonly news: News } | undefined;
  let starting = new AbortController();

  const start = async (context: ServiceContext, signal: AbortSignal): Promise<void> => {
    const { stateDir, serviceHealth, gatewayEvents } = context;
    const logger = named(context.logger);
    const { configured, warnings } = configure(api, stateDir);
    for (const warning of warnings) logger.warn(warning);
    const news = new News({
      tell: (text, to) => enqueue(api, logger, text, to, `${PLUGIN_ID}:rollback`),
      waits,
      updates: (listener) => transcriptUpdates(api, listener),
    });
    const { sessionKey: key, agentId: agent } = mainSession(context.config);
    const session = ({ sessionKey = key, agentId = agent }: Partial<Session> = {}): Session => ({
      sessionKey,
      agentId,
    });
    const announcer = new Announcer((event, payload) => {
      try {
        gatewayEvents?.emit(event, payload, { scope: 'operator.read' });
      } catch (error) {
        // The host takes none after the stop.
        logger.debug?.(`cannot tell open pages: ${String(error)}`);
      }
    }, clock);
    const address = configured instanceof BackupError ? undefined : configured.policy.healthcheckUrl;
    const ping = address === undefined ? undefined : new Ping(address, { logger });
    const voice: Voice = {
      logger,
      ping: (problem) => void ping?.tell(problem),
      changed: () => announcer.changed(),
      health: serviceHealth && {
        clearFailure: () => serviceHealth.clearFailure(),
        reportFailure: (error: unknown) => serviceHealth.reportFailure(printableError(error)),
      },
      tellUser: (text, wake, to) => {
        enqueue(api, logger, printableText(text), session(to), PLUGIN_ID);
        if (wake) wakeAgent(api, logger);
      },
      tellForSure: (text, wake, to, carried) => {
        news.tell(printableText(text), session(to), carried);
        if (wake) wakeAgent(api, logger);
      },
      tellAgain: () => news.again(),
    };
    const reporter = new Reporter(new RecordFile(stateDir), voice, clock);
    await reporter.open();
    const usable = await checkEngine(engine, configured);
    if (signal.aborted) return;
    const backup = new Backup({
      engine,
      clock,
      reporter,
      configured: usable,
      restart: () => restart(logger),
      installed,
      announcer,
    });
    running = { backup, reporter, news };
    installBackup(backup);
    if (usable instanceof BackupError) {
      logger.error(`nothing is backed up: ${usable.message} (${usable.code})`);
      serviceHealth?.reportFailure(printableError(usable));
      return;
    }
    const { settings, policy } = usable;
    // A plugin that is only replaced finds agents at work: what waits goes on waiting for the stop.
    const atWork = gatewayRuns();
    if (atWork) backup.rollbacks.tellLast();
    else await backup.recover();
    logger.info(`backing up ${settings.stateDir} to ${settings.bucket}, schedule "${policy.schedule.text}"`);
    if (!atWork) await backup.autoRestore(signal);
    if (signal.aborted) return;
    await reporter.storesAt(settings, signal);
    if (signal.aborted) return;
    backup.start();
  };

  return {
    id: PLUGIN_ID,
    // The gateway waits for it before its agents run. It takes milliseconds, but for a rollback that was cut off.
    start: async (context) => {
      starting = new AbortController();
      try {
        await start(context, starting.signal);
      } catch (error) {
        named(context.logger).error(`cannot start: ${toBackupError(error).message}`);
        context.serviceHealth?.reportFailure(printableError(error));
      }
    },
    // A reload allows five seconds: what runs is cut off, not awaited.
    stop: async () => {
      starting.abort();
      if (running === undefined) return;
      const { backup, reporter, news } = running;
      running = undefined;
      backup.stop();
      news.stop();
      removeBackup(backup);
      await reporter.saved();
    },
  };
}

/** A machine without a fitting addon is told of at the start, not at midnight. */
async function checkEngine(
  engine: Engine,
  configured: Configured | BackupError,
): Promise<Configured | BackupError> {
  if (configured instanceof BackupError) return configured;
  try {
    await engine.load();
    return configured;
  } catch (error) {
    return toBackupError(error);
  }
}

/**
 * The host marks a service's lines with no more than "plugins", and writes them as they are: what came from a bucket or a
 * file's name must not look like another line, or command a terminal.
 */
function named(logger: Logger): Logger {
  const line = (message: string) => `${PLUGIN_ID}: ${printable(message)}`;
  return {
    info: (message) => logger.info(line(message)),
    warn: (message) => logger.warn(line(message)),
    error: (message) => logger.error(line(message)),
  };
}

/** Puts a text before the session's next turn. False when the host does not take it, or has it already. */
function enqueue(
  api: PluginApi,
  logger: Logger,
  text: string,
  { sessionKey, agentId }: Session,
  contextKey: string,
): boolean {
  try {
    const options = { sessionKey, agentId, contextKey, replace: true };
    return api.runtime?.system?.enqueueSystemEvent(text, options) ?? false;
  } catch (error) {
    logger.warn(`cannot tell the user: ${String(error)}`);
    return false;
  }
}

/** Has the agent pass on what waits. */
function wakeAgent(api: PluginApi, logger: Logger): void {
  try {
    const request = { source: 'other', intent: 'event', reason: PLUGIN_ID };
    api.runtime?.system?.requestHeartbeat?.(request);
  } catch (error) {
    logger.warn(`cannot wake the agent: ${String(error)}`);
  }
}
