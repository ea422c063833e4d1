import { assert, layer } from "@effect/vitest"
import { Data, Duration, Effect, Predicate } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { allStores } from "../../../src/testing/AllStores.ts"
import { failure } from "../../../src/domain/Failure.ts"
import type { OrderId } from "../../../src/domain/OrderId.ts"
import { edges, OrderStatus } from "../../../src/domain/OrderStatus.ts"
import type { NewOrder, Outcome } from "../../../src/domain/Order.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { neededRights } from "../../../src/infrastructure/postgres/client/ServerChecks.ts"
import { newOrder } from "../../TestOrders.ts"
import * as TestPostgres from "../../TestPostgres.ts"

const lease = Duration.seconds(30)

/** The stored rows of an order that does not exist. */
const nothing = { orders: [], events: [], entries: [], work: [] }

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

const tables = new RegExp(`\\b(${Object.keys(neededRights).join("|")})\\b`, "g")

layer(TestPostgres.layer)("the database", (it) => {
  /** Runs plain SQL in which the names of tables mean those of the test's schema. */
  const bySql = Effect.fnUntraced(function* (statement: string) {
    const sql = yield* SqlClient.SqlClient
    const schema = yield* DatabaseSchema
    return yield* sql.unsafe<globalThis.Record<string, unknown>>(
      statement.replaceAll(tables, `"${schema}".$1`)
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
          `SELECT * FROM dead_letters WHERE order_id = '${id}'`,
          `SELECT 'due' AS place, due_at AS at FROM order_due WHERE order_id = '${id}'
           UNION ALL SELECT 'waiting', NULL FROM order_key_waiting WHERE order_id = '${id}'
           UNION ALL SELECT 'running', NULL FROM order_running WHERE order_id = '${id}'
           UNION ALL SELECT 'final', final_at FROM order_final WHERE order_id = '${id}'
           UNION ALL SELECT 'head', NULL FROM order_key_heads WHERE order_id = '${id}'`
        ],
        bySql
      ),
      ([orders = [], events = [], entries = [], work = []]) => ({ orders, events, entries, work })
    )

  /** An order in the given state, brought there by the stores. */
  const orderIn = Effect.fnUntraced(function* (status: OrderStatus, more: Partial<NewOrder> = {}) {
    const stores = yield* allStores
    // Other PENDING orders may wait, but priority 9 is claimed first.
    const order = newOrder({ priority: status === "PENDING" ? 0 : 9, ...more })
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
  const updateTo = (id: OrderId, from: OrderStatus, to: OrderStatus, bump: number, more = "") =>
    `UPDATE orders SET status = '${to}', version = version + ${bump}, retry_count = retry_count + 1,
       due_at = ${to === "PENDING" || to === "PROCESSING" ? "coalesce(due_at, now())" : "NULL"},
       worker = ${to === "PROCESSING" ? "'w2'" : "NULL"},
       discarded_at = ${to === "FAILED" && from !== "PROCESSING" ? "now()" : "NULL"}${more === "" ? "" : `, ${more}`}
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

  it.effect(
    "the request of a cancel is stored once without a new version, while the order is PROCESSING",
    () =>
      Effect.gen(function* () {
        const request = (id: OrderId, value: string) =>
          `UPDATE orders SET cancel_requested = ${value} WHERE id = '${id}'`
        const id = yield* orderIn("PROCESSING")
        assertRefused(
          yield* refusalOf(`UPDATE orders SET cancel_requested = 'x', updated_at = now() WHERE id = '${id}'`),
          "without a new version"
        )
        assert.isNull(yield* refusalOf(request(id, "'no longer needed'")))
        const before = yield* all(id)
        for (const other of ["'another reason'", "NULL"])
          assertRefused(yield* refusalOf(request(id, other)), "without a new version")
        assert.deepStrictEqual(yield* all(id), before)
        // Every transition ends the request.
        for (const to of ["PENDING", "PROCESSED", "FAILED"] as const) {
          assertRefused(yield* refusalNow(updateTo(id, "PROCESSING", to, 1)), "violates check constraint")
          assert.isNull(yield* refusalNow(updateTo(id, "PROCESSING", to, 1, "cancel_requested = NULL")))
        }
        for (const status of ["PENDING", "PROCESSED", "FAILED"] as const)
          assertRefused(yield* refusalOf(request(yield* orderIn(status), "'x'")), "violates check constraint")
      })
  )

  it.effect("a cancelled order is discarded at once if it was PENDING, and may be if it was PROCESSING", () =>
    Effect.gen(function* () {
      const waiting = yield* orderIn("PENDING")
      const undiscarded = updateTo(waiting, "PENDING", "FAILED", 1).replace(
        "discarded_at = now()",
        "discarded_at = NULL"
      )
      assertRefused(yield* refusalNow(undiscarded), "PENDING -> FAILED is not an edge")
      const running = yield* orderIn("PROCESSING")
      const whileRunning = updateTo(running, "PROCESSING", "FAILED", 1)
      for (const update of [
        whileRunning,
        whileRunning.replace("discarded_at = NULL", "discarded_at = now()")
      ])
        assert.isNull(yield* refusalNow(update))
      for (const to of ["PENDING", "PROCESSED"] as const)
        assertRefused(
          yield* refusalNow(
            updateTo(running, "PROCESSING", to, 1).replace("discarded_at = NULL", "discarded_at = now()")
          ),
          `PROCESSING -> ${to} is not an edge`
        )
    })
  )

  it.effect(
    "type, ordering key, group, place and what else is fixed at submit do not change on any edge",
    () =>
      Effect.gen(function* () {
        const fixed = [
          "created_at = created_at + interval '1 second'",
          "priority = 1",
          "max_retries = max_retries + 1",
          "type = 'other'",
          "ordering_key = 'another key'",
          "group_name = 'other'"
        ]
        for (const from of OrderStatus.literals)
          for (const to of OrderStatus.literals) {
            if (!isEdge(from, to)) continue
            const id = yield* orderIn(from, { orderingKey: newOrder().id, group: "g", priority: 9 })
            const before = yield* all(id)
            const edge = `${from} -> ${to}`
            for (const change of fixed)
              assertRefused(
                yield* refusalNow(updateTo(id, from, to, 1, change)),
                `${edge} changes a column that is fixed at submit`
              )
            const placed = yield* refusalNow(updateTo(id, from, to, 1, "place = place + 1"))
            if (edge === "FAILED -> PENDING") assert.isNull(placed)
            else assertRefused(placed, `${edge} changes a column that is fixed at submit`)
            assert.deepStrictEqual(yield* all(id), before)
            // Cancelled, so that the orders of later tests do not wait behind it.
            if (from === "PENDING") yield* (yield* allStores).control.cancel(id, { reason: "test" })
          }
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
        `INSERT INTO orders (id, status, version, retry_count, max_retries, priority, type, ordering_key, group_name, due_at,
           worker, created_at, updated_at, correlation_id, payload_version, payload, metadata)
         VALUES ('${id}', '${status}', ${version}, ${retryCount}, 3, 0, 'default', '', '',
           ${status === "PENDING" || status === "PROCESSING" ? "now()" : "NULL"},
           ${status === "PROCESSING" ? "'w'" : "NULL"}, now(), now(), 'c', 1, '{}', '{}')`
      for (const status of OrderStatus.literals) {
        for (const version of [1, 2]) {
          for (const retryCount of [0, 1]) {
            const { id } = newOrder()
            const refusal = yield* refusalNow(insert(id, status, version, retryCount))
            if (status === "PENDING" && version === 1 && retryCount === 0) assert.isNull(refusal)
            else assertRefused(refusal, `not ${status} with version ${version}`)
            assert.deepStrictEqual(yield* all(id), nothing)
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
        assert.deepStrictEqual(yield* all(id), nothing)
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
    `INSERT INTO dead_letters (order_id, reason, reason_code, retry_count, failed_at, fingerprint)
     VALUES ('${id}', 'by hand', 'PERMANENT', 1, now(), 'e73af08fda055397')`

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
      assertRefused(yield* refusalOf(fail, insertEntry(id)), "no event of version 3")
    })
  )

  it.effect("a manual UPDATE is refused at commit unless it keeps the history and the tables of work", () =>
    Effect.gen(function* () {
      const event = (id: OrderId, version: number, name: string, edge: string) =>
        `INSERT INTO order_events (order_id, version, event, from_status, to_status, at, attempt)
         VALUES ('${id}', ${version}, '${name}', ${edge}, now(), 1)`
      const remove = (table: string, id: OrderId) => `DELETE FROM ${table} WHERE order_id = '${id}'`
      const addDue = (id: OrderId) =>
        `INSERT INTO order_due (priority, group_name, type, due_at, order_id, is_retry)
         SELECT priority, group_name, type, due_at, id, false FROM orders WHERE id = '${id}'`
      const addRunning = (id: OrderId) =>
        `INSERT INTO order_running (worker, order_id, type, group_name) SELECT worker, id, type, group_name FROM orders WHERE id = '${id}'`
      const addFinal = (id: OrderId) =>
        `INSERT INTO order_final (status, created_at, order_id, final_at) SELECT status, created_at, id, updated_at FROM orders WHERE id = '${id}'`

      const key = { orderingKey: newOrder().id }
      const started = yield* orderIn("PENDING")
      const start = [
        updateTo(started, "PENDING", "PROCESSING", 1),
        event(started, 2, "started", "'PENDING', 'PROCESSING'"),
        remove("order_due", started),
        addRunning(started)
      ]
      const released = yield* orderIn("PROCESSING")
      const release = [
        updateTo(released, "PROCESSING", "PENDING", 1),
        event(released, 3, "released", "'PROCESSING', 'PENDING'"),
        remove("order_running", released),
        addDue(released)
      ]
      const completed = yield* orderIn("PROCESSING", key)
      const complete = [
        updateTo(completed, "PROCESSING", "PROCESSED", 1),
        event(completed, 3, "completed", "'PROCESSING', 'PROCESSED'"),
        remove("order_running", completed),
        addFinal(completed),
        remove("order_key_heads", completed)
      ]
      const hastened = yield* orderIn("PENDING")
      const hasten = [
        updateTo(hastened, "PENDING", "PENDING", 1, "due_at = now() - interval '1 hour'").replace(
          "due_at = coalesce(due_at, now()),",
          ""
        ),
        event(hastened, 2, "hastened", "'PENDING', 'PENDING'"),
        remove("order_due", hastened),
        addDue(hastened)
      ]
      const reprocessed = yield* orderIn("FAILED")
      const reprocess = [
        updateTo(reprocessed, "FAILED", "PENDING", 1),
        event(reprocessed, 4, "reprocessed", "'FAILED', 'PENDING'"),
        remove("dead_letters", reprocessed),
        remove("order_final", reprocessed),
        addDue(reprocessed)
      ]
      // Last, because the next claim would make it the head of its key.
      const cancelled = yield* orderIn("PENDING", { orderingKey: newOrder().id })
      const cancel = [
        updateTo(cancelled, "PENDING", "FAILED", 1),
        event(cancelled, 2, "cancelled", "'PENDING', 'FAILED'"),
        remove("order_key_waiting", cancelled),
        addFinal(cancelled)
      ]
      for (const [id, whole] of [
        [started, start],
        [released, release],
        [completed, complete],
        [hastened, hasten],
        [cancelled, cancel],
        [reprocessed, reprocess]
      ] as const) {
        const before = yield* all(id)
        for (const missing of whole.slice(1)) {
          const refusal = yield* refusalOf(...whole.filter((statement) => statement !== missing))
          assert(refusal !== null, `accepted without: ${missing}`)
          assert.match(refusal, /not changed by UPDATE but through the API|a dead letter belongs/, missing)
          assert.deepStrictEqual(yield* all(id), before)
        }
        assert.isNull(yield* refusalOf(...whole))
      }
      const { orders } = yield* (yield* allStores).work.claim({ worker: "w1", lease, max: 1000 })
      assert.includeMembers(
        orders.map(({ id }) => id),
        [released, reprocessed, hastened]
      )
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
