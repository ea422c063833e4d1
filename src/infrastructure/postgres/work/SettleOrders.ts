import { Duration } from "effect"
import type { SqlClient } from "effect/sql"
import type { Settlement, SettleResult } from "../../../application/ports/WorkStore.ts"
import { attemptOf } from "../../../domain/Order.ts"
import { integers, milliseconds, texts, uuids } from "../client/Columns.ts"
import { tablesOf } from "../client/Tables.ts"

/** Writes the outcomes of attempts, each fenced by the version it was started with: one statement a group. */
export const makeSettleOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const { orders } = tablesOf(sql, schema)
  const settleFunction = sql.literal(`"${schema}".order_platform_settle`)

  /** What became of each, in their order. The statement itself is in migrations/0005_settle.ts. */
  const settle = (settlements: ReadonlyArray<Settlement>) => sql<{ readonly result: SettleResult }>`
    SELECT result FROM ${settleFunction}(
      ${uuids(settlements.map(({ order }) => order.id))}::uuid[],
      ${integers(settlements.map(({ order }) => order.version))}::int[],
      ${integers(settlements.map(({ order }) => attemptOf(order)))}::int[],
      ${texts(settlements.map(({ order }) => order.worker))}::text[],
      ${texts(settlements.map(({ outcome }) => outcome.event))}::text[],
      ${milliseconds(settlements.map(({ outcome }) => ("delay" in outcome ? Duration.toMillis(outcome.delay) : null)))}::float8[],
      ${texts(settlements.map(({ outcome }) => ("failure" in outcome ? outcome.failure.reason : null)))}::text[],
      ${texts(settlements.map(({ outcome }) => ("failure" in outcome ? outcome.failure.reasonCode : null)))}::text[],
      ${texts(settlements.map(({ outcome }) => ("detail" in outcome ? outcome.detail : null)))}::text[]
    ) AS result`

  /** One row if the order is still as this attempt was given it. */
  const isStarted = ({ order }: Settlement) =>
    sql`SELECT FROM ${orders} WHERE id = ${order.id}::uuid AND version = ${order.version} AND status = 'PROCESSING'`

  return { isStarted, settle }
}
