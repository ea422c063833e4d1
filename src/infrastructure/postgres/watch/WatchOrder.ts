import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { OrderEvent } from "../../../domain/OrderEvent.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { integers, uuids } from "../client/Columns.ts"
import { type EventRow, toEvent } from "../client/OrderRow.ts"
import { tablesOf } from "../client/Tables.ts"

interface After {
  readonly id: OrderId
  readonly after: number
}

/** For each of many orders, its events after the version given for this order, in one statement. */
export const eventsAfterStatement = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderEvents } = tablesOf(sql, schema)
  // `maxAll` limits the inner query, so that the scan stops there. If the limit cuts off the events of an
  // order, its oldest events remain.
  return (
    positions: ReadonlyArray<After>,
    { maxAll, maxEach }: { readonly maxEach: number; readonly maxAll: number }
  ) => sql<EventRow & { readonly place: number }>`
    SELECT * FROM (
      SELECT watched.place::int, later.*
      FROM unnest(
        ${uuids(positions.map(({ id }) => id))}::uuid[],
        ${integers(positions.map(({ after }) => after))}::int[]
      ) WITH ORDINALITY AS watched (id, after, place)
      CROSS JOIN LATERAL (
        SELECT * FROM ${orderEvents} e WHERE e.order_id = watched.id AND e.version > watched.after
        ORDER BY e.version LIMIT ${maxEach}
      ) AS later
      LIMIT ${maxAll}
    ) AS found
    ORDER BY place, version`
}

export const eventsAfter = (sql: SqlClient.SqlClient, schema: string) => {
  const read = eventsAfterStatement(sql, schema)
  return (...[positions, limits]: Parameters<typeof read>) =>
    Effect.map(read(positions, limits), (rows) => {
      const events = positions.map((): Array<OrderEvent> => [])
      for (const row of rows) events[row.place - 1]?.push(toEvent(row))
      return events
    })
}
