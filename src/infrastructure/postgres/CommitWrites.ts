import { Effect } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import type { Writes } from "../../application/ports/OrderProcessor.ts"
import { type Settlement, type SettleResult, WritesRefused } from "../../application/ports/OrderRepository.ts"
import { makeSettleOrders } from "./SettleOrders.ts"
import { inTransaction, isTransient, messageOf, repeatAfterTrouble } from "./SqlTrouble.ts"

/** The order was settled or lost while its writes ran: they must not be stored. */
class RolledBack {
  readonly result: SettleResult
  constructor(result: SettleResult) {
    this.result = result
  }
}

/** Commits an app's own writes together with the fenced settle of their order, in one transaction. */
export const makeCommitWrites = (sql: SqlClient.SqlClient, schema: string) => {
  const { isStarted, settle } = makeSettleOrders(sql, schema)

  return (settlement: Settlement, writes: Writes["writes"]) =>
    Effect.gen(function* () {
      // The writes come first, so that the order is not locked while they run: its lease can be renewed, or run out.
      const [mine] = yield* isStarted(settlement)
      if (mine !== undefined) yield* writes
      const [row] = yield* settle([settlement])
      const result = row?.result ?? "stale"
      return mine === undefined || result === "settled" ? result : yield* Effect.fail(new RolledBack(result))
    }).pipe(
      inTransaction(sql),
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
