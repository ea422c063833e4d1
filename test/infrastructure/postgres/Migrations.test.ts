import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Latch, Layer, Logger, Queue, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { allStores } from "../../../src/testing/AllStores.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { neededRights, placesSequence } from "../../../src/infrastructure/postgres/client/ServerChecks.ts"
import * as Migrations from "../../../src/infrastructure/postgres/Migrations.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import * as PostgresStores from "../../../src/infrastructure/postgres/PostgresStores.ts"
import { newOrder } from "../../TestOrders.ts"
import * as TestPostgres from "../../TestPostgres.ts"

const { migrate } = Migrations

/** A new schema name for each test; the schema does not exist yet. */
const inNewSchema = <A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient>) =>
  Effect.provide(
    effect,
    Layer.suspend(() => TestPostgres.ownSchema({ maxConnections: 5 }))
  )

/** Everything in the schema with the transaction that last wrote it: equal only if nothing was written. */
const contents = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const inSchema = sql`(SELECT oid FROM pg_namespace WHERE nspname = ${schema})`
  return yield* sql<{ kind: string; name: string; oid: string; writer: string }>`
    SELECT 'relation' AS kind, relname::text AS name, oid::text, xmin::text AS writer
      FROM pg_class WHERE relnamespace = ${inSchema}
    UNION ALL SELECT 'function', proname::text, oid::text, xmin::text FROM pg_proc WHERE pronamespace = ${inSchema}
    UNION ALL SELECT 'constraint', conname::text, oid::text, xmin::text FROM pg_constraint WHERE connamespace = ${inSchema}
    UNION ALL SELECT 'trigger', t.tgname::text, t.oid::text, t.xmin::text
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = ${inSchema}
    ORDER BY kind, name, oid`
})
const applied = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  return yield* sql<{ id: number; name: string; writer: string }>`
    SELECT migration_id AS id, name, xmin::text AS writer
    FROM ${sql(`${schema}.order_platform_migrations`)} ORDER BY migration_id`
})
const newest = Effect.gen(function* () {
  const last = (yield* applied).at(-1)
  assert(last !== undefined)
  return last
})
/** Changes the table of applied migrations. */
const tamper = Effect.fnUntraced(function* (statement: (table: string) => string) {
  const sql = yield* SqlClient.SqlClient
  yield* sql.unsafe(statement(`"${yield* DatabaseSchema}".order_platform_migrations`))
})
const refusal = Effect.gen(function* () {
  const error = yield* Effect.flip(migrate)
  assert.strictEqual(error._tag, "MigrationsDoNotFit")
  assert.notMatch(error.message, /\n/)
  return error.message
})
/** Checks that an order submitted to this schema is found in it. */
const works = Effect.gen(function* () {
  const stores = yield* allStores
  const order = newOrder()
  yield* stores.intake.submit([order])
  assert.strictEqual((yield* stores.reads.find(order.id)).id, order.id)
  return order.id
}).pipe(Effect.provide(Layer.fresh(PostgresStores.layer)))

describe("Migrations", () => {
  it.effect("a schema that does not exist yet is created, with everything in it", () =>
    inNewSchema(
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* contents, [])
        yield* migrate
        const tables = (yield* contents).filter(({ kind }) => kind === "relation").map(({ name }) => name)
        assert.includeMembers(tables, [...Object.keys(neededRights), placesSequence])
        assert.deepStrictEqual(
          (yield* applied).map(({ id, name }) => [id, name]),
          [[1, "order_store"]]
        )
        yield* works
      })
    )
  )

  it.effect("an existing empty schema is used, without the right to create schemas", () =>
    inNewSchema(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const schema = yield* DatabaseSchema
        const role = `${schema}_owner`
        // The role exists only in this transaction.
        const asOwner = Effect.gen(function* () {
          yield* sql`CREATE ROLE ${sql(role)}`
          yield* sql`CREATE SCHEMA ${sql(schema)} AUTHORIZATION ${sql(role)}`
          yield* sql`SET LOCAL ROLE ${sql(role)}`
          const [may] = yield* sql<{ create: boolean }>`
            SELECT has_database_privilege(current_database(), 'CREATE') AS create`
          assert.deepStrictEqual(may, { create: false })
          yield* migrate
          yield* works
          return yield* Effect.fail("rolled back" as const)
        })
        assert.strictEqual(yield* Effect.flip(sql.withTransaction(asOwner)), "rolled back")
      })
    )
  )

  it.effect("running them twice changes nothing", () =>
    inNewSchema(
      Effect.gen(function* () {
        yield* migrate
        const id = yield* works
        const before = [yield* contents, yield* applied]
        yield* migrate
        assert.deepStrictEqual([yield* contents, yield* applied], before)
        const stores = yield* Effect.provide(allStores, PostgresStores.layer)
        assert.strictEqual((yield* stores.reads.find(id)).version, 1)
      })
    )
  )

  it.live("a start whose connection breaks during its migrations starts over", () =>
    inNewSchema(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const lock = `order-platform migrations of ${yield* DatabaseSchema}`
        const held = yield* Latch.make(false)
        const broken = yield* Latch.make(false)
        yield* Effect.forkChild(
          sql.withTransaction(
            sql`SELECT pg_advisory_xact_lock(hashtextextended(${lock}, 0))`.pipe(
              Effect.andThen(held.open),
              Effect.andThen(broken.await)
            )
          )
        )
        yield* held.await
        const starting = yield* Effect.forkChild(Effect.provide(works, Layer.fresh(Migrations.layer)), {
          startImmediately: true
        })
        // Only this start waits for this lock.
        yield* sql<{ terminated: boolean }>`
          SELECT pg_terminate_backend(pid) AS terminated FROM pg_locks
          WHERE locktype = 'advisory' AND NOT granted
            AND objid = (hashtextextended(${lock}, 0) & 4294967295)::bigint::oid`.pipe(
          Effect.repeat({ until: (rows) => rows.length === 1 })
        )
        yield* broken.open
        yield* Fiber.join(starting)
      })
    )
  )

  it.effect("five concurrent processes all succeed, and each migration is applied once", () =>
    inNewSchema(
      Effect.gen(function* () {
        yield* Effect.all(
          Array.from({ length: 5 }, () => migrate),
          { concurrency: 5, discard: true }
        )
        const migrations = yield* applied
        assert.deepStrictEqual(
          migrations.map(({ id }) => id),
          migrations.map((_, n) => n + 1)
        )
        assert(migrations.length >= 1)
        assert.strictEqual(new Set(migrations.map(({ writer }) => writer)).size, 1)
        yield* works
      })
    )
  )

  it.effect("a gap is refused in one sentence, and nothing is changed", () =>
    inNewSchema(
      Effect.gen(function* () {
        yield* migrate
        const { id, name } = yield* newest
        yield* tamper((table) => `UPDATE ${table} SET migration_id = ${id + 1} WHERE migration_id = ${id}`)
        const before = [yield* contents, yield* applied]
        assert.include(
          yield* refusal,
          `The database has migration ${id + 1} "${name}" where this version expects ${id} "${name}"`
        )
        assert.deepStrictEqual([yield* contents, yield* applied], before)
      })
    )
  )

  it.effect(
    "a foreign migration with the number of ours is refused in one sentence, and nothing is changed",
    () =>
      inNewSchema(
        Effect.gen(function* () {
          yield* migrate
          const { id, name } = yield* newest
          yield* tamper((table) => `UPDATE ${table} SET name = 'foreign' WHERE migration_id = ${id}`)
          const before = [yield* contents, yield* applied]
          assert.include(
            yield* refusal,
            `The database has migration ${id} "foreign" where this version expects ${id} "${name}"`
          )
          assert.deepStrictEqual([yield* contents, yield* applied], before)
        })
      )
  )

  it.effect(
    "a database that a newer version migrated is refused in one sentence, and nothing is changed",
    () =>
      inNewSchema(
        Effect.gen(function* () {
          yield* migrate
          const known = (yield* applied).length
          yield* tamper((table) => `INSERT INTO ${table} (migration_id, name) VALUES (${known + 1}, 'newer')`)
          const before = [yield* contents, yield* applied]
          assert.match(
            yield* refusal,
            new RegExp(
              `^The database has ${known + 1} migrations and this version knows ${known}: .*newer version`
            )
          )
          assert.deepStrictEqual([yield* contents, yield* applied], before)
        })
      )
  )

  it.effect(
    "a database with the tables from before the first release is refused, with what to do about it",
    () =>
      inNewSchema(
        Effect.gen(function* () {
          yield* migrate
          const schema = yield* DatabaseSchema
          for (const [name, later] of [
            ["tables", []],
            ["orders", ["listing", "idempotency", "retention", "settle"]]
          ] as const) {
            yield* tamper((table) => `UPDATE ${table} SET name = '${name}' WHERE migration_id = 1`)
            for (const [n, each] of later.entries())
              yield* tamper(
                (table) => `INSERT INTO ${table} (migration_id, name) VALUES (${n + 2}, '${each}')`
              )
            const before = [yield* contents, yield* applied]
            assert.strictEqual(
              yield* refusal,
              `The tables in the database schema ${schema} were created by a version of order-platform before the first release and cannot be upgraded: use an empty schema (database.schema) or drop this one.`
            )
            assert.deepStrictEqual([yield* contents, yield* applied], before)
          }
        })
      )
  )

  it.effect("a database that was refused works again once its migrations fit", () =>
    inNewSchema(
      Effect.gen(function* () {
        yield* migrate
        const { id, name } = yield* newest
        yield* tamper((table) => `UPDATE ${table} SET name = 'foreign' WHERE migration_id = ${id}`)
        yield* refusal
        yield* tamper((table) => `UPDATE ${table} SET name = '${name}' WHERE migration_id = ${id}`)
        yield* migrate
        yield* works
      })
    )
  )

  it.effect("two schemas in one database are independent", () =>
    inNewSchema(
      Effect.gen(function* () {
        yield* migrate
        const here = yield* works
        const before = [yield* contents, yield* applied]
        const there = yield* Effect.provide(
          Effect.gen(function* () {
            yield* migrate
            const stores = yield* Effect.provide(allStores, Layer.fresh(PostgresStores.layer))
            assert.strictEqual((yield* Effect.flip(stores.reads.find(here)))._tag, "OrderNotFound")
            return yield* works
          }),
          Layer.fresh(Layer.suspend(() => TestPostgres.ownSchema()))
        )
        const stores = yield* Effect.provide(allStores, Layer.fresh(PostgresStores.layer))
        assert.strictEqual((yield* Effect.flip(stores.reads.find(there)))._tag, "OrderNotFound")
        assert.strictEqual((yield* stores.reads.find(here)).id, here)
        assert.deepStrictEqual([yield* contents, yield* applied], before)
      })
    )
  )
})

/** A new database in which indexes take long to create, with a statement timeout of half a second. */
const slowDatabase = Layer.unwrap(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const name = `migrations_${globalThis.crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`
    yield* Effect.acquireRelease(sql`CREATE DATABASE ${sql(name)}`, () =>
      Effect.ignore(sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`)
    )
    const url = new URL(TestPostgres.databaseUrl())
    url.pathname = name
    return Postgres.layerClient({
      url: Redacted.make(url.href),
      maxConnections: 3,
      prepare: true,
      acquireTimeout: Duration.seconds(5),
      statementTimeout: Duration.millis(500)
    })
  })
).pipe(Layer.provide(Layer.suspend(() => TestPostgres.ownSchema({ maxConnections: 1 }))))

describe("Slow migrations", { concurrent: true, timeout: 20_000 }, () => {
  it.live("may exceed the statement timeout, as the index of a large table does", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql.unsafe(`
        CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
          IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%orders_newest') THEN
            PERFORM pg_sleep(2);
          END IF;
        END $$`)
      yield* sql.unsafe("CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION slow()")
      // The control: other statements are limited to half a second.
      assert.strictEqual((yield* Effect.flip(sql`SELECT pg_sleep(2)`))._tag, "SqlError")
      yield* migrate
      yield* works
    }).pipe(Effect.provide(slowDatabase))
  )

  it.live("make every other start wait, and log that it waits", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const logged = yield* Queue.unbounded<string>()
      const logger = Logger.make(({ message }) => {
        Queue.offerUnsafe(logged, String(message))
      })
      const lock = `order-platform migrations of ${yield* DatabaseSchema}`
      const held = yield* Latch.make(false)
      const ended = yield* Latch.make(false)
      const other = yield* Effect.forkChild(
        sql.withTransaction(
          sql`SELECT set_config('idle_in_transaction_session_timeout', '0', true),
            pg_advisory_xact_lock(hashtextextended(${lock}, 0))`.pipe(
            Effect.andThen(held.open),
            Effect.andThen(ended.await)
          )
        )
      )
      yield* held.await
      const start = yield* Effect.forkChild(Effect.provide(migrate, Logger.layer([logger])))
      assert.match(yield* Queue.take(logged), /^Another process migrates .*; waiting for it\.$/)
      yield* ended.open
      yield* Fiber.join(other)
      yield* Fiber.join(start)
      yield* works
    }).pipe(Effect.provide(slowDatabase))
  )
})
