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

/** What the stores of one set of orders share: the caller's client, the schema, and how a call to the database fails. */
export class Database extends Context.Service<
  Database,
  {
    /** The app's client may rename columns, also inside JSON; this one does not. */
    readonly sql: SqlClient.SqlClient
    readonly schema: string
    /** One call within the time limit of a call: `OrdersUnavailable` where the database is away or refuses; a bug of ours dies. */
    readonly call: Call
    /** The same with another time limit. */
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
