import type { SqlClient } from "effect/sql"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { cancelOrder as cancelFunction } from "../functions/CancelOrder.ts"

/** Cancels an order with one call of the cancel function. Returns no row if nothing was changed. */
export const cancelOrder = (sql: SqlClient.SqlClient, schema: string) => {
  const cancel = sql.literal(`"${schema}".${cancelFunction.name}`)
  return (id: OrderId, reason: string, ifVersion: number | null) =>
    sql<OrderRow>`SELECT * FROM ${cancel}(${id}::uuid, ${reason}, ${ifVersion}::int)`
}
