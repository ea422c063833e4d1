import type { SqlClient } from "effect/sql"
import { tablesOf } from "./Tables.ts"

/**
 * Parts of a statement that makes orders PENDING outside of a claim: submit and reprocess. Their argument is the name
 * of a CTE with the rows of `orders`. The tables are described in migrations/0001/work.ts.
 */
export const enqueueParts = (sql: SqlClient.SqlClient, schema: string) => {
  const { orderDue, orderKeyChecks, orderKeyWaiting, orderLaneChecks } = tablesOf(sql, schema)
  const from = (cte: string) => sql.literal(cte)

  return {
    /** Draws the place of an order with an ordering key. */
    nextPlace: sql.literal(`nextval('"${schema}".order_places')`),

    /** Orders without an ordering key may start once they are due. */
    plain: (cte: string) => sql`
    due AS (
      INSERT INTO ${orderDue} (priority, group_name, type, due_at, order_id, is_retry)
      SELECT priority, group_name, type, due_at, id, false FROM ${from(cte)} WHERE ordering_key = ''
    )`,

    /** Orders with an ordering key wait for a claim to make them the head of their key. */
    keyed: (cte: string) => sql`
    waiting AS (
      INSERT INTO ${orderKeyWaiting} (type, ordering_key, place, order_id, group_name)
      SELECT type, ordering_key, place, id, group_name FROM ${from(cte)} WHERE ordering_key <> ''
    ), key_checks AS (
      INSERT INTO ${orderKeyChecks} (type, ordering_key)
      SELECT DISTINCT type, ordering_key FROM ${from(cte)} WHERE ordering_key <> ''
    )`,

    /** Checks for the lanes that got an order, except plain lanes. */
    laneChecks: (cte: string) => sql`
    lane_checks AS (
      INSERT INTO ${orderLaneChecks} (priority, group_name, type)
      SELECT DISTINCT priority, group_name, type FROM ${from(cte)}
      WHERE ordering_key = '' AND (type <> 'default' OR group_name <> '')
    )`
  }
}
