import { Effect } from "effect"
import { UpkeepStore } from "../ports/UpkeepStore.ts"

const interval = "1 hour"
const batchSize = 1000

/**
 * Deletes failure groups without entries to which nothing was added for 30 days, in small batches, once an hour while
 * the scope is open. Errors of the store only delay the deletion.
 */
export const deleteIdleFailureGroups = Effect.gen(function* () {
  const store = yield* UpkeepStore
  const deleteAll = store
    .deleteIdleFailureGroups(batchSize)
    .pipe(Effect.repeat({ while: (deleted) => deleted === batchSize }), Effect.ignore)
  yield* Effect.sleep(interval).pipe(Effect.andThen(deleteAll), Effect.forever, Effect.forkScoped)
})
