import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer, Redacted, Schema, String } from "effect"
import { SqlClient } from "effect/sql"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { OrderWorker } from "../../../src/application/work/OrderWorker.ts"
import { OrderProcessor } from "../../../src/application/ports/OrderProcessor.ts"
import { WorkerSettings } from "../../../src/application/work/WorkerSettings.ts"
import * as OrderPayload from "../../../src/domain/OrderPayload.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import * as TestPostgres from "../../TestPostgres.ts"

const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String }), { name: "coffee" })
const parcel = OrderPayload.make(Schema.Struct({ street: Schema.String }), { name: "parcel" })

/** A client of an app that renames columns in both directions, also inside JSON. */
const appsClient = Layer.suspend(() =>
  PgClient.layer({
    url: Redacted.make(TestPostgres.databaseUrl()),
    maxConnections: 8,
    transformQueryNames: String.camelToSnake,
    transformResultNames: String.snakeToCamel
  })
)

const schemaOf = (name: string) =>
  `${name}_${globalThis.crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`

const dropped = (schema: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.addFinalizer(() => Effect.ignore(sql.unsafe(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)))
    })
  )

/** A platform with its worker in its own schema. The worker polls too rarely to hide a lost announcement. */
const platformIn = <P>(
  schema: string,
  payload: OrderPayload.OrderPayload<P>,
  process: (payload: P) => void
) =>
  OrderWorker.layer(payload).pipe(
    Layer.provide(OrderProcessor.layer(payload, (attempt) => Effect.sync(() => process(attempt.payload)))),
    Layer.provideMerge(OrderPlatform.layer(payload)),
    Layer.provide(Postgres.layerInSchema(schema)),
    Layer.provide(dropped(schema)),
    Layer.provide(
      Layer.succeed(WorkerSettings, {
        ...WorkerSettings.defaultValue(),
        name: schema,
        pollInterval: Duration.seconds(30)
      })
    )
  )

describe("two platforms in one database", () => {
  it.live("on one client of the app each have their own orders, worker and channel", () =>
    Effect.gen(function* () {
      const [coffees, parcels] = [schemaOf("coffees"), schemaOf("parcels")]
      const brewed = yield* Deferred.make<string>()
      const sent = yield* Deferred.make<string>()
      const app = Layer.mergeAll(
        platformIn(coffees, coffee, ({ drink }) => Deferred.doneUnsafe(brewed, Effect.succeed(drink))),
        platformIn(parcels, parcel, ({ street }) => Deferred.doneUnsafe(sent, Effect.succeed(street)))
      )
      yield* Effect.gen(function* () {
        const sql = (yield* SqlClient.SqlClient).withoutTransforms()
        yield* Effect.sleep("500 millis") // both workers have polled once and would poll again in 30 s
        const [first, second] = yield* Effect.all([
          Effect.flatMap(OrderPlatform.service(coffee), (orders) =>
            orders.submit({ payload: { drink: "espresso" } })
          ),
          Effect.flatMap(OrderPlatform.service(parcel), (orders) =>
            orders.submit({ payload: { street: "Elm Street" } })
          )
        ])
        assert.strictEqual(yield* Effect.timeout(Deferred.await(brewed), "10 seconds"), "espresso")
        assert.strictEqual(yield* Effect.timeout(Deferred.await(sent), "10 seconds"), "Elm Street")

        const idsIn = (schema: string) =>
          Effect.map(sql<{ id: string }>`SELECT id FROM ${sql(`${schema}.orders`)}`, (rows) =>
            rows.map(({ id }) => id)
          )
        assert.deepStrictEqual(yield* idsIn(coffees), [first])
        assert.deepStrictEqual(yield* idsIn(parcels), [second])
        const workers = yield* sql<{ worker: string }>`
          SELECT DISTINCT worker FROM ${sql(`${coffees}.order_events`)} WHERE worker IS NOT NULL`
        assert.deepStrictEqual(workers, [{ worker: coffees }])
        // Other tests may use the schema public of this database meanwhile; these tables are not in it.
        const [elsewhere] = yield* sql<{ found: string | null }>`
          SELECT to_regclass('public.orders')::text AS found`
        if (elsewhere?.found != null) assert.notIncludeMembers(yield* idsIn("public"), [first, second])
      }).pipe(Effect.provide(Layer.provideMerge(app, appsClient)))
    })
  )

  it.live("change nothing in tables that the app migrates, and refuse tables that do not fit", () =>
    Effect.gen(function* () {
      const schema = schemaOf("theirs")
      const built = Layer.build(Layer.fresh(Postgres.layerMigrated))
      yield* Effect.gen(function* () {
        const refused = yield* Effect.flip(built)
        assert.strictEqual(refused._tag, "MigrationsDoNotFit")
        assert.include(refused.message, `${schema} has no tables of order-platform`)
        const sql = yield* SqlClient.SqlClient
        // As a step of the app's own migrations, in their transaction.
        yield* sql.withTransaction(Postgres.migrate)
        yield* built
        yield* sql.unsafe(
          `DELETE FROM "${schema}".order_platform_migrations WHERE migration_id =
           (SELECT max(migration_id) FROM "${schema}".order_platform_migrations)`
        )
        assert.include((yield* Effect.flip(built)).message, "older version")
      }).pipe(
        Effect.provideService(Postgres.DatabaseSchema, schema),
        Effect.provide(Layer.provideMerge(dropped(schema), appsClient))
      )
    })
  )
})
