import { Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { OrderFilter, Page } from "../../../domain/OrderQueries.ts"
import { defaultType } from "../../../domain/TypeSettings.ts"
import { type ListedOrderRow, toListedOrder } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"
import { type Found, maxExamined, pageCondition, searchEnd, toListing } from "../Listing.ts"

/**
 * A list of the PENDING (or PROCESSING, or retried) orders reads all of them if there are at most this many. If there
 * are more, it searches the newest orders of every status.
 */
export const maxOpen = 10_000

/** All columns but the payload. */
const columns =
  "o.id, o.status, o.version, o.retry_count, o.max_retries, o.priority, o.type, o.ordering_key, o.group_name, o.due_at, " +
  "o.worker, o.cancel_requested, o.failure_reason, o.reason_code, o.created_at, o.updated_at, o.discarded_at, o.correlation_id, " +
  "o.payload_version, o.metadata"

/** The rows in which a page is searched, which have `created_at` and an id, and a condition for them. */
interface Source {
  readonly rows: Statement.Fragment
  /** The name of the column with the order's id. */
  readonly id: string
  readonly condition: Statement.Fragment
  /** The filters that the condition already ensures. */
  readonly ensures: ReadonlyArray<keyof OrderFilter>
}

/** The conditions of the filter on the row `o` of an order, except those that the source ensures. */
const conditionsOf = (sql: SqlClient.SqlClient, filter: OrderFilter, ensures: Source["ensures"]) => {
  const { group, metadata, orderingKey, retrying, status, type } = filter
  const all: ReadonlyArray<readonly [keyof OrderFilter, boolean, Statement.Fragment]> = [
    ["status", status !== undefined, sql`o.status = ${status ?? ""}`],
    ["type", type !== undefined, sql`o.type = ${type ?? ""}`],
    ["orderingKey", orderingKey !== undefined, sql`o.ordering_key = ${orderingKey ?? ""}`],
    ["group", group !== undefined, sql`o.group_name = ${group ?? ""}`],
    ["retrying", retrying === true, sql`(o.status = 'PENDING' AND o.retry_count > 0)`],
    [
      "metadata",
      Object.keys(metadata ?? {}).length > 0,
      sql`o.metadata @> ${JSON.stringify(metadata ?? {})}::jsonb`
    ]
  ]
  return all.flatMap(([name, isGiven, condition]) => (isGiven && !ensures.includes(name) ? [condition] : []))
}

/** The index that fits the filter best: the one that is expected to have the fewest entries. */
const makeSources = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderDue, orderFinal, orderKeyWaiting, orderRunning, orders } = tablesOf(sql, schema)
  const orderMetadata = sql(`${schema}.order_metadata`)
  const everyOrder: Source = { rows: sql`${orders}`, id: "id", condition: sql.literal("true"), ensures: [] }

  const openOrders = (ids: Statement.Fragment, ensures: Source["ensures"]): Source => ({
    rows: sql`(SELECT o.created_at, o.id FROM (${ids} LIMIT ${maxOpen}) AS open JOIN ${orders} o ON o.id = open.order_id) AS open`,
    id: "id",
    condition: sql.literal("true"),
    ensures
  })

  return {
    /** The orders in a state that is not final, if the filter asks for such a state. */
    openIds: ({ retrying, status }: OrderFilter): Statement.Fragment | null => {
      if (retrying === true) return sql`SELECT order_id FROM ${orderDue} WHERE is_retry`
      if (status === "PENDING")
        return sql`SELECT order_id FROM ${orderDue} UNION ALL SELECT order_id FROM ${orderKeyWaiting}`
      return status === "PROCESSING" ? sql`SELECT order_id FROM ${orderRunning}` : null
    },
    openOrders,
    sourceOf: ({ group, metadata, orderingKey, status, type }: OrderFilter): Source => {
      const [pair] = Object.entries(metadata ?? {})
      if (pair !== undefined) {
        const [key, value] = pair
        const condition = sql`pair = hashtextextended(${value}::text, hashtextextended(${key}::text, 0))`
        return { rows: sql`${orderMetadata}`, id: "order_id", condition, ensures: [] }
      }
      // The second conditions are those of the partial indexes.
      if (orderingKey !== undefined) {
        const condition = sql`ordering_key = ${orderingKey} AND ordering_key <> ''`
        return { ...everyOrder, condition, ensures: ["orderingKey"] }
      }
      if (group !== undefined)
        return {
          ...everyOrder,
          condition: sql`group_name = ${group} AND group_name <> ''`,
          ensures: ["group"]
        }
      if (type !== undefined && type !== defaultType)
        return { ...everyOrder, condition: sql`type = ${type} AND type <> 'default'`, ensures: ["type"] }
      if (status === "FAILED") {
        const condition = sql.literal("status = 'FAILED'")
        return { rows: sql`${orderFinal}`, id: "order_id", condition, ensures: ["status"] }
      }
      return everyOrder
    }
  }
}

/**
 * One page of orders, newest first. Reads a bounded number of entries of a source backward, and checks the other
 * conditions for the order of each entry.
 */
export const listOrdersStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { orders } = tablesOf(sql, schema)
  const listed = sql.literal(columns)

  return (page: Page, filter: OrderFilter, source: Source): Statement.Statement<Found<ListedOrderRow>> => {
    const others = conditionsOf(sql, filter, source.ensures)
    const examined = others.length === 0 ? page.limit + 1 : Math.max(maxExamined, page.limit + 1)
    const id = sql.literal(source.id)
    const within = pageCondition(
      sql,
      { at: "created_at", id: source.id },
      page,
      filter.createdAfter,
      filter.createdBefore
    )
    return sql<Found<ListedOrderRow>>`
      WITH candidate AS MATERIALIZED (
        SELECT created_at, ${id} AS order_id FROM ${source.rows} WHERE ${source.condition} AND ${within}
        ORDER BY created_at DESC, ${id} DESC LIMIT ${examined}
      ), found AS (
        SELECT o.* FROM (SELECT * FROM candidate ORDER BY created_at DESC, order_id DESC) AS c
        CROSS JOIN LATERAL (
          SELECT ${listed} FROM ${orders} o WHERE ${sql.and([sql`o.id = c.order_id`, ...others])} OFFSET 0
        ) AS o
        ORDER BY c.created_at DESC, c.order_id DESC LIMIT ${page.limit + 1}
      )
      SELECT found.*, search.end_at, search.end_id
      FROM (${searchEnd(sql, examined)}) AS search LEFT JOIN found ON true
      ORDER BY found.created_at DESC, found.id DESC`
  }
}

export const listOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const list = listOrdersStatement(sql, schema)
  const { openIds, openOrders, sourceOf } = makeSources(sql, schema)

  /** A filter with one of these has a smaller index than the states that are not final. */
  const hasBetterIndex = ({ group, metadata = {}, orderingKey }: OrderFilter) =>
    group !== undefined || orderingKey !== undefined || Object.keys(metadata).length > 0

  const chooseSource = Effect.fnUntraced(function* (filter: OrderFilter) {
    const ids = hasBetterIndex(filter) ? null : openIds(filter)
    if (ids === null) return sourceOf(filter)
    const [row] = yield* sql<{ readonly n: number }>`
      SELECT count(*)::int AS n FROM (${ids} LIMIT ${maxOpen + 1}) AS open`
    return (row?.n ?? 0) > maxOpen ? sourceOf(filter) : openOrders(ids, [])
  })

  return (page: Page, filter: OrderFilter = {}) =>
    Effect.map(
      Effect.flatMap(chooseSource(filter), (source) => list(page, filter, source)),
      (rows) =>
        toListing(
          rows,
          page.limit,
          ({ id }) => id !== null,
          toListedOrder,
          ({ createdAt, id }) => ({ at: createdAt, orderId: id })
        )
    )
}
