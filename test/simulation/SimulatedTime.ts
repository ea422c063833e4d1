import { type Clock, Context, Duration, Effect, Exit, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Seed, SeededScheduler } from "./SeededScheduler.ts"

interface Wake {
  readonly at: number
  readonly of: SeededScheduler | null
  readonly run: () => void
}

/**
 * The clock of a simulated world: a TestClock and a list of all sleeps, so that time can jump to the next event. A sleep
 * ends through the run queue of its process: never if the process has crashed, and after the thaw if it is frozen.
 * (TestClock's own sleep is a fiber of several dozen operations and took a quarter of the time of a history.)
 */
export class SimulatedTime {
  private readonly own = new SeededScheduler(new Seed(0), Infinity)
  private readonly references = Context.make(Scheduler.Scheduler, this.own)
  private readonly scope = Scope.makeUnsafe()
  private readonly clock = Effect.runSync(Scope.provide(TestClock.make(), this.scope))
  private readonly wakes = new Set<Wake>()

  constructor() {
    // After one adjustment TestClock does not warn that it was never adjusted.
    this.run(this.clock.adjust(0))
  }

  /** Runs an effect of TestClock until it ends or waits for time. */
  private run<A>(effect: Effect.Effect<A>) {
    const fiber = Effect.runForkWith(this.references)(effect)
    for (let task = this.own.tasks.shift(); task !== undefined; task = this.own.tasks.shift()) task()
    return fiber
  }

  get now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** The clock as one process sees it. */
  clockOf(scheduler: SeededScheduler): Clock.Clock {
    return {
      ...this.clock,
      sleep: (duration) =>
        Effect.callback((resume) => {
          const run = () => scheduler.scheduleTask(() => resume(Effect.void))
          const wake = { at: this.now + Duration.toMillis(duration), of: scheduler, run }
          if (wake.at <= this.now) return run()
          this.wakes.add(wake)
          return Effect.sync(() => void this.wakes.delete(wake))
        })
    }
  }

  /** Schedules an action on the world. */
  at(at: number, run: () => void): void {
    this.wakes.add({ at, of: null, run })
  }

  /** The time of the next action, or of the next end of a sleep in a running process. */
  get next(): number | null {
    let next: number | null = null
    for (const { at, of } of this.wakes) {
      if (of !== null && (of.dead || of.frozen)) continue
      if (next === null || at < next) next = at
    }
    return next === Infinity ? null : next
  }

  advanceTo(at: number): void {
    this.run(this.clock.setTime(Math.max(at, this.now)))
    // In order of time; wakes added meanwhile stay for later.
    const due = Array.from(this.wakes).filter((wake) => wake.at <= this.now)
    for (const wake of due.sort((a, b) => a.at - b.at)) {
      this.wakes.delete(wake)
      wake.run()
    }
  }

  close(): void {
    this.run(Scope.close(this.scope, Exit.void))
  }
}
