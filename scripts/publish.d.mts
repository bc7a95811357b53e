/** For the tests, which are TypeScript. */
export function publish(
  tarballs: readonly string[],
  options?: { readonly provenance?: boolean; readonly env?: NodeJS.ProcessEnv },
): Promise<string[]>;
