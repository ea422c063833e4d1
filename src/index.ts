// The public API, in the order of an order's way. Everything else may change without notice.

export * as OrderPayload from "./domain/OrderPayload.ts"
export type { NewOrder, Order, Outcome } from "./domain/Order.ts"
export { OrderId } from "./domain/OrderId.ts"
export { OrderStatus } from "./domain/OrderStatus.ts"
export { OrderEvent } from "./domain/OrderEvent.ts"
export { DeadLetter } from "./domain/DeadLetter.ts"
export { ReasonCode } from "./domain/Failure.ts"
export * from "./domain/OrderErrors.ts"
export { RetryPolicy } from "./domain/RetryPolicy.ts"

export {
  DefaultMaxRetries,
  type Submission,
  SubmissionRefused,
  type WrongSubmission
} from "./application/Submission.ts"
export { type Idempotency, IdempotencyTtl, type Replayable } from "./application/Idempotency.ts"
export { MaxPending } from "./application/WatchBacklog.ts"
export { OrderPlatform, type SubmitError } from "./application/OrderPlatform.ts"
export { DeleteOldOrders, Retention } from "./application/DeleteOldOrders.ts"
export { MaxWatched } from "./application/WatchOrders.ts"
export { OrderWorker } from "./application/OrderWorker.ts"
export { WorkerSettings } from "./application/WorkerSettings.ts"
export {
  type Attempt,
  type AttemptError,
  OrderProcessor,
  PermanentFailure,
  RetryableFailure,
  Snooze,
  Writes
} from "./application/ports/OrderProcessor.ts"
export { type Announcement, OrderQueue } from "./application/ports/OrderQueue.ts"
export type {
  DeadLetterFilter,
  ListedOrder,
  Listing,
  OrderFilter,
  Page,
  Position,
  Stats
} from "./application/ports/OrderQueries.ts"
export {
  type Backlog,
  OrderRepository,
  OutcomeNotStorable,
  type Settlement,
  type SettleResult,
  WritesRefused
} from "./application/ports/OrderRepository.ts"
export type { KeptAnswer, KeyedOrders } from "./application/ports/KeyedOrders.ts"

export { CorsOrigins } from "./infrastructure/http/AnswerHeaders.ts"
export { ApiKeys } from "./infrastructure/http/Caller.ts"
export { Readiness } from "./infrastructure/http/Health.ts"
export { HealthRoutes } from "./infrastructure/http/HealthRoutes.ts"
export { OrderRoutes } from "./infrastructure/http/OrderRoutes.ts"
export { makeOrderApi } from "./infrastructure/http/OrderApi.ts"
export { OrderClient, type OrderClientOptions } from "./infrastructure/http/OrderClient.ts"
export { MaxBodyBytes, RequestTimeout } from "./infrastructure/http/RequestLimits.ts"
export * as Memory from "./infrastructure/memory/Memory.ts"
export * as Postgres from "./infrastructure/postgres/Postgres.ts"
export * as PostgresOrderQueue from "./infrastructure/postgres/PostgresOrderQueue.ts"
export * as SimulatedOrderProcessor from "./infrastructure/simulation/SimulatedOrderProcessor.ts"
