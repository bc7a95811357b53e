/**
 * Who this machine is to paired devices. OpenClaw 2026.8 and later keep it in the shared database, and take it from the file in
 * which earlier ones look for it. A database stays that of this machine in this when its old state comes back; so the file has to
 * come back, too: without it the old version would make up another identity, and the new one refuses two.
 */
import { chownSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { has, open } from '../boot/sqlite.js';
import { isNewer } from './history.js';
import { SHARED_DATABASE } from './survey.js';

/** The first version that has it in the database. */
const FIRST = '2026.8.1';

/** Gives it back to a version that looks for the file. No gateway runs. */
export async function giveIdentityBack(stateDir: string, version: string): Promise<void> {
  const [path, file] = [join(stateDir, SHARED_DATABASE), join(stateDir, 'identity', 'device.json')];
  if (!isNewer(FIRST, version) || existsSync(file) || !existsSync(path)) return;
  const database = await open(path);
  try {
    if (!has(database, 'device_identities')) return;
    const [row] = database.prepare("SELECT * FROM device_identities WHERE identity_key = 'primary'").all();
    if (row === undefined) return;
    const identity = {
      version: 1,
      deviceId: row['device_id'],
      publicKeyPem: row['public_key_pem'],
      privateKeyPem: row['private_key_pem'],
      createdAtMs: Number(row['created_at_ms']),
    };
    // Root does this for another user, too.
    const { uid, gid } = statSync(path);
    const folder = join(stateDir, 'identity');
    if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) chownSync(folder, uid, gid);
    writeFileSync(file, `${JSON.stringify(identity, null, 2)}\n`, { mode: 0o600 });
    chownSync(file, uid, gid);
  } finally {
    database.close();
  }
}
