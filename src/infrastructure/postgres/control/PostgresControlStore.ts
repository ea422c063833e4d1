import { DateTime, Effect, Layer } from "effect"
import { SqlError } from "effect/sql"
import { ControlStore } from "../../../application/ports/ControlStore.ts"
import { unnamedOperator } from "../../../domain/Audit.ts"
import { isCancelled } from "../../../domain/Order.ts"
import { OrderStateConflict, OrderVersionMismatch } from "../../../domain/OrderErrors.ts"
import { toOrder } from "../client/OrderRow.ts"
import { repeatAfterTrouble } from "../client/RepeatStatements.ts"
import { Database } from "../client/Database.ts"
import { sqlStateOf } from "../client/SqlErrors.ts"
import { findOrder } from "../watch/FindOrder.ts"
import { cancelOrder } from "./CancelOrder.ts"
import { deleteGroupLimits, listGroups, setGroupLimits } from "./GroupLimits.ts"
import { listAudit } from "./ListAudit.ts"
import { listPauses, pauseWorkers, resumeWorkers } from "./PauseWorkers.ts"
import { runOrder } from "./RunOrder.ts"
import { listTypesWithoutWorker, listWorkers } from "./WorkerRegistry.ts"

/** Repeats a statement that failed because the order changed while it was being locked; nothing was stored then. */
const repeatConflicts = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, {
    while: (error) => SqlError.isSqlError(error) && sqlStateOf(error) === "40001",
    times: 20
  })

/** Reads are retried; changes are not, so that no entry of the audit is written twice. */
export const layer = Layer.effect(
  ControlStore,
  Effect.gen(function* () {
    const { call, schema, sql } = yield* Database
    const cancel = cancelOrder(sql, schema)
    const run = runOrder(sql, schema)
    const find = findOrder(sql, schema)
    const pause = pauseWorkers(sql, schema)
    const resume = resumeWorkers(sql, schema)
    const setLimits = setGroupLimits(sql, schema)
    const deleteLimits = deleteGroupLimits(sql, schema)
    const groups = listGroups(sql, schema)
    const audit = listAudit(sql, schema)

    return ControlStore.of({
      cancel: (id, { ifVersion = null, reason }) =>
        call(
          Effect.gen(function* () {
            const [row] = yield* repeatConflicts(cancel(id, reason, ifVersion))
            if (row !== undefined) return toOrder(row)
            const order = yield* find(id)
            if (ifVersion !== null && order.version !== ifVersion)
              return yield* new OrderVersionMismatch({ orderId: id })
            if (isCancelled(order)) return order
            return yield* new OrderStateConflict({
              orderId: id,
              orderStatus: order.status,
              message: `The order is ${order.status} and can no longer be cancelled.`
            })
          })
        ),
      run: (id, operator = unnamedOperator) =>
        call(
          Effect.gen(function* () {
            const [row] = yield* repeatConflicts(run(id, operator))
            if (row !== undefined) return toOrder(row)
            const order = yield* find(id)
            const message =
              order.status === "PENDING"
                ? `The order is already due, since ${DateTime.formatIso(order.dueAt)}.`
                : `The order is ${order.status} and does not wait for its time.`
            return yield* new OrderStateConflict({ orderId: id, orderStatus: order.status, message })
          })
        ),
      pause: (scope, operator = unnamedOperator) => call(Effect.asVoid(pause(scope, operator))),
      resume: (scope, operator = unnamedOperator) => call(Effect.asVoid(resume(scope, operator))),
      pauses: call(repeatAfterTrouble(listPauses(sql, schema))),
      setGroupLimits: (group, limits, operator = unnamedOperator) =>
        call(Effect.asVoid(setLimits(group, limits, operator))),
      deleteGroupLimits: (group, operator = unnamedOperator) =>
        call(Effect.map(deleteLimits(group, operator), (rows) => rows.length > 0)),
      groups: (page) => call(repeatAfterTrouble(groups(page))),
      workers: call(repeatAfterTrouble(listWorkers(sql, schema))),
      typesWithoutWorker: call(repeatAfterTrouble(listTypesWithoutWorker(sql, schema))),
      audit: (page) => call(repeatAfterTrouble(audit(page))),
      afterCommit: sql.afterCommit
    })
  })
)
