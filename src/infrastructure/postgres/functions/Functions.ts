import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { texts } from "../client/Columns.ts"
import { addDeadLetters } from "./AddDeadLetters.ts"
import { cancelOrder } from "./CancelOrder.ts"
import { claimOrders } from "./ClaimOrders.ts"
import { closeLanes } from "./CloseLanes.ts"
import { expireLeases } from "./ExpireLeases.ts"
import { heldOrders } from "./HeldOrders.ts"
import { lockOrder } from "./LockOrder.ts"
import { nextDue } from "./NextDue.ts"
import { nextGroups } from "./NextGroups.ts"
import { pauseWorkers, resumeWorkers } from "./PauseWorkers.ts"
import { promoteOrders } from "./PromoteOrders.ts"
import { runOrder } from "./RunOrder.ts"
import { settleOrders } from "./SettleOrders.ts"

/**
 * A SQL function. Its name ends in its version. `create` takes the quoted name of a schema and returns the
 * statement that creates the function there.
 */
export interface SqlFunction {
  readonly name: string
  readonly create: (schema: string) => string
}

/**
 * The SQL functions that this version calls. To change one, add a copy with the next version number and call
 * the copy: processes of the previous version continue to call the old one in the same database.
 */
export const functions: ReadonlyArray<SqlFunction> = [
  promoteOrders,
  nextGroups,
  closeLanes,
  nextDue,
  claimOrders,
  addDeadLetters,
  settleOrders,
  expireLeases,
  heldOrders,
  lockOrder,
  cancelOrder,
  runOrder,
  pauseWorkers,
  resumeWorkers
]

/** The functions that the schema lacks. */
export const missingFunctions = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  schema: string,
  wanted: ReadonlyArray<SqlFunction> = functions
) {
  const rows = yield* sql<{ name: string }>`
    SELECT proname::text AS name FROM pg_proc
    WHERE pronamespace = to_regnamespace(${`"${schema}"`}) AND proname = ANY (${texts(wanted.map(({ name }) => name))}::text[])`
  const present = new Set(rows.map(({ name }) => name))
  return wanted.filter(({ name }) => !present.has(name))
})

/** Whether the schema was renamed: its functions still contain the old schema name. */
export const wasRenamed = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, schema: string) {
  const rows = yield* sql`
    SELECT 1 FROM pg_proc
    WHERE pronamespace = to_regnamespace(${`"${schema}"`}) AND strpos(prosrc, ${`"${schema}".`}) = 0
      AND proname = ANY (${texts(functions.map(({ name }) => name))}::text[])`
  return rows.length > 0
})

/** Creates the functions that the schema lacks; the caller holds the migration lock. */
export const createMissingFunctions = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  schema: string,
  wanted: ReadonlyArray<SqlFunction> = functions
) {
  for (const { create } of yield* missingFunctions(sql, schema, wanted))
    yield* sql.unsafe(create(`"${schema}"`))
})
