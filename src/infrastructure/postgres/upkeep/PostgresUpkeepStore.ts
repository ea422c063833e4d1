import { Effect, Layer } from "effect"
import { UpkeepStore } from "../../../application/ports/UpkeepStore.ts"
import { repeatAfterTrouble } from "../client/RepeatStatements.ts"
import { Database } from "../client/Database.ts"
import { deleteExpiredKeys } from "./DeleteExpiredKeys.ts"
import { deleteIdleFailureGroups } from "./DeleteIdleFailureGroups.ts"
import { deleteIdleGroups } from "./DeleteIdleGroups.ts"
import { deleteOldOrders } from "./DeleteOldOrders.ts"

/** Deleting old orders is retried. The other deletions are not: the next run deletes what is left. */
export const layer = Layer.effect(
  UpkeepStore,
  Effect.gen(function* () {
    const { call, schema, sql } = yield* Database
    const deleteOrders = deleteOldOrders(sql, schema)
    const deleteKeys = deleteExpiredKeys(sql, schema)
    const deleteGroups = deleteIdleGroups(sql, schema)
    const deleteFailureGroups = deleteIdleFailureGroups(sql, schema)

    return UpkeepStore.of({
      deleteOldOrders: (status, age, max) =>
        call(repeatAfterTrouble(Effect.map(deleteOrders(status, age, max), ([row]) => row?.deleted ?? 0))),
      deleteExpiredKeys: (max) => call(Effect.map(deleteKeys(max), (rows) => rows.length)),
      deleteIdleGroups: (max) => call(Effect.map(deleteGroups(max), (rows) => rows.length)),
      deleteIdleFailureGroups: (max) => call(Effect.map(deleteFailureGroups(max), (rows) => rows.length))
    })
  })
)
