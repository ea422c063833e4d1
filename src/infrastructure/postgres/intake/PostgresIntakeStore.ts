import { Effect, Layer } from "effect"
import { SqlError } from "effect/sql"
import { IntakeStore, type KeyedOrders, type StoredAnswer } from "../../../application/ports/IntakeStore.ts"
import { type OrdersUnavailable, TextNotStorable } from "../../../domain/OrderErrors.ts"
import { sqlStateOf } from "../client/SqlErrors.ts"
import { meaningOf } from "../client/SqlStates.ts"
import { repeatAfterTrouble, repeatIdempotent } from "../client/RepeatStatements.ts"
import { Database } from "../client/Database.ts"
import { countDue, countPendingOfGroups, countScheduled } from "./CountPending.ts"
import { findAnswer, submitKeyedOrders } from "./SubmitKeyedOrders.ts"
import { submitOrders } from "./SubmitOrders.ts"

const noAnswers: ReadonlyArray<StoredAnswer> = []

// The start checks refuse every encoding except UTF8, which can store every character. An app may run without these
// checks.
const isNotStorable = (error: SqlError.SqlError | OrdersUnavailable): boolean =>
  SqlError.isSqlError(error) && meaningOf(sqlStateOf(error) ?? "") === "not storable"

const countOrders = (orders: ReadonlyArray<unknown>, keyed: ReadonlyArray<KeyedOrders>): number =>
  keyed.reduce((sum, { orders }) => sum + orders.length, orders.length)

/** A submit is retried only outside of the caller's transaction, because an error aborts a transaction. */
export const layer = Layer.effect(
  IntakeStore,
  Effect.gen(function* () {
    const { call, inTransaction, schema, sql } = yield* Database
    const submit = submitOrders(sql, schema)
    const submitKeyed = submitKeyedOrders(sql, schema)
    const find = findAnswer(sql, schema)
    const due = countDue(sql, schema)
    const scheduled = countScheduled(sql, schema)
    const ofGroups = countPendingOfGroups(sql, schema)

    return IntakeStore.of({
      submit: (orders, keyed = []) =>
        call(
          Effect.flatMap(inTransaction, (inside) => {
            const store: Effect.Effect<
              ReadonlyArray<StoredAnswer | null>,
              SqlError.SqlError
            > = keyed.length === 0 ? Effect.as(submit(orders), noAnswers) : submitKeyed(orders, keyed, inside)
            return inside ? store : repeatIdempotent(store, countOrders(orders, keyed))
          }).pipe(Effect.catchIf(isNotStorable, () => Effect.fail(new TextNotStorable())))
        ),
      findAnswer: (key) => call(repeatAfterTrouble(find(key))),
      countDue: (max) => call(due(max)),
      countScheduled: (max, room) => call(scheduled(max, room)),
      countPendingOfGroups: (groups, defaultMax) => call(ofGroups(groups, defaultMax)),
      inTransaction,
      afterCommit: sql.afterCommit
    })
  })
)
