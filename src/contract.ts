// order-platform/contract: the HTTP contract, for servers, clients and browsers. It imports nothing of Node.

export * as OrderPayload from "./domain/OrderPayload.ts"
export { OrderType, type OrderTypeOptions } from "./domain/OrderType.ts"
export { type AnyOrderType, OrderTypes, type PayloadsOf, type TypedPayload } from "./domain/OrderTypes.ts"
export { OrderId } from "./domain/OrderId.ts"
export { OrderStatus } from "./domain/OrderStatus.ts"
export { OrderEvent } from "./domain/OrderEvent.ts"
export { DeadLetter } from "./domain/DeadLetter.ts"
export { FailureGroup, FailureGroupState } from "./domain/FailureGroup.ts"
export { ReasonCode } from "./domain/Failure.ts"

export { apiVersion, makeOrderApi } from "./contract/OrderApi.ts"
export { OrderClient, type OrderClientOptions } from "./contract/OrderClient.ts"

export * from "./domain/OrderErrors.ts"
export * from "./contract/RequestErrors.ts"
export { type Problem, type ProblemError, Problems } from "./contract/Problems.ts"

export { AcceptedOrder } from "./contract/AcceptedOrder.ts"
export { Timeline } from "./contract/OrdersEndpoints.ts"
export { ListedOrderView, OrderView } from "./contract/OrderView.ts"
export { OrderListing } from "./contract/OrderListing.ts"
export { SubmittedOrders } from "./contract/SubmitOrdersBody.ts"
export { DeadLetterWithAttempts } from "./contract/DeadLettersEndpoints.ts"
export { PauseView, WorkerProcessView, WorkersView } from "./contract/WorkersEndpoints.ts"
export { GroupView } from "./contract/GroupsEndpoints.ts"
export { AuditEntryView } from "./contract/AuditEndpoints.ts"
export { StatsView } from "./contract/StatsEndpoints.ts"
