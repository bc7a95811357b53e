/** Zstandard of Node 22.15 and later, which OpenClaw needs. */
import * as zlib from 'node:zlib';

/** The text that was compressed; undefined for what is no such thing. */
export function zstdDecompress(bytes: Uint8Array): string | undefined {
  const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (bytes: Uint8Array) => Buffer };
  try {
    return zstdDecompressSync?.(bytes).toString('utf8');
  } catch {
    return undefined;
  }
}
