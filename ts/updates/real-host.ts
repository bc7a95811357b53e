/** The OpenClaw of this machine, for an undo of an update. */
import { installationOf } from '../installation.js';
import { findOpenClaw } from '../openclaw.js';
import { gatewayPid, type Host, isReady, portIn, startService, stopService } from './host.js';
import { giveIdentityBack } from './identity.js';
import { calling, install, isOurs, obstacle, versionOf } from './install.js';
import { lives } from './turn.js';

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
    lives,
    calling,
    running: () => gatewayPid(stateDir),
    restored: (version) => giveIdentityBack(stateDir, version),
    stop: (installation) => stopService(calling(installation)),
    start: (installation) => startService(calling(installation)),
    ready: () => isReady(portIn(configPath)),
  };
}
