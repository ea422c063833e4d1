import type { Scheduler } from "effect"

/** The random numbers that decide everything in one simulated history. */
export class Seed {
  private state: number
  constructor(seed: number) {
    this.state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0
    for (let n = 0; n < 4; n++) this.next()
  }
  /** From 0 (inclusive) to 1 (exclusive), by mulberry32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1))
  }
  chance(probability: number): boolean {
    return this.next() < probability
  }
  pick<A>(list: ReadonlyArray<A>): A {
    if (list.length === 0) throw new Error("nothing to pick from")
    return list[Math.floor(this.next() * list.length)] as A
  }
}

/**
 * The run queue of one simulated process. The seed orders its fibers and may preempt them between any two operations,
 * not only after 2,048 as in production. Tasks run only by `runOne`.
 */
export class SeededScheduler implements Scheduler.Scheduler, Scheduler.SchedulerDispatcher {
  readonly executionMode = "async"
  readonly tasks: Array<() => void> = []
  /** SIGSTOP: tasks stay queued. */
  frozen = false
  /** kill -9: tasks are dropped. */
  dead = false
  /** The number of preemptions. */
  preempted = 0
  private left = 0

  private readonly seed: Seed
  private readonly quantum: number

  /** `quantum` is the longest run without preemption; Infinity disables preemption. */
  constructor(seed: Seed, quantum: number) {
    this.seed = seed
    this.quantum = quantum
    this.left = quantum
  }
  shouldYield(): boolean {
    if (--this.left > 0) return false
    this.left = this.seed.between(1, this.quantum)
    this.preempted++
    return true
  }
  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this
  }
  scheduleTask(task: () => void): void {
    if (!this.dead) this.tasks.push(task)
  }
  flush(): void {}
  kill(): void {
    this.dead = true
    this.tasks.length = 0
  }
}

/** Runs one runnable task, chosen by the seed. False if there is none. */
export const runOne = (schedulers: ReadonlyArray<SeededScheduler>, seed: Seed): boolean => {
  let runnable = 0
  for (const scheduler of schedulers) if (!scheduler.frozen) runnable += scheduler.tasks.length
  if (runnable === 0) return false
  let chosen = Math.floor(seed.next() * runnable)
  for (const { frozen, tasks } of schedulers) {
    if (frozen) continue
    if (chosen < tasks.length) {
      const task = tasks[chosen] as () => void
      const last = tasks.pop() as () => void
      if (chosen < tasks.length) tasks[chosen] = last
      task()
      return true
    }
    chosen -= tasks.length
  }
  return false
}
