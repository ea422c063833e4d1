import { Clock, Context, type Duration, Effect, Layer, Random } from "effect"
import { UpkeepStore } from "../ports/UpkeepStore.ts"

/** How long final orders are kept after their last transition; null keeps them for ever, which is the default. */
export const Retention = Context.Reference<{
  readonly processed: Duration.Duration | null
  readonly failed: Duration.Duration | null
}>("order-platform/application/Retention", { defaultValue: () => ({ processed: null, failed: null }) })

/** The most orders deleted by one statement. */
const batch = 500
/** The least pause between two batches, in milliseconds; a slow one is followed by one as long as it took. */
const leastPause = 50
/** How long after there was nothing left to delete it is looked again, in milliseconds. */
const interval = 60_000

const deleteAll = Effect.fnUntraced(function* (status: "PROCESSED" | "FAILED", age: Duration.Duration) {
  const store = yield* UpkeepStore
  let all = 0
  for (;;) {
    const start = yield* Clock.currentTimeMillis
    const deleted = yield* store.deleteOldOrders(status, age, batch)
    all += deleted
    if (deleted < batch) break
    yield* Effect.sleep(Math.max(leastPause, (yield* Clock.currentTimeMillis) - start))
  }
  if (all > 0) yield* Effect.logInfo(`Deleted ${all} ${status} orders that were older than they are kept.`)
})

/**
 * Deletes final orders that are older than they are kept, whole, as long as its layer lives: in small batches with
 * pauses, one process at a time. Never one that is not final. Trouble with the store only delays it.
 */
export const DeleteOldOrders = {
  layer: Layer.effectDiscard(
    Effect.gen(function* () {
      const { failed, processed } = yield* Retention
      if (failed === null && processed === null) return
      const deleteOnce = Effect.gen(function* () {
        if (processed !== null) yield* deleteAll("PROCESSED", processed)
        if (failed !== null) yield* deleteAll("FAILED", failed)
      })
      // Jittered, so that the processes of a deployment do not all look at the same moment.
      yield* Effect.ignore(deleteOnce).pipe(
        Effect.andThen(Effect.flatMap(Random.nextBetween(0.8, 1), (part) => Effect.sleep(interval * part))),
        Effect.forever,
        Effect.forkScoped
      )
    })
  )
}
