import { Schema } from "effect"
import { ReasonCode } from "../domain/Failure.ts"
import type { ListedOrder } from "../domain/OrderQueries.ts"
import type { Order } from "../domain/Order.ts"
import { OrderId } from "../domain/OrderId.ts"
import { OrderStatus } from "../domain/OrderStatus.ts"

/** An order as JSON, without internal fields (worker, lease, payload version). */
export const OrderView = Schema.Struct({
  id: OrderId,
  status: OrderStatus,
  type: Schema.String,
  orderingKey: Schema.NullOr(Schema.String),
  group: Schema.NullOr(Schema.String),
  retryCount: Schema.Int.annotate({ description: "Failed attempts since the submit or the last reprocess." }),
  failureReason: Schema.NullOr(Schema.String).annotate({ description: "The last failure." }),
  reasonCode: Schema.NullOr(ReasonCode).annotate({ description: "The code of the last failure." }),
  createdAt: Schema.DateTimeUtcFromString,
  updatedAt: Schema.DateTimeUtcFromString,
  dueAt: Schema.NullOr(Schema.DateTimeUtcFromString).annotate({
    description: "Null when PROCESSED or FAILED."
  }),
  // The stored JSON, so that orders with an older payload schema can be read.
  payload: Schema.JsonObject,
  priority: Schema.Int,
  maxRetries: Schema.Int,
  metadata: Schema.Record(Schema.String, Schema.String),
  correlationId: Schema.String,
  version: Schema.Int.annotate({ description: "Counts transitions from 1; also the ETag." }),
  discardedAt: Schema.NullOr(Schema.DateTimeUtcFromString)
}).annotate({ identifier: "Order" })
export type OrderView = typeof OrderView.Type

const { payload: _, ...listed } = OrderView.fields

/** An order in a list: without its payload. */
export const ListedOrderView = Schema.Struct(listed).annotate({ identifier: "ListedOrder" })

/** The order as JSON. */
export const viewOrder = (order: Order): OrderView => ({ ...viewListedOrder(order), payload: order.payload })

/** The order as an entry of a list. */
export const viewListedOrder = (order: ListedOrder): typeof ListedOrderView.Type => ({
  id: order.id,
  status: order.status,
  type: order.type,
  orderingKey: order.orderingKey,
  group: order.group,
  retryCount: order.retryCount,
  failureReason: order.failureReason,
  reasonCode: order.reasonCode,
  createdAt: order.createdAt,
  updatedAt: order.updatedAt,
  dueAt: order.status === "PENDING" || order.status === "PROCESSING" ? order.dueAt : null,
  priority: order.priority,
  maxRetries: order.maxRetries,
  metadata: order.metadata,
  correlationId: order.correlationId,
  version: order.version,
  discardedAt: order.status === "FAILED" ? order.discardedAt : null
})
