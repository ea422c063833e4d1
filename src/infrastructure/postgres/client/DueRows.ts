import type { SqlClient, Statement } from "effect/sql"
import { tablesOf } from "./Tables.ts"

/**
 * Columns of the rows of `order_due` that meet a condition on `due_at`, up to a limit per index scan: one scan for each
 * priority of the plain lanes, by the primary key, and one for all other lanes, by time. Each scan begins with the
 * earliest rows. The ORDER BY matches the index; without it the planner may scan the table.
 */
export const dueRows = (
  sql: SqlClient.SqlClient,
  schema: string,
  columns: Statement.Fragment,
  condition: Statement.Fragment,
  limit: number
) => {
  const { orderDue } = tablesOf(sql, schema)
  return sql`
  SELECT plain.* FROM generate_series(0, 9) AS each (priority) CROSS JOIN LATERAL (
    SELECT ${columns} FROM ${orderDue} d
    WHERE d.priority = each.priority AND d.group_name = '' AND d.type = 'default' AND ${condition}
    ORDER BY d.due_at LIMIT ${limit}
  ) AS plain
  UNION ALL
  (SELECT ${columns} FROM ${orderDue} d WHERE (d.type <> 'default' OR d.group_name <> '') AND ${condition}
  ORDER BY d.due_at LIMIT ${limit})`
}
