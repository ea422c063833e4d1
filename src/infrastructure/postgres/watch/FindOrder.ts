import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { DeadLetterFilter, OrderFilter, Page } from "../../../domain/OrderQueries.ts"
import { OrderNotFound, OrderNotInDeadLetterQueue } from "../../../domain/OrderErrors.ts"
import type { OrderEvent } from "../../../domain/OrderEvent.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { integers, uuids } from "../client/Columns.ts"
import { makeListings, toListing } from "./ListOrders.ts"
import {
  type DeadLetterRow,
  type EventRow,
  type OrderRow,
  toDeadLetter,
  toEvent,
  toListedOrder,
  toOrder
} from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

/** Reads orders, their history, dead letters and what waits. */
export const makeReadOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { deadLetters, now, orderEvents, orders } = tablesOf(sql, schema)

  const find = Effect.fnUntraced(function* (id: OrderId) {
    const [row] = yield* sql<OrderRow>`SELECT * FROM ${orders} WHERE id = ${id}::uuid`
    return row === undefined ? yield* new OrderNotFound({ orderId: id }) : toOrder(row)
  })

  const timeline = Effect.fnUntraced(function* (id: OrderId) {
    const rows =
      yield* sql<EventRow>`SELECT * FROM ${orderEvents} WHERE order_id = ${id}::uuid ORDER BY version`
    return rows.length === 0 ? yield* new OrderNotFound({ orderId: id }) : rows.map(toEvent)
  })

  // The inner limit ends the walk through the places; what it leaves of an order is its oldest events.
  const eventsAfter = (
    places: ReadonlyArray<{ readonly id: OrderId; readonly after: number }>,
    { maxAll, maxEach }: { readonly maxEach: number; readonly maxAll: number }
  ) => sql<EventRow & { readonly place: number }>`
    SELECT * FROM (
      SELECT watched.place::int, later.*
      FROM unnest(
        ${uuids(places.map(({ id }) => id))}::uuid[],
        ${integers(places.map(({ after }) => after))}::int[]
      ) WITH ORDINALITY AS watched (id, after, place)
      CROSS JOIN LATERAL (
        SELECT * FROM ${orderEvents} e WHERE e.order_id = watched.id AND e.version > watched.after
        ORDER BY e.version LIMIT ${maxEach}
      ) AS later
      LIMIT ${maxAll}
    ) AS found
    ORDER BY place, version`

  const happened = (...[places, limits]: Parameters<typeof eventsAfter>) =>
    Effect.map(eventsAfter(places, limits), (rows) => {
      const events = places.map((): Array<OrderEvent> => [])
      for (const row of rows) events[row.place - 1]?.push(toEvent(row))
      return events
    })

  // What is started before it: all that is due in a higher priority, and in its own what comes before it in the index.
  const dueBefore = (id: OrderId, limit: number) => sql<{ readonly before: number | null }>`
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

  const placeInLine = Effect.fnUntraced(function* (id: OrderId, limit: number) {
    const [row] = yield* dueBefore(id, limit)
    return row === undefined ? yield* new OrderNotFound({ orderId: id }) : row.before
  })

  const { deadLettersOf, ordersOf } = makeListings(sql, schema)

  const list = (page: Page, filter: OrderFilter = {}) =>
    Effect.map(ordersOf(page, filter), (rows) =>
      toListing(
        rows,
        page.limit,
        ({ id }) => id !== null,
        toListedOrder,
        ({ createdAt, id }) => ({
          at: createdAt,
          orderId: id
        })
      )
    )

  const pageOfDeadLetters = (page: Page, filter: DeadLetterFilter = {}) =>
    Effect.map(deadLettersOf(page, filter), (rows) =>
      toListing(
        rows,
        page.limit,
        ({ order_id }) => order_id !== null,
        toDeadLetter,
        ({ failedAt, orderId }) => ({
          at: failedAt,
          orderId
        })
      )
    )

  const deadLetter = Effect.fnUntraced(function* (id: OrderId) {
    const [row] = yield* sql<DeadLetterRow>`SELECT * FROM ${deadLetters} WHERE order_id = ${id}::uuid`
    if (row !== undefined) return toDeadLetter(row)
    yield* find(id)
    return yield* new OrderNotInDeadLetterQueue({ orderId: id })
  })

  const oldestDueAge = sql`(
    SELECT (extract(epoch FROM ${now} - min(first.due_at)) * 1000)::float8
    FROM generate_series(0, 9) AS each (priority)
    CROSS JOIN LATERAL (
      SELECT due_at FROM ${orders} o WHERE o.status = 'PENDING' AND o.priority = each.priority AND o.due_at <= ${now}
      ORDER BY o.due_at, o.id LIMIT 1
    ) first
  )`

  const backlog = sql<{ pending: number; processing: number; oldest_due_age_ms: number | null }>`
    SELECT
      (SELECT count(*)::int FROM (SELECT FROM ${orders} WHERE status = 'PENDING' LIMIT 100000) AS counted) AS pending,
      (SELECT count(*)::int FROM (SELECT FROM ${orders} WHERE status = 'PROCESSING' LIMIT 100000) AS counted) AS processing,
      ${oldestDueAge} AS oldest_due_age_ms`

  return {
    find,
    timeline,
    eventsAfter,
    happened,
    dueBefore,
    placeInLine,
    list,
    deadLetters: pageOfDeadLetters,
    deadLetter,
    oldestDueAge,
    backlog
  }
}
