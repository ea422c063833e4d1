import { Effect } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import type { Writes } from "../../../application/ports/OrderProcessor.ts"
import {
  OutcomeNotStorable,
  type Settlement,
  type SettleResult,
  WritesRefused
} from "../../../application/ports/WorkStore.ts"
import { makeSettleOrders } from "./SettleOrders.ts"
import { repeatAfterTrouble, runInTransaction } from "../client/RepeatStatements.ts"
import { isTransient, messageOf, sqlStateOf } from "../client/SqlErrors.ts"

/** The order was settled or lost while its writes ran: they must not be stored. */
class RolledBack {
  readonly result: SettleResult
  constructor(result: SettleResult) {
    this.result = result
  }
}

// After an error that the app's writes did not let out, every statement is refused in their transaction, ours too.
const isOfTheWrites = (error: SqlError.SqlError) => sqlStateOf(error) === "25P02"

/** What our own statements are refused for, said of nothing else. */
const ourOwn = <A, R>(statement: Effect.Effect<A, SqlError.SqlError, R>) =>
  Effect.catchIf(
    statement,
    (error) => !isTransient(error) && !isOfTheWrites(error),
    (error) => Effect.die(new OutcomeNotStorable({ cause: error }))
  )

/** Commits an app's own writes together with the fenced settle of their order, in one transaction. */
export const makeCommitWrites = (sql: SqlClient.SqlClient, schema: string) => {
  const { isStarted, settle } = makeSettleOrders(sql, schema)

  return (settlement: Settlement, writes: Writes["writes"]) =>
    Effect.gen(function* () {
      // The writes come first, so that the order is not locked while they run: its lease can be renewed, or run out.
      const [mine] = yield* ourOwn(isStarted(settlement))
      if (mine !== undefined) yield* writes
      const [row] = yield* ourOwn(settle([settlement]))
      const result = row?.result ?? "stale"
      return mine === undefined || result === "settled" ? result : yield* Effect.fail(new RolledBack(result))
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
