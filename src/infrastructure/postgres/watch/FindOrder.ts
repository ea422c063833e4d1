import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { OrderNotFound } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { type EventRow, type OrderRow, toEvent, toOrder } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/** One order, by its primary key. */
export const findOrder = (sql: SqlClient.SqlClient, schema: string) => {
  const { orders } = tablesOf(sql, schema)
  return Effect.fnUntraced(function* (id: OrderId) {
    const [row] = yield* sql<OrderRow>`SELECT * FROM ${orders} WHERE id = ${id}::uuid`
    return row === undefined ? yield* new OrderNotFound({ orderId: id }) : toOrder(row)
  })
}

/** The history of one order, oldest first. */
export const readTimeline = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderEvents } = tablesOf(sql, schema)
  return Effect.fnUntraced(function* (id: OrderId) {
    const rows =
      yield* sql<EventRow>`SELECT * FROM ${orderEvents} WHERE order_id = ${id}::uuid ORDER BY version`
    return rows.length === 0 ? yield* new OrderNotFound({ orderId: id }) : rows.map(toEvent)
  })
}
