import { Duration } from "effect"
import type { SqlClient } from "effect/sql"
import type { Settlement, SettleResult } from "../../../application/ports/WorkStore.ts"
import { attemptOf } from "../../../domain/Order.ts"
import { integers, milliseconds, texts, uuids } from "../client/Columns.ts"
import { settleOrders as settleFunction } from "../functions/SettleOrders.ts"

/** Writes the outcomes of attempts by one call of the settle function; one row per settlement, in their order. */
export const settleOrders = (sql: SqlClient.SqlClient, schema: string) => {
  const settle = sql.literal(`"${schema}".${settleFunction.name}`)

  return (settlements: ReadonlyArray<Settlement>) => sql<{ readonly result: SettleResult }>`
    SELECT result FROM ${settle}(
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
}
