/* Hand-made stand-in; `npm run build:addon` writes the real one. */
export declare class CancelHandle {
  constructor()
  cancel(): void
}
export interface Settings {
  stateDir: string
  configPath?: string
  bucket?: string
  keyId?: string
  applicationKey?: string
  passphrase?: string
  region?: string
  endpoint?: string
  prefix?: string
  encrypt?: boolean
  includeSecrets?: boolean
  include?: Array<string>
  exclude?: Array<string>
  uploadLimit?: number
  apiUrl?: string
  hostVersion?: string
}
export interface ProgressEvent {
  phase: string
  doneBytes: number
  totalBytes?: number
  doneFiles: number
}
export interface FileProblem {
  path: string
  code: string
  message: string
}
export interface PushOptions {
  reason?: string
}
export interface PushReport {
  snapshot?: string
  changed: boolean
  files: number
  bytes: number
  uploadedBytes: number
  requests: number
  skipped: Array<FileProblem>
  warnings: Array<string>
  durationMs: number
  resumed?: string
}
export interface PlanEntry {
  path: string
  included: boolean
  reason?: string
  bytes: number
  changed: boolean
}
export interface PlanReport {
  files: number
  bytes: number
  changedFiles: number
  changedBytes: number
  entries: Array<PlanEntry>
  skipped: Array<FileProblem>
  warnings: Array<string>
}
export interface SnapshotInfo {
  id: string
  kind: string
  reason?: string
  machine: string
  thisMachine: boolean
  createdAt: string
  files: number
  bytes: number
  authenticated: boolean
  format: number
  problem?: string
}
export interface ListReport {
  snapshots: Array<SnapshotInfo>
  warnings: Array<string>
}
export interface RestoreOptions {
  snapshot: string
  to: string
  paths?: Array<string>
  allowUnauthenticated?: boolean
}
export interface RestoreReport {
  snapshot: string
  files: number
  bytes: number
  downloadedBytes: number
  requests: number
  failed: Array<FileProblem>
  roots: Array<string>
  warnings: Array<string>
  durationMs: number
}
export interface VerifyOptions {
  readData?: boolean
}
export interface VerifyProblem {
  object: string
  code: string
  message: string
  snapshots: Array<string>
  paths: Array<string>
}
export interface VerifyReport {
  snapshots: number
  packs: number
  bytes: number
  problems: Array<VerifyProblem>
  requests: number
  downloadedBytes: number
  durationMs: number
}
export interface StatusReport {
  stateDir: string
  bucket: string
  prefix: string
  encrypt: boolean
  machine?: string
  lastSnapshot?: string
  lastSnapshotAt?: string
  snapshots: number
  storedBytes: number
  pending: boolean
  warnings: Array<string>
}
export declare function push(settings: Settings, options: PushOptions, cancel?: CancelHandle | undefined | null, onProgress?: ((event: ProgressEvent) => void) | undefined | null): Promise<PushReport>
export declare function plan(settings: Settings, cancel?: CancelHandle | undefined | null): Promise<PlanReport>
export declare function list(settings: Settings, cancel?: CancelHandle | undefined | null): Promise<ListReport>
export declare function restore(settings: Settings, options: RestoreOptions, cancel?: CancelHandle | undefined | null, onProgress?: ((event: ProgressEvent) => void) | undefined | null): Promise<RestoreReport>
export declare function verify(settings: Settings, options: VerifyOptions, cancel?: CancelHandle | undefined | null, onProgress?: ((event: ProgressEvent) => void) | undefined | null): Promise<VerifyReport>
export declare function status(settings: Settings, cancel?: CancelHandle | undefined | null): Promise<StatusReport>
export declare function readHostConfig(configPath: string): string
export declare function errorCodes(): Array<string>
