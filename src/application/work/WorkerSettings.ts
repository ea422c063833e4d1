import { Context, Duration } from "effect"

/** The settings of a worker. */
export interface WorkerSettings {
  /**
   * The name under which the worker holds orders. Must be unique among all workers, past ones included: do not reuse it
   * after a restart. If the worker loses its lease, it continues under this name with `#2`, `#3` and so on appended.
   */
  readonly name: string
  /** The order types that the worker takes; null, the default: every type that it has a processor for. */
  readonly types?: ReadonlyArray<string> | null
  /** The host, as the registry of workers shows it. */
  readonly host?: string
  /** The version of the program, as the registry of workers shows it. */
  readonly version?: string
  /** What the process does, as the registry of workers shows it; `worker` by default. */
  readonly role?: string
  /** The maximum number of concurrent attempts. */
  readonly concurrency: number
  /**
   * The maximum number of attempts that commit writes concurrently. Each uses a database connection, which
   * claims cannot use meanwhile.
   */
  readonly writeConcurrency: number
  /**
   * How long the worker's lease lasts: without a renewal, other workers may start its orders after this time. The
   * worker renews the lease after each third of this time.
   */
  readonly lease: Duration.Duration
  /** An attempt that takes longer is interrupted and fails with `TIMEOUT`. */
  readonly attemptTimeout: Duration.Duration
  /** The longest time between two claims while slots are free. */
  readonly pollInterval: Duration.Duration
  /** How long running attempts may continue when the worker stops. Attempts that take longer are released. */
  readonly drainTimeout: Duration.Duration
}

/**
 * The settings of the worker in this process. An app that provides none gets these defaults; the server sets
 * its own (src/processes/References.ts).
 */
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
 * The time limit of a claim and of other single calls of the store. At most four seconds, so that a dead connection
 * does not delay the next claim for long.
 */
export const claimTimeout = (settings: WorkerSettings): Duration.Duration =>
  Duration.min(Duration.times(settings.lease, 1 / 3), Duration.seconds(4))
