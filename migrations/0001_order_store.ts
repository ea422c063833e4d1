import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as guards from "./0001/guards.ts"
import * as orders from "./0001/orders.ts"
import * as work from "./0001/work.ts"

/**
 * Tables, indexes and guards. The database refuses every transition that src/domain/OrderTransitions.ts does
 * not allow, also in manual SQL. The SQL functions of claim, settle and the other steps are in
 * src/infrastructure/postgres/functions.
 *
 * This migration may change until the first release, and never after it. A database with another migration 0001 is
 * refused.
 *
 * Every name is qualified by the schema. Each statement is a separate call, because the wire protocol allows
 * only one statement per call.
 */
export default (schema: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const parts = [
      orders.clock,
      orders.orders,
      orders.orderEvents,
      orders.durability,
      orders.deadLetters,
      orders.failureGroups,
      orders.finalOrders,
      orders.metadata,
      orders.idempotencyKeys,
      orders.audit,
      work.dueOrders,
      work.runningOrders,
      work.workers,
      work.orderingKeys,
      work.lanes,
      work.groups,
      work.pauses,
      guards.guardTransitions,
      guards.guardInsertAndDelete,
      guards.guardHistory,
      guards.guardDeadLetters,
      guards.guardWork
    ]
    for (const part of parts) for (const statement of part(`"${schema}"`)) yield* sql.unsafe(statement)
  })
