/** For the tests, which are TypeScript. */
export interface Where {
  /** The folder for the tarballs; `.cache/packed` by default. */
  readonly to?: string;
}

export function pack(options?: Where & { readonly release?: boolean }): Promise<{
  readonly main: string;
  readonly platform: string;
}>;

/** Gives the path of the one package. */
export function packLocal(options?: Where): Promise<string>;

export function packAll(options?: Where & { readonly repository?: string }): Promise<{
  readonly main: string;
  readonly platforms: readonly string[];
}>;
