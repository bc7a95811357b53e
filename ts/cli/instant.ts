/** Times as people write them on a command line. Pure. */

const SHAPE =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2})[:-](\d{2})(?:[:-](\d{2})(?:\.(\d{1,3})\d*)?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/**
 * An instant: ISO 8601, with a space for the `T` and without seconds if you like, or as it stands in the name of a
 * snapshot. Without a zone it is local time; a date alone is its first moment. Undefined for what is none.
 */
export function instant(text: string): Date | undefined {
  const parts = SHAPE.exec(text.trim());
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map((part) => Number(part ?? 0));
  const ms = Number((parts[7] ?? '').padEnd(3, '0'));
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const civil = new Date(Date.UTC(year, month - 1, day, hour, minute, second, ms));
  // The calendar of Date wraps around: 31 February is in March.
  const stands =
    civil.getUTCMonth() === month - 1 &&
    civil.getUTCDate() === day &&
    civil.getUTCHours() === hour &&
    civil.getUTCMinutes() === minute &&
    civil.getUTCSeconds() === second;
  if (!stands) return undefined;
  const zone = parts[8]?.toUpperCase();
  if (zone === undefined) return new Date(year, month - 1, day, hour, minute, second, ms);
  if (zone === 'Z') return civil;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  if (hours > 23 || minutes > 59) return undefined;
  const offset = (hours * 60 + minutes) * (zone.startsWith('-') ? -1 : 1);
  return new Date(civil.getTime() - offset * 60_000);
}
