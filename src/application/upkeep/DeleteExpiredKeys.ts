import { Effect } from "effect"
import { UpkeepStore } from "../ports/UpkeepStore.ts"

const firstRun = "1 minute"
const interval = "1 hour"
const batchSize = 1000

/**
 * Deletes expired idempotency keys in small batches, once an hour while the scope is open. This only frees
 * space: the answer stored under an expired key is never returned. Errors of the store only delay the
 * deletion.
 */
export const deleteExpiredKeys = Effect.gen(function* () {
  const store = yield* UpkeepStore
  const deleteAll = store
    .deleteExpiredKeys(batchSize)
    .pipe(Effect.repeat({ while: (deleted) => deleted === batchSize }), Effect.ignore)
  yield* Effect.sleep(firstRun).pipe(
    Effect.andThen(Effect.forever(Effect.andThen(deleteAll, Effect.sleep(interval)))),
    Effect.forkScoped
  )
})
