import type { SqlClient } from "effect/sql"
import type { Operator } from "../../../domain/Audit.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { OrderRow } from "../client/OrderRow.ts"
import { runOrder as runFunction } from "../functions/RunOrder.ts"

/** Makes a waiting order due now with one call of the run function. Returns no row if nothing was changed. */
export const runOrder = (sql: SqlClient.SqlClient, schema: string) => {
  const run = sql.literal(`"${schema}".${runFunction.name}`)
  return (id: OrderId, { by, correlationId }: Operator) =>
    sql<OrderRow>`SELECT * FROM ${run}(${id}::uuid, ${by}::text, ${correlationId}::text)`
}
