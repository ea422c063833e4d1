import type { DateTime } from "effect"

/** A circuit breaker of one process that is not closed: most attempts of its type failed. */
export interface OpenBreaker {
  readonly type: string
  /** `open`: no order of the type is started. `half-open`: one may be started to find out whether attempts succeed. */
  readonly state: "open" | "half-open"
  readonly since: DateTime.Utc
}

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
  /** The circuit breakers that are not closed, at most 1,000. */
  readonly breakers: ReadonlyArray<OpenBreaker>
}

/** A process that works on orders, as it last reported itself. */
export interface RegisteredWorker extends WorkerReport {
  readonly id: string
  readonly startedAt: DateTime.Utc
  readonly seenAt: DateTime.Utc
}
