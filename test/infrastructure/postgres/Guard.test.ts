import { assert, layer } from "@effect/vitest"
import { Data, Duration, Effect, Predicate } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { allStores } from "../../../src/testing/AllStores.ts"
import { failure } from "../../../src/domain/Failure.ts"
import type { Outcome } from "../../../src/domain/Order.ts"
import type { OrderId } from "../../../src/domain/OrderId.ts"
import { edges, OrderStatus } from "../../../src/domain/OrderStatus.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { newOrder } from "../../TestOrders.ts"
import * as TestPostgres from "../../TestPostgres.ts"

const lease = Duration.seconds(30)

class RolledBack extends Data.TaggedError("RolledBack") {}

/** The database's own message, which Effect keeps as the cause. */
const messageOf = ({ reason: { cause } }: SqlError.SqlError): string =>
  Predicate.hasProperty(cause, "message") ? String(cause.message) : String(cause)

const outcomes: { readonly [S in OrderStatus]: Outcome | null } = {
  PENDING: null,
  PROCESSING: null,
  PROCESSED: { event: "completed" },
  FAILED: { event: "failed", failure: failure("PERMANENT", "broken") }
}

/** Every pair of states that is an edge of some event. */
const isEdge = (from: OrderStatus, to: OrderStatus): boolean =>
  Object.values<ReadonlyArray<readonly [OrderStatus | null, OrderStatus]>>(edges)
    .flat()
    .some((edge) => edge[0] === from && edge[1] === to)

layer(TestPostgres.layer)("the database", (it) => {
  /** Runs plain SQL in which `orders`, `order_events` and `dead_letters` mean the tables of the test's schema. */
  const bySql = Effect.fnUntraced(function* (statement: string) {
    const sql = yield* SqlClient.SqlClient
    const schema = yield* DatabaseSchema
    return yield* sql.unsafe<globalThis.Record<string, unknown>>(
      statement.replaceAll(/\b(orders|order_events|dead_letters)\b/g, `"${schema}".$1`)
    )
  })
  /** The message of the refusal, or null if the statements were committed. */
  const refusalOf = Effect.fnUntraced(function* (...statements: ReadonlyArray<string>) {
    const sql = yield* SqlClient.SqlClient
    return yield* Effect.match(sql.withTransaction(Effect.forEach(statements, bySql)), {
      onFailure: messageOf,
      onSuccess: () => null
    })
  })
  /** The same for a statement that is always rolled back, before deferred checks. */
  const refusalNow = Effect.fnUntraced(function* (statement: string) {
    const sql = yield* SqlClient.SqlClient
    const undone = Effect.andThen(bySql(statement), new RolledBack())
    return yield* Effect.match(sql.withTransaction(undone), {
      onFailure: (error) => (error._tag === "RolledBack" ? null : messageOf(error)),
      onSuccess: () => null
    })
  })
  const assertRefused = (refusal: string | null, sentence: string) => {
    assert(refusal !== null, `accepted, which should have been refused: ${sentence}`)
    assert.include(refusal, sentence)
  }
  /** Everything stored about an order. */
  const all = (id: OrderId) =>
    Effect.map(
      Effect.forEach(
        [
          `SELECT * FROM orders WHERE id = '${id}'`,
          `SELECT * FROM order_events WHERE order_id = '${id}' ORDER BY version`,
          `SELECT * FROM dead_letters WHERE order_id = '${id}'`
        ],
        bySql
      ),
      ([orders = [], events = [], entries = []]) => ({ orders, events, entries })
    )

  /** An order in the given state, brought there by the stores. */
  const orderIn = Effect.fnUntraced(function* (status: OrderStatus) {
    const stores = yield* allStores
    // Other PENDING orders may wait, but priority 9 is claimed first.
    const order = newOrder({ priority: status === "PENDING" ? 0 : 9 })
    yield* stores.intake.submit([order])
    if (status === "PENDING") return order.id
    const { orders } = yield* stores.work.claim({ worker: "w1", lease, max: 1 })
    const [started] = orders
    assert(started?.id === order.id)
    const outcome = outcomes[status]
    if (outcome !== null)
      assert.deepStrictEqual(yield* stores.work.settle([{ order: started, outcome }]), ["settled"])
    return order.id
  })
  const discarded = Effect.gen(function* () {
    const id = yield* orderIn("FAILED")
    yield* (yield* allStores).deadLetters.discard(id, { reason: "test" })
    return id
  })

  /** An update to the state with every column as the table's checks require, and one more failed attempt. */
  const updateTo = (id: OrderId, from: OrderStatus, to: OrderStatus, bump: number) =>
    `UPDATE orders SET status = '${to}', version = version + ${bump}, retry_count = retry_count + 1,
       due_at = ${to === "PENDING" || to === "PROCESSING" ? "coalesce(due_at, now())" : "NULL"},
       worker = ${to === "PROCESSING" ? "'w2'" : "NULL"},
       lease_until = ${to === "PROCESSING" ? "now() + interval '1 minute'" : "NULL"},
       discarded_at = ${from === "FAILED" && to === "FAILED" ? "now()" : "NULL"}
     WHERE id = '${id}'`

  for (const from of OrderStatus.literals) {
    for (const to of OrderStatus.literals) {
      it.effect(
        isEdge(from, to)
          ? `${from} -> ${to} is an edge, and is taken only with the version raised by one`
          : `${from} -> ${to} is no edge, and is refused with any version`,
        () =>
          Effect.gen(function* () {
            const id = yield* orderIn(from)
            const before = yield* all(id)
            for (const bump of [0, 1, 2, -1]) {
              const refusal = yield* refusalNow(updateTo(id, from, to, bump))
              if (isEdge(from, to) && bump === 1) assert.isNull(refusal)
              else assertRefused(refusal, `${from} -> ${to}`)
              assert.deepStrictEqual(yield* all(id), before)
            }
          })
      )
    }
  }

  it.effect("the history accepts every event on its edges, and on no other edge", () =>
    Effect.gen(function* () {
      for (const [event, its] of Object.entries<ReadonlyArray<readonly [OrderStatus | null, OrderStatus]>>(
        edges
      )) {
        for (const from of [null, ...OrderStatus.literals])
          for (const to of OrderStatus.literals) {
            const refusal = yield* refusalNow(`
              INSERT INTO order_events (order_id, version, event, from_status, to_status, at, attempt)
              VALUES (gen_random_uuid(), 1, '${event}', ${from === null ? "NULL" : `'${from}'`}, '${to}', now(), 1)`)
            const name = `${event}: ${from} -> ${to}`
            if (its.some((edge) => edge[0] === from && edge[1] === to)) assert.isNull(refusal, name)
            else assertRefused(refusal, "violates check constraint")
          }
      }
      assertRefused(
        yield* refusalNow(`
          INSERT INTO order_events (order_id, version, event, from_status, to_status, at, attempt)
          VALUES (gen_random_uuid(), 1, 'forgotten', 'PENDING', 'PROCESSING', now(), 1)`),
        "violates check constraint"
      )
    })
  )

  it.effect("a plain UPDATE of the status is refused, naming the edge", () =>
    Effect.gen(function* () {
      for (const from of OrderStatus.literals) {
        const id = yield* orderIn(from)
        const before = yield* all(id)
        for (const to of OrderStatus.literals) {
          if (to === from) continue
          const refusal = yield* refusalOf(`UPDATE orders SET status = '${to}' WHERE id = '${id}'`)
          assertRefused(refusal, `${from} -> ${to}`)
        }
        assert.deepStrictEqual(yield* all(id), before)
      }
    })
  )

  it.effect("the columns that decide about an order change only with a new version", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("PROCESSING")
      const before = yield* all(id)
      for (const change of [
        "due_at = due_at + interval '1 second'",
        "retry_count = 0 + 1",
        "worker = 'thief'"
      ]) {
        assertRefused(
          yield* refusalOf(`UPDATE orders SET ${change} WHERE id = '${id}'`),
          "without a new version"
        )
      }
      assert.deepStrictEqual(yield* all(id), before)
    })
  )

  it.effect("a lease is renewed without a new version", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("PROCESSING")
      const renewal = `UPDATE orders SET lease_until = lease_until + interval '1 minute' WHERE id = '${id}'`
      assert.isNull(yield* refusalOf(renewal))
    })
  )

  it.effect("FAILED -> FAILED is a discard, and nothing leads out of discarded", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("FAILED")
      assertRefused(
        yield* refusalOf(`UPDATE orders SET version = version + 1 WHERE id = '${id}'`),
        "FAILED -> FAILED"
      )
      const discardedId = yield* discarded
      const before = yield* all(discardedId)
      for (const to of ["PENDING", "FAILED"] as const) {
        const update = updateTo(discardedId, "FAILED", to, 1)
        assertRefused(
          yield* refusalOf(update),
          `FAILED -> ${to} is not an edge of the state machine (the order was discarded)`
        )
      }
      assertRefused(
        yield* refusalOf(`UPDATE orders SET discarded_at = NULL WHERE id = '${discardedId}'`),
        "FAILED -> FAILED without a new version"
      )
      assert.deepStrictEqual(yield* all(discardedId), before)
    })
  )

  it.effect("an order keeps its id", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("PENDING")
      const other = newOrder().id
      assertRefused(
        yield* refusalOf(`UPDATE orders SET id = '${other}' WHERE id = '${id}'`),
        "PENDING -> PENDING"
      )
      assertRefused(
        yield* refusalOf(`UPDATE orders SET id = '${other}', version = version + 1 WHERE id = '${id}'`),
        "PENDING -> PENDING"
      )
    })
  )

  it.effect("an order begins PENDING in version 1 without a failed attempt, or not at all", () =>
    Effect.gen(function* () {
      const insert = (id: OrderId, status: OrderStatus, version: number, retryCount: number) =>
        `INSERT INTO orders (id, status, version, retry_count, max_retries, priority, due_at, worker, lease_until,
           created_at, updated_at, correlation_id, payload_version, payload, metadata)
         VALUES ('${id}', '${status}', ${version}, ${retryCount}, 3, 0,
           ${status === "PENDING" || status === "PROCESSING" ? "now()" : "NULL"},
           ${status === "PROCESSING" ? "'w', now()" : "NULL, NULL"}, now(), now(), 'c', 1, '{}', '{}')`
      for (const status of OrderStatus.literals) {
        for (const version of [1, 2]) {
          for (const retryCount of [0, 1]) {
            const { id } = newOrder()
            const refusal = yield* refusalNow(insert(id, status, version, retryCount))
            if (status === "PENDING" && version === 1 && retryCount === 0) assert.isNull(refusal)
            else assertRefused(refusal, `not ${status} with version ${version}`)
            assert.deepStrictEqual(yield* all(id), { orders: [], events: [], entries: [] })
          }
        }
      }
    })
  )

  it.effect("an order that is not final cannot be deleted", () =>
    Effect.gen(function* () {
      for (const status of ["PENDING", "PROCESSING"] as const) {
        const id = yield* orderIn(status)
        const before = yield* all(id)
        assertRefused(
          yield* refusalOf(`DELETE FROM orders WHERE id = '${id}'`),
          `it is ${status} and not final`
        )
        assert.deepStrictEqual(yield* all(id), before)
      }
    })
  )

  it.effect("a final order is deleted with its history and its dead letter, and nothing else", () =>
    Effect.gen(function* () {
      const kept = yield* orderIn("FAILED")
      const before = yield* all(kept)
      for (const make of [orderIn("PROCESSED"), orderIn("FAILED"), discarded]) {
        const id = yield* make
        assert((yield* all(id)).events.length >= 3)
        assert.isNull(yield* refusalOf(`DELETE FROM orders WHERE id = '${id}'`))
        assert.deepStrictEqual(yield* all(id), { orders: [], events: [], entries: [] })
      }
      assert.deepStrictEqual(yield* all(kept), before)
    })
  )

  it.effect("history is append-only: UPDATE, DELETE and TRUNCATE are refused", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("FAILED")
      const before = yield* all(id)
      const statements = [
        [`UPDATE order_events SET reason = 'rewritten' WHERE order_id = '${id}'`, "UPDATE on order_events"],
        [`UPDATE order_events SET at = now() WHERE false`, "UPDATE on order_events"],
        [`DELETE FROM order_events WHERE order_id = '${id}'`, "DELETE on order_events"],
        [`TRUNCATE order_events`, "TRUNCATE on order_events"],
        [`TRUNCATE orders`, "TRUNCATE on orders"],
        [`TRUNCATE orders, order_events, dead_letters`, "TRUNCATE on orders"],
        [`TRUNCATE orders CASCADE`, "TRUNCATE on orders"]
      ] as const
      for (const [statement, sentence] of statements) assertRefused(yield* refusalOf(statement), sentence)
      assert.deepStrictEqual(yield* all(id), before)
    })
  )

  const insertEntry = (id: OrderId) =>
    `INSERT INTO dead_letters (order_id, reason, reason_code, retry_count, failed_at)
     VALUES ('${id}', 'by hand', 'PERMANENT', 1, now())`

  it.effect("a manual DELETE of a FAILED order's dead letter is refused at commit", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("FAILED")
      const before = yield* all(id)
      const remove = `DELETE FROM dead_letters WHERE order_id = '${id}'`
      assert.isNull(yield* refusalNow(remove))
      assertRefused(yield* refusalOf(remove), "so it must have a dead letter")
      assert.deepStrictEqual(yield* all(id), before)
      // Within one transaction the order of the statements does not matter.
      assert.isNull(yield* refusalOf(remove, insertEntry(id)))
    })
  )

  it.effect("a dead letter of an order that is not FAILED, is discarded or does not exist is refused", () =>
    Effect.gen(function* () {
      for (const make of [
        orderIn("PENDING"),
        orderIn("PROCESSING"),
        orderIn("PROCESSED"),
        discarded,
        Effect.sync(() => newOrder().id)
      ]) {
        const id = yield* make
        const before = yield* all(id)
        assertRefused(yield* refusalOf(insertEntry(id)), "a dead letter belongs to an order that is FAILED")
        assert.deepStrictEqual(yield* all(id), before)
      }
    })
  )

  it.effect("a second dead letter of an order is refused", () =>
    Effect.gen(function* () {
      assertRefused(yield* refusalOf(insertEntry(yield* orderIn("FAILED"))), "duplicate key")
    })
  )

  it.effect("a manual UPDATE to FAILED is refused at commit, unless the dead letter is inserted too", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("PROCESSING")
      const before = yield* all(id)
      const fail = updateTo(id, "PROCESSING", "FAILED", 1)
      assert.isNull(yield* refusalNow(fail))
      assertRefused(yield* refusalOf(fail), "so it must have a dead letter")
      assert.deepStrictEqual(yield* all(id), before)
      assert.isNull(yield* refusalOf(fail, insertEntry(id)))
    })
  )

  it.effect("a manual reprocess or discard that leaves the dead letter is refused at commit", () =>
    Effect.gen(function* () {
      const id = yield* orderIn("FAILED")
      const before = yield* all(id)
      for (const to of ["PENDING", "FAILED"] as const) {
        const refusal = yield* refusalOf(updateTo(id, "FAILED", to, 1))
        assertRefused(refusal, "a dead letter belongs to an order that is FAILED and not discarded")
      }
      assert.deepStrictEqual(yield* all(id), before)
    })
  )
})
