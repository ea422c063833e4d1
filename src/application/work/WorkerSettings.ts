import { Context, Duration } from "effect"

/** The settings of a worker. */
export interface WorkerSettings {
  /** The name under which it holds leases: different from that of every other worker, also of earlier ones. */
  readonly name: string
  /** Attempts at the same time. */
  readonly concurrency: number
  /** Attempts that commit writes at the same time. Each of them uses a connection that claims cannot have. */
  readonly writeConcurrency: number
  /** How long a worker holds an order without renewing its lease. It renews after each third of this time. */
  readonly lease: Duration.Duration
  /** An attempt that takes longer is interrupted and fails with `TIMEOUT`. */
  readonly attemptTimeout: Duration.Duration
  /** The longest time between two claims while slots are free. */
  readonly pollInterval: Duration.Duration
  /** How long running attempts may continue once the worker stops. The others are released. */
  readonly drainTimeout: Duration.Duration
}

/** The settings in force. An app may provide its own; these are the defaults of the server. */
export const WorkerSettings = Context.Reference<WorkerSettings>(
  "order-platform/application/work/WorkerSettings",
  {
    defaultValue: () => ({
      name: `worker-${globalThis.crypto.randomUUID()}`,
      concurrency: 100,
      writeConcurrency: 4,
      lease: Duration.seconds(30),
      attemptTimeout: Duration.minutes(1),
      pollInterval: Duration.seconds(1),
      drainTimeout: Duration.seconds(20)
    })
  }
)

/**
 * The time limit of a claim. A lease that is younger may belong to a claim that is still under way. At most four seconds, so
 * that a claim on a dead connection does not keep the worker from the next one for long.
 */
export const claimTimeout = (settings: WorkerSettings): Duration.Duration =>
  Duration.min(Duration.times(settings.lease, 1 / 3), Duration.seconds(4))
