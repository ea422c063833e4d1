// The main entry point. Only what this file and the other entry points (`exports` of package.json) export is
// public; everything else may change without notice.

// domain
export * as OrderPayload from "./domain/OrderPayload.ts"
export { OrderType, type OrderTypeOptions } from "./domain/OrderType.ts"
export { type AnyOrderType, OrderTypes, type PayloadsOf, type TypedPayload } from "./domain/OrderTypes.ts"
export { SettingsOfTypes, type TypeSettings } from "./domain/TypeSettings.ts"
export type { NewOrder, Order, Outcome } from "./domain/Order.ts"
export { OrderId } from "./domain/OrderId.ts"
export { OrderStatus } from "./domain/OrderStatus.ts"
export { OrderEvent } from "./domain/OrderEvent.ts"
export { DeadLetter } from "./domain/DeadLetter.ts"
export { FailureGroup, type FailureGroupPosition, FailureGroupState } from "./domain/FailureGroup.ts"
export { ReasonCode } from "./domain/Failure.ts"
export * from "./domain/OrderErrors.ts"
export { RetryPolicy } from "./domain/RetryPolicy.ts"
export type { AuditAction, AuditEntry, Operator } from "./domain/Audit.ts"
export { DefaultGroupLimits, type Group, type GroupLimits, type LimitsToSet } from "./domain/Groups.ts"
export type { Pause, PauseScope } from "./domain/Pauses.ts"
export type { WhyWaiting } from "./domain/WhyWaiting.ts"
export type { RegisteredWorker, WorkerReport } from "./domain/Workers.ts"

export {
  type MarkFixedOptions,
  OrderPlatform,
  type PauseRequest,
  type SubmitError,
  type SubmitManyError
} from "./application/OrderPlatform.ts"
export type {
  DeadLetterFilter,
  ListedOrder,
  Listing,
  OrderFilter,
  Page,
  Position,
  Stats
} from "./domain/OrderQueries.ts"

// intake
export {
  DefaultMaxRetries,
  MaxPayloadBytes,
  type Submission,
  type SubmissionOptions,
  SubmissionRefused,
  type WrongSubmission
} from "./application/intake/Submission.ts"
export { type Idempotency, IdempotencyTtl, type Replayable } from "./application/intake/Idempotency.ts"
export { MaxPending, MaxScheduled } from "./application/intake/Backpressure.ts"

// work
export { OrderWorker } from "./application/work/OrderWorker.ts"
export { BreakerSettings } from "./application/work/CircuitBreakers.ts"
export { WorkerSettings } from "./application/work/WorkerSettings.ts"
export {
  type Attempt,
  type AttemptError,
  OrderProcessor,
  PermanentFailure,
  type ProcessorsOf,
  RetryableFailure,
  Snooze,
  Writes
} from "./application/ports/OrderProcessor.ts"

// watch
export { MaxWatched } from "./application/watch/WatchOrder.ts"

// upkeep
export { DeleteOldOrders, Retention } from "./application/upkeep/DeleteOldOrders.ts"

// ports
export type { Stores } from "./application/ports/Stores.ts"
export { IntakeStore, type KeyedOrders, type StoredAnswer } from "./application/ports/IntakeStore.ts"
export {
  type Claim,
  type ClaimRequest,
  OutcomeNotStorable,
  type Settlement,
  type SettleResult,
  type Turns,
  WorkerExpired,
  WorkStore,
  WritesRefused
} from "./application/ports/WorkStore.ts"
export { ControlStore } from "./application/ports/ControlStore.ts"
export { DeadLetterStore } from "./application/ports/DeadLetterStore.ts"
export { type Backlog, OrderReads } from "./application/ports/OrderReads.ts"
export { UpkeepStore } from "./application/ports/UpkeepStore.ts"
export { WakeUp } from "./application/ports/WakeUp.ts"

// HTTP
export { CorsOrigins } from "./infrastructure/http/edge/ResponseHeaders.ts"
export { ApiKeys } from "./infrastructure/http/edge/Caller.ts"
export { Readiness } from "./infrastructure/http/routes/Readiness.ts"
export { HealthRoutes } from "./infrastructure/http/routes/HealthRoutes.ts"
export { OrderRoutes } from "./infrastructure/http/routes/OrderRoutes.ts"
export { makeOrderApi } from "./contract/OrderApi.ts"
export { OrderClient, type OrderClientOptions } from "./contract/OrderClient.ts"
export { MaxBodyBytes, RequestTimeout } from "./infrastructure/http/edge/RequestLimits.ts"

// adapters
export * as Memory from "./infrastructure/memory/Memory.ts"
export * as Postgres from "./infrastructure/postgres/Postgres.ts"
export * as PostgresWakeUp from "./infrastructure/postgres/wake-ups/PostgresWakeUp.ts"
export * as SimulatedOrderProcessor from "./infrastructure/simulation/SimulatedOrderProcessor.ts"
