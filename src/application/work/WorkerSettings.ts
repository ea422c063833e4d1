import { Context, Duration } from "effect"

/** The settings of a worker. */
export interface WorkerSettings {
  /** The name under which the worker holds leases, different from that of every other worker, past ones included. */
  readonly name: string
  /** The maximum number of concurrent attempts. */
  readonly concurrency: number
  /**
   * The maximum number of attempts that commit writes concurrently. Each uses a connection, which claims cannot use
   * meanwhile.
   */
  readonly writeConcurrency: number
  /** How long a worker holds an order without renewing its lease. It renews after each third of this time. */
  readonly lease: Duration.Duration
  /** An attempt that takes longer is interrupted and fails with `TIMEOUT`. */
  readonly attemptTimeout: Duration.Duration
  /** The longest time between two claims while slots are free. */
  readonly pollInterval: Duration.Duration
  /** How long running attempts may continue when the worker stops. Attempts that take longer are released. */
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
 * The time limit of a claim; a lease younger than this may belong to a running claim. At most four seconds, so that a
 * dead connection does not delay the next claim for long.
 */
export const claimTimeout = (settings: WorkerSettings): Duration.Duration =>
  Duration.min(Duration.times(settings.lease, 1 / 3), Duration.seconds(4))
