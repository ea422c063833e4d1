import { Effect, Layer } from "effect"
import { DeadLetterStore } from "../../../application/ports/DeadLetterStore.ts"
import { unnamedOperator } from "../../../domain/Audit.ts"
import {
  FailureGroupNotFound,
  OrderNotInDeadLetterQueue,
  OrderVersionMismatch
} from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { type OrderRow, toOrder } from "../client/OrderRow.ts"
import { repeatAfterTrouble, repeatIdempotent } from "../client/RepeatStatements.ts"
import { Database } from "../client/Database.ts"
import { findOrder } from "../watch/FindOrder.ts"
import { discardOrder } from "./DiscardOrder.ts"
import { listFailureGroups, markFixed } from "./FailureGroups.ts"
import { findDeadLetter, listDeadLetters } from "./ListDeadLetters.ts"
import { reprocessOrder } from "./ReprocessOrder.ts"

/**
 * Reads are retried. Reprocess and discard are not, because after a lost reply a repetition would no longer find the
 * entry. A mark is not either, so that no entry of the audit is written twice.
 */
export const layer = Layer.effect(
  DeadLetterStore,
  Effect.gen(function* () {
    const { call, schema, sql } = yield* Database
    const list = listDeadLetters(sql, schema)
    const find = findDeadLetter(sql, schema)
    const findOne = findOrder(sql, schema)
    const reprocess = reprocessOrder(sql, schema)
    const discard = discardOrder(sql, schema)
    const failureGroups = listFailureGroups(sql, schema)
    const mark = markFixed(sql, schema)

    /** The changed order; if no row was changed, the error for the condition that did not hold. */
    const changedOr = Effect.fnUntraced(function* (
      rows: ReadonlyArray<OrderRow>,
      id: OrderId,
      ifVersion: number | null
    ) {
      const [row] = rows
      if (row !== undefined) return toOrder(row)
      const order = yield* findOne(id)
      if (ifVersion !== null && order.version !== ifVersion)
        return yield* new OrderVersionMismatch({ orderId: id })
      return yield* new OrderNotInDeadLetterQueue({ orderId: id })
    })

    return DeadLetterStore.of({
      list: (page, filter) => call(repeatAfterTrouble(list(page, filter))),
      find: (id) => call(repeatIdempotent(find(id))),
      reprocess: (id, { ifVersion = null, operator = unnamedOperator } = {}) =>
        call(Effect.flatMap(reprocess(id, ifVersion, operator), (rows) => changedOr(rows, id, ifVersion))),
      discard: (id, { ifVersion = null, operator = unnamedOperator, reason = null } = {}) =>
        call(
          Effect.flatMap(discard(id, reason, ifVersion, operator), (rows) => changedOr(rows, id, ifVersion))
        ),
      failureGroups: (page) => call(repeatAfterTrouble(failureGroups(page))),
      markFixed: (fingerprint, { operator = unnamedOperator, reason = null, version = null } = {}) =>
        call(
          Effect.flatMap(mark(fingerprint, version, reason, operator), ([group]) =>
            group === undefined
              ? Effect.fail(new FailureGroupNotFound({ fingerprint }))
              : Effect.succeed(group)
          )
        ),
      afterCommit: sql.afterCommit
    })
  })
)
