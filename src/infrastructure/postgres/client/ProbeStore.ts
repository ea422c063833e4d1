import { DateTime, Effect, Random } from "effect"
import { SecureRandom } from "effect/crypto"
import type { SqlClient } from "effect/sql"
import type { NewOrder } from "../../../domain/Order.ts"
import { OrderId } from "../../../domain/OrderId.ts"
import { checkRights, readOnly } from "./ServerChecks.ts"
import { sqlStateOf } from "./SqlErrors.ts"

class RolledBack {}

/** Large and not compressible, so that the order needs new pages, which a full disk refuses. */
const payloadBytes = 16_384

const probeOrder = Effect.gen(function* () {
  const text = yield* Effect.replicateEffect(Random.nextIntBetween(0, 2 ** 31), payloadBytes / 8)
  return {
    id: OrderId.make(SecureRandom.uuidV7Unsafe()),
    type: "default",
    orderingKey: null,
    group: null,
    payload: { text: text.map((number) => number.toString(16).padStart(8, "0")).join("") },
    payloadVersion: 1,
    priority: 0,
    maxRetries: 0,
    metadata: {},
    correlationId: "probe",
    notBefore: DateTime.makeUnsafe("9999-01-01")
  } satisfies NewOrder
})

class StillReadOnly {}

/** How many connections of the pool are checked at the same time; as many as the pool has by default. */
const checked = 10

/**
 * Closes connections to a read-only server, so that the pool makes new ones and resolves the address again,
 * which may lead to another server after a failover. A statement closes its own connection, because that
 * works with every client and behind a pooler. Connections younger than a second are kept, to limit the rate
 * of reconnects to a read-only database. Several connections are checked at the same time, because after a
 * failover the pool has connections to both servers. Fails as long as one of these connections is read-only.
 */
const endReadOnlyConnections = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  const check = sql<{ readonly is: boolean }>`SELECT ${readOnly(sql)} AS is, (
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid = pg_backend_pid() AND backend_start < clock_timestamp() - interval '1 second' AND ${readOnly(sql)}
    )`.pipe(Effect.retry({ times: 100, while: (error) => sqlStateOf(error) === "57P01" }))
  const found = yield* Effect.replicateEffect(check, checked, { concurrency: "unbounded" })
  if (found.some(([row]) => row?.is !== false)) return yield* Effect.fail(new StillReadOnly())
})

/** Succeeds if an order can be stored now: stores one and rolls it back. Takes at most 10 seconds. */
export const makeProbeStore = (
  sql: SqlClient.SqlClient,
  schema: string,
  submit: (orders: ReadonlyArray<NewOrder>) => Effect.Effect<unknown, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    yield* endReadOnlyConnections(sql)
    yield* checkRights(sql, schema)
    const order = yield* probeOrder
    yield* sql.withTransaction(Effect.andThen(submit([order]), Effect.fail(new RolledBack()))).pipe(
      Effect.catchIf(
        (error) => error instanceof RolledBack,
        () => Effect.void
      )
    )
  }).pipe(Effect.timeout("10 seconds"), Effect.scoped)
