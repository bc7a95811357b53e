/** The OpenClaw of this machine, for an undo of an update. */
import { findOpenClaw } from '../openclaw.js';
import { gatewayPid, isReady, portIn, startService, stopService } from './host.js';
import { calling, install, installationOf, isOurs, obstacle, versionOf } from './install.js';
import type { Host } from './undo.js';

/** See above. */
export function realHost(stateDir: string, configPath: string): Host {
  return {
    installation: () => {
      const openclaw = findOpenClaw();
      return openclaw.length === 2 ? installationOf(openclaw) : undefined;
    },
    version: versionOf,
    installs: isOurs,
    obstacle,
    install,
    calling,
    running: () => gatewayPid(stateDir),
    stop: (installation) => stopService(calling(installation)),
    start: (installation) => startService(calling(installation)),
    ready: () => isReady(portIn(configPath)),
  };
}
