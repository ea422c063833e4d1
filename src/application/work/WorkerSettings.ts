import { Context, Duration } from "effect"

/** How a worker works; an app provides its own to change any of it. */
export interface WorkerSettings {
  /** Tells this worker from every other that ever ran: leases are held under this name. */
  readonly name: string
  /** Attempts at the same time. */
  readonly concurrency: number
  /** Attempts that commit writes of their own at the same time: each takes a connection that claims cannot have. */
  readonly writeConcurrency: number
  /** How long an order stays with a worker that stopped renewing; renewed at a third of it. */
  readonly lease: Duration.Duration
  /** An attempt that takes longer is interrupted and fails with `TIMEOUT`. */
  readonly attemptTimeout: Duration.Duration
  /** The longest time between two looks at the table. */
  readonly pollInterval: Duration.Duration
  /** How long running attempts may go on after the worker is told to stop; the rest is released. */
  readonly drainTimeout: Duration.Duration
}

/** The settings in force, with the defaults of the shipped server. */
export const WorkerSettings = Context.Reference<WorkerSettings>("order-platform/application/WorkerSettings", {
  defaultValue: () => ({
    name: `worker-${globalThis.crypto.randomUUID()}`,
    concurrency: 100,
    writeConcurrency: 4,
    lease: Duration.seconds(30),
    attemptTimeout: Duration.minutes(1),
    pollInterval: Duration.seconds(1),
    drainTimeout: Duration.seconds(20)
  })
})

/**
 * A claim that takes longer is given up: a lease younger than this may belong to a claim that is still under way.
 * Short, because a claim by a connection that died without a word must not keep the worker from another one.
 */
export const claimTimeout = (settings: WorkerSettings): Duration.Duration =>
  Duration.min(Duration.times(settings.lease, 1 / 3), Duration.seconds(4))
