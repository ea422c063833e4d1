import { Context, Duration, Effect, Layer, Option } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { OrdersUnavailable } from "../../../domain/OrderErrors.ts"
import { CallTimeLimit, makeCatchSqlErrors } from "./CatchSqlErrors.ts"
import { DatabaseSchema } from "./DatabaseSchema.ts"
import { makeProbeStore } from "./ProbeStore.ts"
import { readOnly } from "./ServerChecks.ts"
import { submitOrders } from "../intake/SubmitOrders.ts"

type Call = <A, E, R>(
  effect: Effect.Effect<A, E, R>
) => Effect.Effect<A, Exclude<E, SqlError.SqlError> | OrdersUnavailable, R>

/** What the stores share: the caller's client, the schema, and the error handling of calls to the database. */
export class Database extends Context.Service<
  Database,
  {
    /** The app's client, without its transformation of names, which would also apply inside JSON. */
    readonly sql: SqlClient.SqlClient
    readonly schema: string
    /**
     * Runs a call within `CallTimeLimit`. Fails with `OrdersUnavailable` if the database does not respond or
     * refuses; dies if the error is a bug.
     */
    readonly call: Call
    /** Like `call`, with another time limit. */
    readonly callWithin: (limit: Duration.Duration) => Call
    /** Fails while the database refuses to store orders. */
    readonly checkStores: Effect.Effect<void, SqlError.SqlError | OrdersUnavailable>
    readonly inTransaction: Effect.Effect<boolean>
  }
>()("order-platform/infrastructure/postgres/client/Database") {
  static readonly layer = Layer.effect(
    Database,
    Effect.gen(function* () {
      const sql = (yield* SqlClient.SqlClient).withoutTransforms()
      const schema = yield* DatabaseSchema
      const probe = makeProbeStore(sql, schema, submitOrders(sql, schema))
      const { catchSqlErrors, checkStores } = yield* makeCatchSqlErrors(probe)
      const isReadOnly = sql<{ readonly is: boolean }>`SELECT ${readOnly(sql)} AS is`.pipe(
        Effect.map(([row]) => row?.is === true)
      )
      return Database.of({
        sql,
        schema,
        call: catchSqlErrors(yield* CallTimeLimit),
        callWithin: catchSqlErrors,
        checkStores: checkStores(isReadOnly),
        inTransaction: Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)
      })
    })
  )
}
