import type { SqlClient } from "effect/sql"
import type { OrderRow } from "../client/OrderRow.ts"
import { expireLeases as expireFunction } from "../functions/ExpireLeases.ts"

/** Expires orders of workers whose lease has ended, with one call of the expire function. */
export const expireLeases = (sql: SqlClient.SqlClient, schema: string) => {
  const expire = sql.literal(`"${schema}".${expireFunction.name}`)
  return (max: number) => sql<OrderRow>`SELECT * FROM ${expire}(${max})`
}
