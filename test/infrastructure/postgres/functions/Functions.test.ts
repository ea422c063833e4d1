import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { createHash } from "node:crypto"
import { DatabaseSchema } from "../../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { claimOrders } from "../../../../src/infrastructure/postgres/functions/ClaimOrders.ts"
import {
  createMissingFunctions,
  functions,
  missingFunctions
} from "../../../../src/infrastructure/postgres/functions/Functions.ts"
import { migrate } from "../../../../src/infrastructure/postgres/Migrations.ts"
import * as Postgres from "../../../../src/infrastructure/postgres/Postgres.ts"
import * as PostgresStores from "../../../../src/infrastructure/postgres/PostgresStores.ts"
import { allStores } from "../../../../src/testing/AllStores.ts"
import { newOrder } from "../../../TestOrders.ts"
import * as TestPostgres from "../../../TestPostgres.ts"

const inNewSchema = <A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient>) =>
  Effect.provide(
    effect,
    Layer.suspend(() => TestPostgres.ownSchema({ maxConnections: 5 }))
  )

/** A full circle of an order: submitted, claimed, failed, reprocessed, claimed, completed. */
const fullCircle = Effect.gen(function* () {
  const { deadLetters, intake, reads, work } = yield* allStores
  const order = newOrder()
  yield* intake.submit([order])
  const claim = Effect.map(
    work.claim({ worker: "w", lease: Duration.seconds(30), max: 1 }),
    ({ orders: [started] }) => {
      assert(started !== undefined)
      return started
    }
  )
  const failure = { reason: "no beans", reasonCode: "PERMANENT" } as const
  yield* work.settle([{ order: yield* claim, outcome: { event: "failed", failure } }])
  yield* deadLetters.reprocess(order.id)
  yield* work.settle([{ order: yield* claim, outcome: { event: "completed" } }])
  assert.strictEqual((yield* reads.find(order.id)).status, "PROCESSED")
}).pipe(Effect.provide(Layer.fresh(PostgresStores.layer)))

const drop = Effect.fnUntraced(function* (name: string) {
  const sql = yield* SqlClient.SqlClient
  yield* sql.unsafe(`DROP FUNCTION "${yield* DatabaseSchema}".${name}`)
})

/** The next version of the claim, as a later version of the program would create it. */
const claimOrdersV2 = {
  name: "order_platform_claim_v2",
  create: (s: string) =>
    claimOrders.create(s).replaceAll("order_platform_claim_v1", "order_platform_claim_v2")
}

describe("SQL functions", () => {
  it("have the same text as long as they have the same version", () => {
    const hashes = Object.fromEntries(
      functions.map(({ create, name }) => [
        name,
        createHash("sha256").update(create('"s"')).digest("hex").slice(0, 16)
      ])
    )
    // A changed text needs a new version: add a function with the next name, and keep the old one for the processes
    // that call it.
    assert.deepStrictEqual(hashes, {
      order_platform_promote_v1: "b440f40e71e799a9",
      order_platform_next_groups_v1: "137cc03d53c1efd8",
      order_platform_close_lanes_v1: "252d75ef76c545a1",
      order_platform_next_due_v1: "587b030f264d2260",
      order_platform_claim_v1: "50c4d3769d9cb059",
      order_platform_add_dead_letters_v1: "a4563017374130b9",
      order_platform_settle_v1: "9da1a7e894c8284f",
      order_platform_expire_v1: "56c493612d0c8673",
      order_platform_held_v1: "b313278aacb3695f",
      order_platform_lock_v1: "06ea9bbf315ed047",
      order_platform_cancel_v1: "19b20c763d5e532e",
      order_platform_run_v1: "0389a511475df269",
      order_platform_pause_v1: "ac966f634628faad",
      order_platform_resume_v1: "ea30dfe066d14ea3"
    })
  })

  it("have their version in their name, and their text creates exactly that name", () => {
    for (const { create, name } of functions) {
      assert.match(name, /^order_platform_[a-z_]+_v\d+$/)
      assert.match(create('"s"'), new RegExp(`^\\nCREATE FUNCTION "s"\\.${name}\\(`))
    }
  })

  it.effect("that are missing are created by migrate; others are not changed", () =>
    inNewSchema(
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const schema = yield* DatabaseSchema
        yield* migrate
        const oids = sql<{ name: string; oid: string }>`
          SELECT proname::text AS name, oid::text FROM pg_proc
          WHERE pronamespace = to_regnamespace(${`"${schema}"`}) AND proname ~ '_v[0-9]+$' ORDER BY proname`
        const before = yield* oids
        assert.lengthOf(before, functions.length)
        yield* drop(
          "order_platform_settle_v1(uuid[], integer[], integer[], text[], text[], float8[], text[], text[], text[], text[])"
        )
        assert.deepStrictEqual(
          (yield* missingFunctions(sql, schema)).map(({ name }) => name),
          ["order_platform_settle_v1"]
        )
        yield* migrate
        const after = yield* oids
        assert.deepStrictEqual(
          after.map(({ name }) => name),
          before.map(({ name }) => name)
        )
        const kept = before.filter(({ name }) => name !== "order_platform_settle_v1")
        assert.includeDeepMembers([...after], kept)
        yield* fullCircle
      })
    )
  )

  it.effect("that are missing are named in one sentence by a start that does not migrate", () =>
    inNewSchema(
      Effect.gen(function* () {
        yield* migrate
        yield* drop("order_platform_run_v1(uuid, text, text)")
        const refused = yield* Effect.flip(Layer.build(Layer.fresh(Postgres.layerMigrated)))
        assert.strictEqual(refused._tag, "MigrationsDoNotFit")
        assert.strictEqual(
          refused.message,
          `The database schema ${yield* DatabaseSchema} lacks the function order_platform_run_v1 of this version: run its migrations first.`
        )
      }).pipe(Effect.scoped)
    )
  )

  it.effect(
    "of the next version exist beside those of this one, and processes of both work on the same orders",
    () =>
      inNewSchema(
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const schema = yield* DatabaseSchema
          yield* migrate
          // The next version migrates: its claim is new, its other functions are unchanged.
          yield* createMissingFunctions(sql, schema, [
            ...functions.filter((each) => each !== claimOrders),
            claimOrdersV2
          ])
          yield* fullCircle
          const { intake, reads, work } = yield* Effect.provide(allStores, Layer.fresh(PostgresStores.layer))
          const [old, next] = [newOrder({ priority: 9 }), newOrder({ priority: 1 })]
          yield* intake.submit([old, next])
          const { orders } = yield* work.claim({ worker: "old", lease: Duration.seconds(30), max: 1 })
          assert.deepStrictEqual(
            orders.map(({ id }) => id),
            [old.id]
          )
          yield* sql`SELECT FROM ${sql(`${schema}.order_platform_claim_v2`)}(
            'next', interval '30 seconds', 10, NULL, NULL, NULL, NULL, NULL, NULL)`
          const started = yield* reads.find(next.id)
          assert.strictEqual(started.status === "PROCESSING" && started.worker, "next")
          assert.lengthOf(yield* work.renew("next", Duration.seconds(30)), 1)
          // This version migrates again: the functions of the next one stay.
          yield* migrate
          assert.deepStrictEqual(yield* missingFunctions(sql, schema, [...functions, claimOrdersV2]), [])
        })
      )
  )
})
