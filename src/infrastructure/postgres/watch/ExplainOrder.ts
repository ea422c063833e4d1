import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { OrderNotFound } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { tablesOf } from "../client/Tables.ts"

/**
 * Counts the due orders that are claimed before this one: all of higher priorities, and those of the same
 * priority with an earlier due time or lower id. The number is null if the order is not PENDING or not
 * due. There is no row if the order does not exist.
 */
export const countDueBeforeStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { now, orders } = tablesOf(sql, schema)
  return (id: OrderId, limit: number) => sql<{ readonly before: number | null }>`
    SELECT CASE WHEN mine.status = 'PENDING' AND mine.due_at <= ${now} THEN (
      SELECT count(*)::int FROM (
        SELECT FROM generate_series(mine.priority + 1, 9) AS high (priority)
        CROSS JOIN LATERAL (
          SELECT FROM ${orders} o WHERE o.status = 'PENDING' AND o.priority = high.priority AND o.due_at <= ${now}
          ORDER BY o.due_at, o.id LIMIT ${limit}
        ) AS higher
        UNION ALL
        (SELECT FROM ${orders} o
        WHERE o.status = 'PENDING' AND o.priority = mine.priority AND (o.due_at, o.id) < (mine.due_at, mine.id)
        ORDER BY o.due_at, o.id LIMIT ${limit})
        LIMIT ${limit}
      ) AS counted
    ) END AS before
    FROM ${orders} AS mine WHERE mine.id = ${id}::uuid`
}

export const countDueBefore = (sql: SqlClient.SqlClient, schema: string) => {
  const count = countDueBeforeStatement(sql, schema)
  return Effect.fnUntraced(function* (id: OrderId, limit: number) {
    const [row] = yield* count(id, limit)
    return row === undefined ? yield* new OrderNotFound({ orderId: id }) : row.before
  })
}
