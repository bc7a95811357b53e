/** What somebody was told already. */

/** So much is remembered; what was told longest ago is told again. */
const MOST = 500;

/** Tells each text once in each session, for as long as the gateway runs. */
export class Once {
  readonly #told = new Set<string>();

  /** Those of the texts that were not told there yet; from now on they were. */
  fresh(texts: readonly string[], session: string): readonly string[] {
    const keyed = texts.map((text) => [text, JSON.stringify([session, text])] as const);
    const fresh = keyed.filter(([, key]) => !this.#told.has(key)).map(([text]) => text);
    for (const [, key] of keyed) {
      this.#told.delete(key);
      this.#told.add(key);
    }
    for (const oldest of this.#told) {
      if (this.#told.size <= MOST) break;
      this.#told.delete(oldest);
    }
    return fresh;
  }
}
