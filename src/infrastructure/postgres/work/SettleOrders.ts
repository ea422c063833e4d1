import { Duration, Effect } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import type { Writes } from "../../../application/ports/OrderProcessor.ts"
import {
  OutcomeNotStorable,
  type Settlement,
  type SettleResult,
  WritesRefused
} from "../../../application/ports/WorkStore.ts"
import { groupMessageOf } from "../../../domain/FailureGroup.ts"
import { attemptOf } from "../../../domain/Order.ts"
import { integers, milliseconds, texts, uuids } from "../client/Columns.ts"
import { repeatAfterTrouble, runInTransaction } from "../client/RepeatStatements.ts"
import { isTransient, messageOf, sqlStateOf } from "../client/SqlErrors.ts"
import { tablesOf } from "../client/Tables.ts"
import { settleOrders as settleFunction } from "../functions/SettleOrders.ts"

/**
 * Writes the outcomes of attempts with one call of the settle function. Returns a row for each settlement, in
 * the sequence of the settlements.
 */
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
      ${texts(settlements.map(({ outcome }) => ("detail" in outcome ? outcome.detail : null)))}::text[],
      ${texts(settlements.map(({ outcome }) => (outcome.event === "failed" ? groupMessageOf(outcome.failure.reason) : null)))}::text[]
    ) AS result`
}

/** The failure that rolls back the writes of an order that was settled or lost while they ran. */
class RolledBack {
  readonly result: SettleResult
  constructor(result: SettleResult) {
    this.result = result
  }
}

// 25P02: an earlier error of the app's writes, which the app caught, has aborted the transaction.
const isCausedByWrites = (error: SqlError.SqlError) => sqlStateOf(error) === "25P02"

/**
 * Turns a permanent error of the platform's own statement into a defect, so that it is not attributed to the app's
 * writes.
 */
const ownStatement = <A, R>(statement: Effect.Effect<A, SqlError.SqlError, R>) =>
  Effect.catchIf(
    statement,
    (error) => !isTransient(error) && !isCausedByWrites(error),
    (error) => Effect.die(new OutcomeNotStorable({ cause: error }))
  )

/** Commits the app's writes and the fenced settle of their order in one transaction. */
export const settleWithWrites = (sql: SqlClient.SqlClient, schema: string) => {
  const { orders } = tablesOf(sql, schema)
  const settle = settleOrders(sql, schema)

  /** Returns a row if the order has not changed since this attempt started. */
  const isStarted = ({ order }: Settlement) =>
    sql`SELECT FROM ${orders} WHERE id = ${order.id}::uuid AND version = ${order.version} AND status = 'PROCESSING'`

  return (settlement: Settlement, writes: Writes["writes"]) =>
    Effect.gen(function* () {
      // The writes run before the settle, so that the order is not locked while they run and its lease can be
      // renewed or expire.
      const [started] = yield* ownStatement(isStarted(settlement))
      if (started !== undefined) yield* writes
      const [row] = yield* ownStatement(settle([settlement]))
      const result = row?.result ?? "stale"
      return started === undefined || result === "settled"
        ? result
        : yield* Effect.fail(new RolledBack(result))
    }).pipe(
      runInTransaction(sql),
      Effect.catchIf(
        (error) => error instanceof RolledBack,
        ({ result }) => Effect.succeed(result)
      ),
      repeatAfterTrouble,
      Effect.catchIf(
        (error) => SqlError.isSqlError(error) && !isTransient(error),
        (error) =>
          Effect.fail(new WritesRefused({ reason: SqlError.isSqlError(error) ? messageOf(error) : "" }))
      )
    )
}
