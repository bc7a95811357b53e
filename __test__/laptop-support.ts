/** A gateway on a laptop: time that is slept through, a network that comes and goes, pushes that take their time. */
import { until } from '../e2e/support/until.ts';
import type { PruneReport, PushOptions, PushReport, Settings } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import type { Operation } from '../ts/operation.ts';
import { registerHooks } from '../ts/plugin/hooks.ts';
import type { Record as Remembered } from '../ts/plugin/record.ts';
import { RecordFile } from '../ts/plugin/record.ts';
import { createService } from '../ts/plugin/service.ts';
import type { Random } from './campaign-support.ts';
import { CONFIG, FakeHost, NOT_NEW, PRUNED, REPORT, rest, TestClock } from './plugin-support.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** The plugin looks at the clock once a minute; the simulation moves it in steps of this. */
const STEP = MINUTE;

/** A push as the engine saw it. Times are the machine's, in milliseconds since 1970. */
interface Attempt {
  readonly reason: string;
  readonly at: number;
  outcome: 'runs' | 'ok' | 'failed' | 'cut';
  endedAt: number;
}

/** An engine with a network behind it. */
class Laptop {
  online = true;
  readonly attempts: Attempt[] = [];
  /** What happened and was not looked at yet: pushes that began, and that ended. */
  readonly news: (() => void)[] = [];
  begun = (_: Attempt): void => {};
  over = (_: Attempt): void => {};
  running = 0;
  peak = 0;
  prunes = 0;
  readonly #clock: TestClock;
  readonly #random: Random;

  constructor(clock: TestClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  readonly push = async (
    _: Settings,
    options: PushOptions = {},
    { signal }: Operation = {},
  ): Promise<PushReport> => {
    signal?.throwIfAborted();
    const attempt: Attempt = {
      reason: options.reason ?? 'manual',
      at: this.#clock.now().getTime(),
      outcome: 'runs',
      endedAt: 0,
    };
    this.attempts.push(attempt);
    this.news.push(() => this.begun(attempt));
    try {
      await this.#work(5 * SECOND + this.#random.below(8 * MINUTE), signal);
      if (!this.online) {
        throw new BackupError('the server does not answer', { code: 'B2_NETWORK', retryable: true });
      }
      attempt.outcome = 'ok';
      return REPORT;
    } catch (error) {
      attempt.outcome = signal?.aborted === true ? 'cut' : 'failed';
      throw error;
    } finally {
      attempt.endedAt = this.#clock.now().getTime();
      this.news.push(() => this.over(attempt));
    }
  };

  readonly prune = async (_: Settings, __: unknown, { signal }: Operation = {}): Promise<PruneReport> => {
    signal?.throwIfAborted();
    this.prunes += 1;
    await this.#work(5 * SECOND + this.#random.below(3 * MINUTE), signal);
    return PRUNED;
  };

  engine(): Engine {
    const { push, prune } = this;
    return { load: async () => {}, push, prune, autoRestore: async () => NOT_NEW } as unknown as Engine;
  }

  /** Something that takes its time, and holds the state's lock meanwhile. */
  async #work(ms: number, signal: AbortSignal | undefined): Promise<void> {
    this.running += 1;
    this.peak = Math.max(this.peak, this.running);
    try {
      await new Promise<void>((resolve, reject) => {
        const cancel = this.#clock.after(ms, resolve);
        signal?.addEventListener('abort', () => {
          cancel();
          reject(signal.reason);
        });
      });
    } finally {
      this.running -= 1;
    }
  }
}

/** When the schedule says so: a fact about clocks on walls, worked out without what the plugin works it out with. */
export class Wall {
  readonly #format: Intl.DateTimeFormat;
  readonly #everyHours: number;
  readonly #found = new Map<number, number>();

  constructor(timeZone: string, everyHours: number) {
    this.#format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' });
    this.#everyHours = everyHours;
  }

  /** The first planned moment after `time`. */
  next(time: number): number {
    const known = this.#found.get(time) ?? this.#find(time);
    this.#found.set(time, known);
    return known;
  }

  #find(time: number): number {
    for (let at = Math.floor(time / MINUTE) * MINUTE + MINUTE; ; at += MINUTE) {
      const [hour, minute] = this.#format.format(at).split(':').map(Number);
      if (minute === 0 && (hour ?? 1) % this.#everyHours === 0) return at;
    }
  }
}

/** What has to happen, and what the user and the record must say, kept beside the plugin by rules of its own. */
export class Day {
  readonly clock: TestClock;
  readonly wall: Wall;
  readonly counted = { pushes: 0, failed: 0, told: 0, slept: 0, restarts: 0, jumps: 0, prunes: 0 };
  readonly log: string[] = [];
  readonly #random: Random;
  readonly #laptop: Laptop;
  readonly #stateDir: string;
  readonly #config: object;
  readonly #everyHours: number;
  #host: FakeHost | undefined;
  #lastRun: number | undefined;
  #lastSuccess: number | undefined;
  #failures = 0;
  #toldSeen = 0;
  #openIncidents = new Set<string>();
  /** How long a push has been due while the machine was awake and nothing ran, in milliseconds. */
  #waited = 0;
  #mayBeginAgain = true;
  /** How long there has been a chance to back up, in milliseconds. */
  #awakeFor = 0;

  constructor(stateDir: string, random: Random, { start, timeZone, everyHours }: Plan) {
    this.clock = new TestClock(start);
    this.wall = new Wall(timeZone, everyHours);
    this.#random = random;
    this.#laptop = new Laptop(this.clock, random);
    this.#laptop.begun = (attempt) => this.#begun(attempt);
    this.#laptop.over = (attempt) => this.#over(attempt);
    this.clock.onMoment = () => this.#look();
    this.#stateDir = stateDir;
    this.#everyHours = everyHours;
    this.#config = { ...CONFIG, schedule: `0 */${everyHours} * * *`, timezone: timeZone };
  }

  /** Lives until a day has passed on the clock of somebody who stays awake. */
  async live(): Promise<void> {
    await this.#start();
    for (let left = 24 * HOUR; left > 0; ) {
      const [what, ms] = this.#next();
      this.log.push(`${this.clock.now().toISOString()} ${what} ${Math.round(ms / MINUTE)} min`);
      left -= Math.max(ms, MINUTE);
      switch (what) {
        case 'awake':
          await this.#awake(ms);
          break;
        case 'sleep':
          this.counted.slept += 1;
          this.#awakeFor = 0;
          this.clock.sleep(ms);
          break;
        case 'network':
          this.#laptop.online = !this.#laptop.online;
          break;
        case 'jump':
          this.counted.jumps += 1;
          this.#awakeFor = 0;
          this.clock.sleep(this.#random.chance(0.5) ? ms : -ms);
          break;
        case 'compaction':
          void this.#host?.fire('before_compaction');
          break;
        case 'restart':
          this.counted.restarts += 1;
          await this.#stop();
          await this.#start();
          break;
      }
      await this.#settled();
    }
    this.#laptop.online = true;
    await this.#awake(2 * HOUR);
    await this.#stop();
    this.counted.prunes = this.#laptop.prunes;
  }

  #next(): [what: string, ms: number] {
    const what = this.#random.weighted({
      awake: 10,
      sleep: 4,
      network: 4,
      jump: 1,
      compaction: 2,
      restart: 1,
    });
    const most = { awake: 90 * MINUTE, sleep: 5 * HOUR, jump: 2 * HOUR }[what as 'awake'] ?? 0;
    return [what, most === 0 ? 0 : MINUTE + this.#random.below(most)];
  }

  async #start(): Promise<void> {
    const host = new FakeHost(this.#stateDir, this.#config);
    registerHooks(host.api);
    host.service = createService(host.api, { engine: this.#laptop.engine(), clock: this.clock });
    await host.service.start(host.context);
    this.#host = host;
    this.#toldSeen = 0;
    this.#awakeFor = 0;
    // One that was not seen to succeed is made up at once.
    this.#mayBeginAgain = true;
    await this.#settled();
  }

  async #stop(): Promise<void> {
    const host = this.#host;
    if (host === undefined) return;
    let stopped = false;
    const stopping = host.fire('gateway_stop', { reason: 'gateway stopping' }).then(() => {
      stopped = true;
    });
    // What it asks of the disk takes no time on this clock.
    await until('the gateway to stop', async () => {
      for (let passed = 0; !stopped && passed < 10; passed += 1) await this.clock.advance(SECOND);
      return stopped;
    });
    await stopping;
    await host.service?.stop(host.context);
    await this.#settled();
  }

  async #awake(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP) {
      await this.clock.advance(STEP);
      this.#look();
      this.#waited = this.#isDue() && this.#laptop.running === 0 ? this.#waited + STEP : 0;
      this.#awakeFor += STEP;
      this.#checkNotSilent();
      if (this.#waited > 2 * STEP) throw new Error('a push is due and does not begin');
    }
  }

  /** Whether the plan, or a failure that may pass, asks for a push now. */
  #isDue(): boolean {
    const now = this.clock.now().getTime();
    const last = this.#lastRun;
    if (last === undefined || last > now) return true;
    const retry = [5, 15, 60][Math.min(this.#failures, 3) - 1];
    const again = retry === undefined ? Number.POSITIVE_INFINITY : last + retry * MINUTE;
    return Math.min(this.wall.next(last), again) <= now;
  }

  /** Goes over what happened since it last looked, in order. */
  #look(): void {
    if (this.#laptop.peak > 1) throw new Error('two ran at once');
    for (const tell of this.#laptop.news.splice(0)) tell();
    this.#listen();
  }

  #begun({ reason, at }: Attempt): void {
    this.counted.pushes += 1;
    const before = this.#lastRun;
    const asked = reason !== 'scheduled';
    if (!asked && !this.#mayBeginAgain && before !== undefined && before <= at) {
      const retry = [5, 15, 60][Math.min(this.#failures, 3) - 1];
      const again = retry === undefined ? Number.POSITIVE_INFINITY : before + retry * MINUTE;
      if (Math.min(this.wall.next(before), again) > at) {
        throw new Error(`a push at ${new Date(at).toISOString()} that nothing asked for`);
      }
    }
    this.#mayBeginAgain = false;
    this.#lastRun = at;
  }

  #over({ outcome, endedAt }: Attempt): void {
    if (outcome === 'ok') {
      this.#failures = 0;
      this.#lastSuccess = endedAt;
    } else if (outcome === 'failed') {
      this.counted.failed += 1;
      this.#failures += 1;
    }
  }

  /** Nothing is told that is not so, and nothing twice. */
  #listen(): void {
    const events = this.#host?.events ?? [];
    for (; this.#toldSeen < events.length; this.#toldSeen += 1) {
      const text = events[this.#toldSeen]?.text ?? '';
      this.counted.told += 1;
      this.log.push(`${this.clock.now().toISOString()} told: ${text}`);
      if (text === 'Backups to B2 work again.') {
        if (this.#openIncidents.size === 0) throw new Error('"work again", and nothing was told before');
        this.#openIncidents.clear();
        continue;
      }
      const incident = text.startsWith('Nothing has been backed up') ? 'overdue' : 'failing';
      if (this.#openIncidents.has(incident)) throw new Error(`told twice: ${text}`);
      this.#openIncidents.add(incident);
      if (incident === 'failing' && !text.includes(`failed ${this.#failures} times in a row`)) {
        throw new Error(`${this.#failures} failures in a row, and told: ${text}`);
      }
      if (incident === 'overdue') this.#checkOverdue();
    }
    if (this.#failures >= 3 && !this.#openIncidents.has('failing'))
      throw new Error('three failures, and not told');
    if (this.#failures === 0 && this.#openIncidents.size > 0 && this.#lastOutcome() === 'ok') {
      throw new Error('backups work again, and the user was not told');
    }
  }

  #lastOutcome(): string | undefined {
    return this.#laptop.attempts.filter(({ outcome }) => outcome !== 'cut').at(-1)?.outcome;
  }

  #checkOverdue(): void {
    const last = this.#lastSuccess;
    const late = last === undefined ? Number.POSITIVE_INFINITY : this.clock.now().getTime() - last;
    if (late <= 2 * this.#everyHours * HOUR)
      throw new Error('told that backups are overdue, and they are not');
  }

  /** Waits for what is asked of the disk, which is a real one, and looks. */
  async #settled(): Promise<void> {
    await rest();
    this.#look();
    await this.#compareRecord();
  }

  /** Who was awake for an hour, and backed nothing up for twice the schedule's period, knows. */
  #checkNotSilent(): void {
    const last = this.#lastSuccess;
    // On one day of the year the longest period has an hour more.
    const late = 2 * (this.#everyHours + 1) * HOUR + 2 * STEP;
    const now = this.clock.now().getTime();
    if (last === undefined || now - last < late || this.#awakeFor < HOUR + 2 * STEP) return;
    if (!this.#openIncidents.has('overdue'))
      throw new Error('backups are overdue, and the user does not know');
  }

  /** What is remembered is what happened. */
  async #compareRecord(): Promise<void> {
    const file = new RecordFile(this.#stateDir);
    let difference = '';
    const same = async (): Promise<boolean> => {
      this.#look();
      difference = this.#differs(await file.read());
      return difference === '';
    };
    // Mostly it is there at once; a busy disk may take its time.
    for (let look = 0; look < 20; look += 1) {
      if (await same()) return;
      await rest();
    }
    const evidence = (): string => `${difference}\n${this.#host?.lines.slice(-6).join('\n')}`;
    await until('the record to say what happened', same, { seconds: 30, evidence });
  }

  #differs(record: Remembered): string {
    const time = (text: string | undefined): number | undefined =>
      text === undefined ? undefined : Date.parse(text);
    const told = [...record.told].sort().join();
    const found = [record.failures, time(record.lastSuccessAt), told];
    const expected = [this.#failures, this.#lastSuccess, [...this.#openIncidents].sort().join()];
    const runs = record.lastRunAt === undefined || time(record.lastRunAt) === this.#lastRun;
    return runs && String(found) === String(expected)
      ? ''
      : `${String(found)} ${record.lastRunAt}, expected ${String(expected)} ${this.#lastRun}`;
  }
}

/** Where and when a day is lived. */
export interface Plan {
  readonly start: string;
  readonly timeZone: string;
  readonly everyHours: number;
}
