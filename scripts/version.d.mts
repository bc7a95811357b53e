/** For the tests, which are TypeScript. */
export function mismatches(tag?: string): Promise<string[]>;
