import { Clock, Context, type Duration, Effect, Layer, Random } from "effect"
import { UpkeepStore } from "../ports/UpkeepStore.ts"

/** How long final orders are kept after their last transition; null, the default, keeps them forever. */
export const Retention = Context.Reference<{
  readonly processed: Duration.Duration | null
  readonly failed: Duration.Duration | null
}>("order-platform/application/upkeep/Retention", {
  defaultValue: () => ({ processed: null, failed: null })
})

/** The number of orders deleted by one statement. */
const batchSize = 500

/** The shortest pause between two batches, in milliseconds; after a slow batch the pause is as long as the batch took. */
const minPause = 50

/** The pause between two runs, in milliseconds, shortened by jitter of up to 20 %. */
const interval = 60_000

const deleteAll = Effect.fnUntraced(function* (status: "PROCESSED" | "FAILED", age: Duration.Duration) {
  const store = yield* UpkeepStore
  let total = 0
  for (;;) {
    const start = yield* Clock.currentTimeMillis
    const deleted = yield* store.deleteOldOrders(status, age, batchSize)
    total += deleted
    if (deleted < batchSize) break
    yield* Effect.sleep(Math.max(minPause, (yield* Clock.currentTimeMillis) - start))
  }
  if (total > 0) yield* Effect.logInfo(`Deleted ${total} ${status} orders whose retention had ended.`)
})

/**
 * Deletes final orders after their retention, each with its history and its dead letter, in small batches with
 * pauses, while the layer is open. The store lets only one process delete at a time. It never deletes an order that is not final.
 * Errors of the store only delay the deletion.
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
      // Jitter, so that the processes of a deployment do not all run at the same moment.
      const pause = Effect.flatMap(Random.nextBetween(0.8, 1), (share) => Effect.sleep(interval * share))
      yield* Effect.ignore(deleteOnce).pipe(Effect.andThen(pause), Effect.forever, Effect.forkScoped)
    })
  )
}
