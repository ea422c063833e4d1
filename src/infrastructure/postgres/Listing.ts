import { DateTime } from "effect"
import type { SqlClient } from "effect/sql"
import type { OrderId } from "../../domain/OrderId.ts"
import type { Listing, Page, Position } from "../../domain/OrderQueries.ts"

/**
 * The maximum number of entries that the search for one page examines if a filter has no index, so that no
 * request reads a whole table. A page of rare matches may then be short or empty and still have a cursor.
 */
export const maxExamined = 2000

/** The position at which the search of a page stopped after `maxExamined` entries; null if it examined all. */
interface End {
  readonly end_at: Date | null
  readonly end_id: OrderId | null
}
/** A row of a page. If nothing was found, all columns except those of `End` are null. */
export type Found<Row> = { readonly [Column in keyof Row]: Row[Column] | null } & End

/** The columns of `End`, for a search that cannot stop early. */
export const noEnd = "NULL::timestamptz AS end_at, NULL::uuid AS end_id"

/** The condition of one page: after its cursor, and within the times of the filter. */
export const pageCondition = (
  sql: SqlClient.SqlClient,
  { at, id }: { readonly at: string; readonly id: string },
  { after }: Page,
  from: DateTime.Utc | undefined,
  until: DateTime.Utc | undefined
) => {
  const time = (value: DateTime.Utc) => sql`${DateTime.toDateUtc(value)}::timestamptz`
  // Only the earlier of the two upper bounds (`after` and `until`) is used, because with both bounds the
  // index scan could start at the later one and skip rows one by one.
  const isAfterEarlier = after !== null && (until === undefined || DateTime.isLessThan(after.at, until))
  return sql.and([
    ...(!isAfterEarlier
      ? []
      : [sql`(${sql.literal(at)}, ${sql.literal(id)}) < (${time(after.at)}, ${after.orderId}::uuid)`]),
    ...(from === undefined ? [] : [sql`${sql.literal(at)} >= ${time(from)}`]),
    ...(until === undefined || isAfterEarlier ? [] : [sql`${sql.literal(at)} < ${time(until)}`]),
    sql.literal("true")
  ])
}

/** One row: the last candidate if the maximum number was examined, else nulls. */
export const searchEnd = (sql: SqlClient.SqlClient, examined: number) => sql`
  SELECT last.created_at AS end_at, last.order_id AS end_id FROM (SELECT count(*) AS seen FROM candidate) AS counted
  LEFT JOIN (SELECT created_at, order_id FROM candidate ORDER BY created_at, order_id LIMIT 1) AS last
    ON counted.seen >= ${examined}`

/** The page of a list: a row beyond the limit shows that there is a next page. */
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
