/** Twenty-four hours of a laptop, many times over: it sleeps and wakes, its network comes and goes, its clock jumps. */
import { describe, expect, it } from 'vitest';
import { cases, Random, report, seed } from './campaign-support.ts';
import { Day, type Plan } from './laptop-support.ts';
import { temporaryState } from './plugin-support.ts';

const RUNS = cases(5, 100);

/** An ordinary day, one of 25 hours and one of 23. */
const PLANS: readonly Plan[] = [
  { start: '2026-11-23T12:00:00Z', timeZone: 'UTC', everyHours: 6 },
  { start: '2026-10-24T20:00:00Z', timeZone: 'Europe/Berlin', everyHours: 3 },
  { start: '2027-03-27T20:00:00Z', timeZone: 'Europe/Berlin', everyHours: 4 },
];

describe('a day of a laptop', () => {
  it.each(PLANS)(
    `$start in $timeZone, every $everyHours hours (seed ${seed})`,
    async (plan) => {
      const total: Record<string, number> = { days: 0 };
      for (let run = 1; run <= RUNS; run += 1) {
        const day = new Day(await temporaryState(), new Random(seed, run, plan.everyHours), plan);
        try {
          await day.live();
        } catch (error) {
          const now = day.clock.now().toISOString();
          throw new Error(
            `seed ${seed}, run ${run}, at ${now}: ${String(error)}\n${day.log.slice(-12).join('\n')}`,
            {
              cause: error,
            },
          );
        }
        total['days'] = run;
        for (const [name, count] of Object.entries(day.counted)) total[name] = (total[name] ?? 0) + count;
      }
      report('laptop', `${plan.timeZone}, every ${plan.everyHours} hours`, total);
      expect(total['pushes']).toBeGreaterThan(RUNS * 4);
      expect(total['told']).toBeGreaterThan(0);
    },
    cases(10, 60) * 60_000,
  );
});
