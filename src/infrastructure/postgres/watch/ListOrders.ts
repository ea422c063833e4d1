import { Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { OrderFilter, Page } from "../../../domain/OrderQueries.ts"
import { OrderStatus } from "../../../domain/OrderStatus.ts"
import { texts } from "../client/Columns.ts"
import { type ListedOrderRow, toListedOrder } from "../client/OrderRow.ts"
import { type Found, maxExamined, noEnd, pageCondition, searchEnd, toListing } from "../Listing.ts"

type Pair = readonly [key: string, value: string]

/** All columns but the payload. */
const columns =
  "o.id, o.status, o.version, o.retry_count, o.max_retries, o.priority, o.due_at, o.worker, o.lease_until, " +
  "o.failure_reason, o.created_at, o.updated_at, o.discarded_at, o.correlation_id, o.payload_version, o.metadata"

/** One page of orders, newest first, by a backward scan of the index that fits the filter. */
export const listOrdersStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const orders = sql(`${schema}.orders`)
  const orderMetadata = sql(`${schema}.order_metadata`)
  const listed = sql.literal(columns)
  const created = (page: Page, { createdAfter, createdBefore }: OrderFilter, id: string) =>
    pageCondition(sql, { at: "created_at", id }, page, createdAfter, createdBefore)

  const byStatus = (page: Page, filter: OrderFilter) => {
    const statuses = filter.status === undefined ? OrderStatus.literals : [filter.status]
    return sql<Found<ListedOrderRow>>`
      SELECT newest.*, ${sql.literal(noEnd)}
      FROM unnest(${texts(statuses)}::text[]) AS each (status)
      CROSS JOIN LATERAL (
        SELECT ${listed} FROM ${orders} o WHERE o.status = each.status AND ${created(page, filter, "id")}
        ORDER BY o.created_at DESC, o.id DESC LIMIT ${page.limit + 1}
      ) AS newest
      ORDER BY newest.created_at DESC, newest.id DESC LIMIT ${page.limit + 1}`
  }

  // The condition of the index orders_retrying.
  const pendingAgain = sql.literal("o.retry_count > 0 AND o.due_at IS NOT NULL AND o.worker IS NULL")
  const canBePending = ({ status = "PENDING" }: OrderFilter) => sql.literal(String(status === "PENDING"))
  const retrying = (page: Page, filter: OrderFilter) => sql<Found<ListedOrderRow>>`
    SELECT ${listed}, ${sql.literal(noEnd)} FROM ${orders} o WHERE ${pendingAgain} AND ${canBePending(filter)} AND ${created(page, filter, "id")}
    ORDER BY o.created_at DESC, o.id DESC LIMIT ${page.limit + 1}`

  /**
   * Scans the index entries of the first pair, and checks the other conditions for the order of each entry.
   */
  const byMetadata = (
    page: Page,
    filter: OrderFilter,
    [[key, value], ...others]: readonly [Pair, ...ReadonlyArray<Pair>]
  ) => {
    const needsSearch = others.length > 0 || filter.status !== undefined || filter.retrying === true
    const examined = needsSearch ? Math.max(maxExamined, page.limit + 1) : page.limit + 1
    const matches = sql.and([
      sql`o.metadata @> ${JSON.stringify(filter.metadata)}::jsonb`,
      ...(filter.status === undefined ? [] : [sql`o.status = ${filter.status}`]),
      ...(filter.retrying === true ? [sql`${pendingAgain}`] : [])
    ])
    return sql<Found<ListedOrderRow>>`
      WITH candidate AS MATERIALIZED (
        SELECT created_at, order_id FROM ${orderMetadata}
        WHERE pair = hashtextextended(${value}::text, hashtextextended(${key}::text, 0))
          AND ${created(page, filter, "order_id")}
        ORDER BY created_at DESC, order_id DESC LIMIT ${examined}
      ), found AS (
        SELECT o.* FROM (SELECT * FROM candidate ORDER BY created_at DESC, order_id DESC) AS c
        CROSS JOIN LATERAL (SELECT ${listed} FROM ${orders} o WHERE o.id = c.order_id AND ${matches} OFFSET 0) AS o
        ORDER BY c.created_at DESC, c.order_id DESC LIMIT ${page.limit + 1}
      )
      SELECT found.*, search.end_at, search.end_id
      FROM (${searchEnd(sql, examined)}) AS search LEFT JOIN found ON true
      ORDER BY found.created_at DESC, found.id DESC`
  }

  return (page: Page, filter: OrderFilter): Statement.Statement<Found<ListedOrderRow>> => {
    const [first, ...others] = Object.entries(filter.metadata ?? {})
    if (first !== undefined) return byMetadata(page, filter, [first, ...others])
    return filter.retrying === true ? retrying(page, filter) : byStatus(page, filter)
  }
}

export const listOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const list = listOrdersStatement(sql, schema)
  return (page: Page, filter: OrderFilter = {}) =>
    Effect.map(list(page, filter), (rows) =>
      toListing(
        rows,
        page.limit,
        ({ id }) => id !== null,
        toListedOrder,
        ({ createdAt, id }) => ({ at: createdAt, orderId: id })
      )
    )
}
