/** What the parts of a trial start agree on. */

/** The variable that tells `no-network.ts` the port of the trial's gateway. */
export const PORT_VARIABLE = 'B2_BACKUP_BOOT_PORT';

/** The file that says which process the gateway of a trial is, for whoever has to clear up after a kill. */
export const PID_FILE = 'gateway.pid';
