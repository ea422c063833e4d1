import { Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import { OrderNotFound, OrderNotInDeadLetterQueue } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import type { DeadLetterFilter, Page } from "../../../domain/OrderQueries.ts"
import { type DeadLetterRow, toDeadLetter } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"
import { type Found, maxExamined, noEnd, pageCondition, searchEnd, toListing } from "../Listing.ts"

/**
 * One page of dead letters, by a backward scan of an index. A search in the reason, or for a code in a failure group,
 * examines a bounded number of entries.
 */
export const listDeadLettersStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters } = tablesOf(sql, schema)

  return (
    page: Page,
    { failedAfter, failedBefore, fingerprint, reason, reasonCode }: DeadLetterFilter
  ): Statement.Statement<Found<DeadLetterRow>> => {
    const hasCode = reasonCode === undefined ? [] : [sql`reason_code = ${reasonCode}`]
    const where = sql.and([
      ...(fingerprint === undefined ? hasCode : [sql`fingerprint = ${fingerprint}`]),
      pageCondition(sql, { at: "failed_at", id: "order_id" }, page, failedAfter, failedBefore)
    ])
    const newest = (limit: number) => sql`
      SELECT *, failed_at AS created_at FROM ${deadLetters} WHERE ${where}
      ORDER BY failed_at DESC, order_id DESC LIMIT ${limit}`
    const examine = [
      ...(fingerprint === undefined ? [] : hasCode),
      ...(reason === undefined ? [] : [sql`strpos(reason, ${reason}::text) > 0`])
    ]
    if (examine.length === 0)
      return sql<
        Found<DeadLetterRow>
      >`SELECT found.*, ${sql.literal(noEnd)} FROM (${newest(page.limit + 1)}) AS found`
    const examined = Math.max(maxExamined, page.limit + 1)
    return sql<Found<DeadLetterRow>>`
      WITH candidate AS MATERIALIZED (${newest(examined)}), found AS (
        SELECT * FROM candidate WHERE ${sql.and(examine)}
        ORDER BY failed_at DESC, order_id DESC LIMIT ${page.limit + 1}
      )
      SELECT found.*, search.end_at, search.end_id
      FROM (${searchEnd(sql, examined)}) AS search LEFT JOIN found ON true
      ORDER BY found.failed_at DESC, found.order_id DESC`
  }
}

export const listDeadLetters = (sql: SqlClient.SqlClient, schema: string) => {
  const list = listDeadLettersStatement(sql, schema)
  return (page: Page, filter: DeadLetterFilter = {}) =>
    Effect.map(list(page, filter), (rows) =>
      toListing(
        rows,
        page.limit,
        ({ order_id }) => order_id !== null,
        toDeadLetter,
        ({ failedAt, orderId }) => ({ at: failedAt, orderId })
      )
    )
}

/** The dead letter of one order. */
export const findDeadLetter = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, orders } = tablesOf(sql, schema)
  return Effect.fnUntraced(function* (id: OrderId) {
    const [row] = yield* sql<DeadLetterRow>`SELECT * FROM ${deadLetters} WHERE order_id = ${id}::uuid`
    if (row !== undefined) return toDeadLetter(row)
    const [order] = yield* sql`SELECT FROM ${orders} WHERE id = ${id}::uuid`
    return order === undefined
      ? yield* new OrderNotFound({ orderId: id })
      : yield* new OrderNotInDeadLetterQueue({ orderId: id })
  })
}
