import { DateTime } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { DeadLetterFilter, Listing, OrderFilter, Page, Position } from "../../../domain/OrderQueries.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { OrderStatus } from "../../../domain/OrderStatus.ts"
import { texts } from "../client/Columns.ts"
import type { DeadLetterRow, ListedOrderRow } from "../client/OrderRow.ts"

// Longer than 150 lines because the statements of all lists are built from the same few pieces.

/**
 * The most entries that one page looks at where a filter has no index of its own. A page of a rare match is short or
 * empty then, and says where the next one begins: no request can read a whole table.
 */
export const maxExamined = 2000

/** Where the search of a page ended because it had looked at enough; null where it had seen everything. */
interface End {
  readonly end_at: Date | null
  readonly end_id: OrderId | null
}
/** A row of a page; with null in the place of the entry where nothing was found. */
type Found<Row> = { readonly [Column in keyof Row]: Row[Column] | null } & End

/**
 * The statements of the lists: each reads the end of an index backwards, newest first.
 * Longer than 150 lines because they are read side by side, with what they share.
 */
export const makeListings = (sql: SqlClient.SqlClient, schema: string) => {
  const orders = sql(`${schema}.orders`)
  const deadLetters = sql(`${schema}.dead_letters`)
  const orderMetadata = sql(`${schema}.order_metadata`)
  // Everything but the payload.
  const columns = sql.literal(
    "o.id, o.status, o.version, o.retry_count, o.max_retries, o.priority, o.due_at, o.worker, o.lease_until, " +
      "o.failure_reason, o.created_at, o.updated_at, o.discarded_at, o.correlation_id, o.payload_version, o.metadata"
  )
  const noEnd = sql.literal("NULL::timestamptz AS end_at, NULL::uuid AS end_id")

  const within = (
    at: string,
    id: string,
    { after }: Page,
    from: DateTime.Utc | undefined,
    until: DateTime.Utc | undefined
  ) => {
    const time = (value: DateTime.Utc) => sql`${DateTime.toDateUtc(value)}::timestamptz`
    // One upper end only, the earlier: of two the index is entered at one, and what lies between is read in vain.
    const fromAfter = after !== null && (until === undefined || DateTime.isLessThan(after.at, until))
    return sql.and([
      ...(!fromAfter
        ? []
        : [sql`(${sql.literal(at)}, ${sql.literal(id)}) < (${time(after.at)}, ${after.orderId}::uuid)`]),
      ...(from === undefined ? [] : [sql`${sql.literal(at)} >= ${time(from)}`]),
      ...(until === undefined || fromAfter ? [] : [sql`${sql.literal(at)} < ${time(until)}`]),
      sql.literal("true")
    ])
  }
  const created = (page: Page, { createdAfter, createdBefore }: OrderFilter, id: string) =>
    within("created_at", id, page, createdAfter, createdBefore)

  const byStatus = (page: Page, filter: OrderFilter) => {
    const statuses = filter.status === undefined ? OrderStatus.literals : [filter.status]
    return sql<Found<ListedOrderRow>>`
      SELECT newest.*, ${noEnd}
      FROM unnest(${texts(statuses)}::text[]) AS each (status)
      CROSS JOIN LATERAL (
        SELECT ${columns} FROM ${orders} o WHERE o.status = each.status AND ${created(page, filter, "id")}
        ORDER BY o.created_at DESC, o.id DESC LIMIT ${page.limit + 1}
      ) AS newest
      ORDER BY newest.created_at DESC, newest.id DESC LIMIT ${page.limit + 1}`
  }

  // In the words of the index orders_retrying.
  const pendingAgain = sql.literal("o.retry_count > 0 AND o.due_at IS NOT NULL AND o.worker IS NULL")
  const canBePending = ({ status = "PENDING" }: OrderFilter) => sql.literal(String(status === "PENDING"))
  const retrying = (page: Page, filter: OrderFilter) => sql<Found<ListedOrderRow>>`
    SELECT ${columns}, ${noEnd} FROM ${orders} o WHERE ${pendingAgain} AND ${canBePending(filter)} AND ${created(page, filter, "id")}
    ORDER BY o.created_at DESC, o.id DESC LIMIT ${page.limit + 1}`

  /** The first pair leads; what else is asked for is looked up in each of its orders. */
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
        CROSS JOIN LATERAL (SELECT ${columns} FROM ${orders} o WHERE o.id = c.order_id AND ${matches} OFFSET 0) AS o
        ORDER BY c.created_at DESC, c.order_id DESC LIMIT ${page.limit + 1}
      )
      SELECT found.*, search.end_at, search.end_id
      FROM (${endOf(examined)}) AS search LEFT JOIN found ON true
      ORDER BY found.created_at DESC, found.id DESC`
  }

  // One row: the last candidate if the search stopped there.
  const endOf = (examined: number) => sql`
    SELECT last.created_at AS end_at, last.order_id AS end_id FROM (SELECT count(*) AS seen FROM candidate) AS counted
    LEFT JOIN (SELECT created_at, order_id FROM candidate ORDER BY created_at, order_id LIMIT 1) AS last
      ON counted.seen >= ${examined}`

  const ordersOf = (page: Page, filter: OrderFilter): Statement.Statement<Found<ListedOrderRow>> => {
    const [first, ...others] = Object.entries(filter.metadata ?? {})
    if (first !== undefined) return byMetadata(page, filter, [first, ...others])
    return filter.retrying === true ? retrying(page, filter) : byStatus(page, filter)
  }

  const deadLettersOf = (
    page: Page,
    { failedAfter, failedBefore, reason, reasonCode }: DeadLetterFilter
  ): Statement.Statement<Found<DeadLetterRow>> => {
    const where = sql.and([
      ...(reasonCode === undefined ? [] : [sql`reason_code = ${reasonCode}`]),
      within("failed_at", "order_id", page, failedAfter, failedBefore)
    ])
    const newest = (limit: number) => sql`
      SELECT *, failed_at AS created_at FROM ${deadLetters} WHERE ${where}
      ORDER BY failed_at DESC, order_id DESC LIMIT ${limit}`
    if (reason === undefined)
      return sql<Found<DeadLetterRow>>`SELECT found.*, ${noEnd} FROM (${newest(page.limit + 1)}) AS found`
    const examined = Math.max(maxExamined, page.limit + 1)
    return sql<Found<DeadLetterRow>>`
      WITH candidate AS MATERIALIZED (${newest(examined)}), found AS (
        SELECT * FROM candidate WHERE strpos(reason, ${reason}::text) > 0
        ORDER BY failed_at DESC, order_id DESC LIMIT ${page.limit + 1}
      )
      SELECT found.*, search.end_at, search.end_id
      FROM (${endOf(examined)}) AS search LEFT JOIN found ON true
      ORDER BY found.failed_at DESC, found.order_id DESC`
  }

  return { ordersOf, deadLettersOf }
}

type Pair = readonly [key: string, value: string]

/** The page that rows of a list are: one row more than the page holds says that there is a next one. */
export const toListing = <Row, A>(
  rows: ReadonlyArray<Found<Row>>,
  limit: number,
  isFound: (row: Found<Row>) => boolean,
  entryOf: (row: Row) => A,
  positionOf: (entry: A) => Position
): Listing<A> => {
  const found = rows.filter(isFound).map((row) => entryOf(row as unknown as Row))
  const entries = found.slice(0, limit)
  const last = entries.at(-1)
  if (found.length > limit && last !== undefined) return { entries, next: positionOf(last) }
  const [end] = rows
  return {
    entries,
    next: end?.end_at && end.end_id ? { at: DateTime.fromDateUnsafe(end.end_at), orderId: end.end_id } : null
  }
}
