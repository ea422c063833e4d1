import { Effect } from "effect"
import { UpkeepStore } from "../ports/UpkeepStore.ts"

/** How often a process looks for answers that have expired, and how many it deletes at a time. */
const first = "1 minute"
const interval = "1 hour"
const batch = 1000

/**
 * Deletes the answers that were kept for their time, in small batches, as long as the process runs. Nothing depends on
 * it but space: an answer that has expired is given to nobody.
 */
export const deleteExpiredKeys = Effect.gen(function* () {
  const store = yield* UpkeepStore
  const forgetAll = store
    .deleteExpiredKeys(batch)
    .pipe(Effect.repeat({ while: (forgotten) => forgotten === batch }), Effect.ignore)
  yield* Effect.sleep(first).pipe(
    Effect.andThen(Effect.forever(Effect.andThen(forgetAll, Effect.sleep(interval)))),
    Effect.forkScoped
  )
})
