/** The number by which people and models name the plan of a rollback. What is compared and agreed to is the whole hash. Pure. */

/** So many digits of the hash, from its beginning. */
const DIGITS = 8;

/** The number of the plan with that hash, hexadecimal. */
export function planNumber(hash: string): string {
  return hash.slice(0, DIGITS);
}

/** Whether it can be a number, or a hash: at least eight digits, in small letters. */
export function isPlanNumber(text: unknown): text is string {
  return typeof text === 'string' && text.length >= DIGITS && /^[0-9a-f]+$/.test(text);
}
