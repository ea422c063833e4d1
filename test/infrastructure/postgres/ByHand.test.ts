import { assert, layer } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { allStores } from "../../../src/testing/AllStores.ts"
import { failure } from "../../../src/domain/Failure.ts"
import { delayAfter } from "../../../src/domain/RetryPolicy.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { migrate } from "../../../src/infrastructure/postgres/Migrations.ts"
import { newOrder } from "../../TestOrders.ts"
import * as TestPostgres from "../../TestPostgres.ts"

layer(TestPostgres.layer)("what manual SQL and bugs cannot write", (it) => {
  const bySql = Effect.fnUntraced(function* (...statements: ReadonlyArray<string>) {
    const sql = yield* SqlClient.SqlClient
    const schema = yield* DatabaseSchema
    const all = Effect.forEach(statements, (s) =>
      sql.unsafe(s.replaceAll(/\b(orders|order_events|dead_letters)\b/g, `"${schema}".$1`))
    )
    return yield* Effect.match(sql.withTransaction(all), {
      onFailure: () => "refused",
      onSuccess: () => "accepted"
    })
  })
  const failedOrder = Effect.gen(function* () {
    const stores = yield* allStores
    const order = newOrder({ priority: 9 })
    yield* stores.intake.submit([order])
    const { orders } = yield* stores.work.claim({ worker: "w", lease: Duration.seconds(30), max: 1000 })
    const started = orders.find(({ id }) => id === order.id)
    assert(started !== undefined)
    yield* stores.work.settle([
      { order: started, outcome: { event: "failed", failure: failure("PERMANENT", "x") } }
    ])
    return order.id
  })
  const fresh = Effect.gen(function* () {
    const { id } = newOrder()
    yield* (yield* allStores).intake.submit([newOrder({ id })])
    return id
  })

  it.effect("TRUNCATE dead_letters is refused", () =>
    Effect.gen(function* () {
      yield* failedOrder
      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      const r = yield* Effect.match(
        sql.withTransaction(
          Effect.andThen(sql.unsafe(`TRUNCATE "${schema}".dead_letters`), Effect.fail("accepted"))
        ),
        { onFailure: (e) => (e === "accepted" ? "accepted" : "refused"), onSuccess: () => "x" }
      )
      assert.strictEqual(r, "refused")
    })
  )
  for (const change of [
    "failure_reason = 'forged'",
    "payload = '{\"forged\": 1}'",
    "priority = 9",
    "max_retries = 50",
    "created_at = now()",
    "updated_at = now()",
    'metadata = \'{"forged": "1"}\'',
    "correlation_id = 'x'",
    "payload_version = 9",
    "type = 'forged'",
    "ordering_key = 'forged', place = 1",
    "group_name = 'forged'",
    "cancel_requested = 'forged'",
    "due_at = now()",
    "reason_code = 'FORGED', failure_reason = 'forged'"
  ])
    it.effect(`${change} without a new version is refused`, () =>
      Effect.gen(function* () {
        assert.strictEqual(
          yield* bySql(`UPDATE orders SET ${change} WHERE id = '${yield* fresh}'`),
          "refused"
        )
      })
    )
  it.effect("an INSERT of a forged event into the history is refused", () =>
    Effect.gen(function* () {
      const id = yield* fresh
      assert.strictEqual(
        yield* bySql(
          `INSERT INTO order_events (order_id, version, event, from_status, to_status, at, attempt) VALUES ('${id}', 99, 'nonsense', 'X', 'Y', now(), 0)`
        ),
        "refused"
      )
    })
  )
  it.effect("PROCESSING -> FAILED with discarded_at and without a dead letter is refused", () =>
    Effect.gen(function* () {
      const id = yield* fresh
      assert.strictEqual(
        yield* bySql(
          `UPDATE orders SET status = 'PROCESSING', version = 2, worker = 'w' WHERE id = '${id}'`,
          `UPDATE orders SET status = 'FAILED', version = 3, due_at = NULL, worker = NULL, discarded_at = now() WHERE id = '${id}'`
        ),
        "refused"
      )
    })
  )
  it.effect("moving a dead letter to another order cannot leave a FAILED order without one", () =>
    Effect.gen(function* () {
      const a = yield* failedOrder
      const b = yield* failedOrder
      assert.strictEqual(
        yield* bySql(
          `DELETE FROM dead_letters WHERE order_id = '${b}'`,
          `UPDATE dead_letters SET order_id = '${b}' WHERE order_id = '${a}'`
        ),
        "refused"
      )
    })
  )
  it.effect("history cannot be deleted from a trigger on another table", () =>
    Effect.gen(function* () {
      const id = yield* fresh
      const schema = yield* DatabaseSchema
      assert.strictEqual(
        yield* bySql(
          `CREATE TABLE "${schema}".foreign_table (n int)`,
          `CREATE FUNCTION "${schema}".foreign_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM order_events WHERE order_id = '${id}'; RETURN NULL; END $$`,
          `CREATE TRIGGER t AFTER INSERT ON "${schema}".foreign_table FOR EACH STATEMENT EXECUTE FUNCTION "${schema}".foreign_trigger()`,
          `INSERT INTO "${schema}".foreign_table VALUES (1)`
        ),
        "refused"
      )
    })
  )
  it.effect("the next lease end is in whole milliseconds", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      yield* TestClock.setTime(0)
      yield* TestPostgres.setDatabaseClock(yield* DateTime.now)
      yield* stores.intake.submit([newOrder({ priority: 9 })])
      yield* stores.work.claim({ worker: "new", lease: Duration.millis(1001), max: 1 })
      const { nextLeaseEndIn } = yield* stores.work.claim({
        worker: "new",
        lease: Duration.millis(1001),
        max: 0
      })
      assert.deepStrictEqual(nextLeaseEndIn, Duration.millis(1001))
    })
  )
  it.effect("the cap holds after rounding, for any Duration", () =>
    Effect.gen(function* () {
      const delay = yield* delayAfter(
        { backoff: "fixed", delay: Duration.seconds(9), maxDelay: Duration.micros(1_500n), jitter: 0 },
        1,
        0
      )
      assert(Duration.toMillis(delay) <= 1.5, `${Duration.toMillis(delay)} ms`)
    })
  )
  it.effect("a deleted migration row is refused as MigrationsDoNotFit", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* migrate
      yield* sql.unsafe(`DELETE FROM "${yield* DatabaseSchema}".order_platform_migrations`)
      const error = yield* Effect.flip(migrate)
      assert.strictEqual(error._tag, "MigrationsDoNotFit", `${error._tag}: ${error.message}`)
    }).pipe(Effect.provide(Layer.fresh(Layer.suspend(() => TestPostgres.ownSchema()))))
  )
})
