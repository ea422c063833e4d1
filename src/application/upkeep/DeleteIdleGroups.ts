import { Effect } from "effect"
import { UpkeepStore } from "../ports/UpkeepStore.ts"

const interval = "1 hour"
const batchSize = 1000

/**
 * Deletes what is stored about groups that are idle, in small batches, once an hour while the scope is open. Errors of
 * the store only delay the deletion.
 */
export const deleteIdleGroups = Effect.gen(function* () {
  const store = yield* UpkeepStore
  const deleteAll = store
    .deleteIdleGroups(batchSize)
    .pipe(Effect.repeat({ while: (deleted) => deleted === batchSize }), Effect.ignore)
  yield* Effect.sleep(interval).pipe(Effect.andThen(deleteAll), Effect.forever, Effect.forkScoped)
})
