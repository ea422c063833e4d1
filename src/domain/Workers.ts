import type { DateTime } from "effect"

/** What a process that works on orders reports about itself with each heartbeat. */
export interface WorkerReport {
  readonly host: string
  /** The version of the program. */
  readonly version: string
  /** What the process does, for example `serve` or `worker`. */
  readonly role: string
  /** The order types that it takes; null: every type. */
  readonly types: ReadonlyArray<string> | null
  /** The maximum number of concurrent attempts. */
  readonly capacity: number
  readonly inFlight: number
  /** Whether it is stopping and takes no further orders. */
  readonly draining: boolean
}

/** A process that works on orders, as it last reported itself. */
export interface RegisteredWorker extends WorkerReport {
  readonly id: string
  readonly startedAt: DateTime.Utc
  readonly seenAt: DateTime.Utc
}
