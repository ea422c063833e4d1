import { Context, DateTime, Duration, Effect, Layer, Option } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { IntakeStore, type KeyedOrders, type StoredAnswer } from "../../application/ports/IntakeStore.ts"
import { DeadLetterStore } from "../../application/ports/DeadLetterStore.ts"
import { OrderReads } from "../../application/ports/OrderReads.ts"
import { UpkeepStore } from "../../application/ports/UpkeepStore.ts"
import { WorkStore } from "../../application/ports/WorkStore.ts"
import { OrderNotInDeadLetterQueue, OrderVersionMismatch } from "../../domain/OrderErrors.ts"
import type { OrderId } from "../../domain/OrderId.ts"
import { makeCommitWrites } from "./work/SettleWithWrites.ts"
import { dueOf, makeCountPending, scheduledOf } from "./intake/CountPending.ts"
import { DatabaseSchema } from "./client/DatabaseSchema.ts"
import { makeDeleteOrders } from "./upkeep/DeleteOldOrders.ts"
import { makeKeepLeases } from "./work/RenewLeases.ts"
import { type OrderRow, toOrder, toProcessingOrder } from "./client/OrderRow.ts"
import { makeReadOrders } from "./watch/FindOrder.ts"
import { makeSettleOrders } from "./work/SettleOrders.ts"
import { CallTimeLimit, makeCatchSqlErrors } from "./client/CatchSqlErrors.ts"
import { makeProbeStore } from "./client/ProbeStore.ts"
import { fullBatch, repeatAfterTrouble, repeatIdempotent } from "./client/RepeatStatements.ts"
import { readOnly } from "./client/ServerChecks.ts"
import { makeStartOrders } from "./work/ClaimOrders.ts"
import { makeStoreOrders } from "./intake/SubmitOrders.ts"
import { makeStoreOrdersOnce } from "./intake/SubmitOrdersOnce.ts"
import { makeStoreStats } from "./watch/Stats.ts"
import { tablesOf } from "./client/Tables.ts"
import { makeTakeDeadLetters } from "./dead-letters/ReprocessOrder.ts"

/** A little less than readiness waits for: what it says of a database that is silent is also in the log. */
const pingLimit = Duration.millis(1900)

/** The port on PostgreSQL: which statement, what is repeated, how long it may take. Each statement is in a file of its step. */
const make = Effect.gen(function* () {
  // An app's client may rename columns, also inside of JSON; the statements here call them by their names.
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const schema = yield* DatabaseSchema
  const { now } = tablesOf(sql, schema)
  const { submit } = makeStoreOrders(sql, schema)
  const { forgetAnswers, keptAnswer, submitOnce } = makeStoreOrdersOnce(sql, schema)
  const { countDue, countScheduled } = makeCountPending(sql, schema)
  const { claim } = makeStartOrders(sql, schema)
  const { settle } = makeSettleOrders(sql, schema)
  const commitWrites = makeCommitWrites(sql, schema)
  const { expire, renew } = makeKeepLeases(sql, schema)
  const { discard, reprocess } = makeTakeDeadLetters(sql, schema)
  const { deleteOld } = makeDeleteOrders(sql, schema)
  const read = makeReadOrders(sql, schema)

  // Where nothing was changed, says which of the conditions did not hold.
  const takenOr = Effect.fnUntraced(function* (
    rows: ReadonlyArray<OrderRow>,
    id: OrderId,
    ifVersion: number | null
  ) {
    const [row] = rows
    if (row !== undefined) return toOrder(row)
    const order = yield* read.find(id)
    if (ifVersion !== null && order.version !== ifVersion)
      return yield* new OrderVersionMismatch({ orderId: id })
    return yield* new OrderNotInDeadLetterQueue({ orderId: id })
  })

  const inTransaction = Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)
  const { catchSqlErrors, checkStores } = yield* makeCatchSqlErrors(makeProbeStore(sql, schema, submit))
  const guarded = catchSqlErrors(yield* CallTimeLimit)
  const guardedTransaction = catchSqlErrors(Duration.infinity)

  const isReadOnly = Effect.map(
    sql<{ readonly is: boolean }>`SELECT ${readOnly(sql)} AS is`,
    ([row]) => row?.is === true
  )

  const intake = IntakeStore.of({
    submit: (orders, keyed = []) =>
      guarded(
        Effect.flatMap(inTransaction, (inside) => {
          const store: Effect.Effect<ReadonlyArray<StoredAnswer | null>, SqlError.SqlError> = keyed.length ===
          0
            ? Effect.as(submit(orders), noneKept)
            : submitOnce(orders, keyed, inside)
          return inside ? store : repeatIdempotent(store, howMany(orders, keyed))
        })
      ),
    findAnswer: (key) => guarded(repeatAfterTrouble(keptAnswer(key))),
    countDue: (max) => guarded(Effect.map(countDue(max), dueOf)),
    countScheduled: (max, room) => guarded(Effect.map(countScheduled(max, room), scheduledOf)),
    inTransaction,
    afterCommit: sql.afterCommit
  })
  const work = WorkStore.of({
    claim: ({ lease, max, worker }) =>
      guarded(
        Effect.map(claim(worker, lease, max), (rows) => ({
          orders: rows
            .filter(({ id }) => id !== null)
            .map(toProcessingOrder)
            .sort(bestFirst),
          nextDueIn: untilMillis(rows[0]?.next_due_ms),
          nextLeaseEndIn: untilMillis(rows[0]?.next_lease_end_ms)
        }))
      ),
    settle: (settlements) =>
      guarded(
        repeatIdempotent(
          Effect.map(settle(settlements), (rows) => rows.map(({ result }) => result)),
          settlements.length
        )
      ),
    settleWithWrites: (settlement, writes) => guardedTransaction(commitWrites(settlement, writes)),
    renew: (worker, lease) =>
      guarded(
        repeatIdempotent(
          Effect.map(renew(worker, lease), (rows) =>
            rows.map((row) => ({
              id: row.id,
              version: row.version,
              retryCount: row.retry_count,
              worker: row.worker,
              updatedAt: DateTime.fromDateUnsafe(row.updated_at),
              leaseUntil: DateTime.fromDateUnsafe(row.lease_until)
            }))
          ),
          // As many as a worker may hold, which only it knows.
          fullBatch
        )
      ),
    expire: (max) => guarded(Effect.map(expire(max), (rows) => rows.map(toOrder)))
  })
  const deadLetters = DeadLetterStore.of({
    list: (page, filter) => guarded(repeatAfterTrouble(read.deadLetters(page, filter))),
    find: (id) => guarded(repeatIdempotent(read.deadLetter(id))),
    reprocess: (id, { ifVersion = null } = {}) =>
      guarded(Effect.flatMap(reprocess(id, ifVersion), (rows) => takenOr(rows, id, ifVersion))),
    discard: (id, { ifVersion = null, reason = null } = {}) =>
      guarded(Effect.flatMap(discard(id, reason, ifVersion), (rows) => takenOr(rows, id, ifVersion))),
    afterCommit: sql.afterCommit
  })
  const reads = OrderReads.of({
    find: (id) => guarded(repeatIdempotent(read.find(id))),
    timeline: (id) => guarded(repeatIdempotent(read.timeline(id))),
    eventsAfter: (places, limits) => guarded(repeatIdempotent(read.happened(places, limits))),
    countDueBefore: (id, limit) => guarded(repeatIdempotent(read.placeInLine(id, limit))),
    list: (page, filter) => guarded(repeatAfterTrouble(read.list(page, filter))),
    backlog: guarded(
      Effect.map(read.backlog, ([row]) => ({
        pending: row?.pending ?? 0,
        processing: row?.processing ?? 0,
        oldestDueAge: untilMillis(row?.oldest_due_age_ms)
      }))
    ),
    stats: guarded(repeatAfterTrouble(makeStoreStats(sql, schema, now, read.oldestDueAge))),
    ping: catchSqlErrors(pingLimit)(checkStores(isReadOnly))
  })
  const upkeep = UpkeepStore.of({
    deleteOldOrders: (status, age, max) =>
      guarded(repeatAfterTrouble(Effect.map(deleteOld(status, age, max), ([row]) => row?.deleted ?? 0))),
    deleteExpiredKeys: (max) => guarded(Effect.map(forgetAnswers(max), (rows) => rows.length))
  })
  return Context.make(IntakeStore, intake).pipe(
    Context.add(WorkStore, work),
    Context.add(DeadLetterStore, deadLetters),
    Context.add(OrderReads, reads),
    Context.add(UpkeepStore, upkeep)
  )
})

const noneKept: ReadonlyArray<StoredAnswer> = []

const howMany = (orders: ReadonlyArray<unknown>, keyed: ReadonlyArray<KeyedOrders>): number =>
  keyed.reduce((sum, { orders }) => sum + orders.length, orders.length)

const untilMillis = (millis: number | null | undefined) =>
  millis === null || millis === undefined ? null : Duration.millis(Math.max(0, millis))

/** The orders of a claim come in the order of the update; they are started best first. */
const bestFirst = (
  a: { readonly priority: number; readonly dueAt: DateTime.Utc; readonly id: OrderId },
  b: { readonly priority: number; readonly dueAt: DateTime.Utc; readonly id: OrderId }
): number => b.priority - a.priority || DateTime.Order(a.dueAt, b.dueAt) || (a.id < b.id ? -1 : 1)

/** Orders in PostgreSQL, on the caller's client; the tables must have been migrated. */
export const layer = Layer.effectContext(make)
