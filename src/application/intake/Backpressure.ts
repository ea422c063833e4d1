import { Context, Effect } from "effect"
import { Overloaded } from "../../domain/OrderErrors.ts"
import { secondsToDrain } from "../../concurrency/Rate.ts"
import { IntakeStore } from "../ports/IntakeStore.ts"

/** The most PENDING orders; beyond it no new ones are taken. A million by default. */
export const MaxPending = Context.Reference<number>("order-platform/application/MaxPending", {
  defaultValue: () => 1_000_000
})

/** Between two looks, in milliseconds. */
const interval = 1000

/** Whoever is turned away comes back when this share of the limit is free again, so that not all come to a single place. */
const shareToFree = 0.01

/**
 * Looks how many orders wait, once a second while orders come in and once after that, and says whether that is too many.
 * While it is, it goes on looking, since nothing comes in that could be a reason to. A look counts no further
 * than the limit. Between two looks a little more than the limit may come in; where nothing is known it is not too many.
 */
export const watchBacklog = Effect.gen(function* () {
  const store = yield* IntakeStore
  const most = yield* MaxPending
  const scope = yield* Effect.scope
  let overloaded: Overloaded | null = null
  let cameIn = false
  let watching = false

  const look = Effect.map(store.countPending(most), ({ drainPerSecond, pending }) => {
    overloaded =
      pending <= most
        ? null
        : new Overloaded({
            message: `More than ${most} orders are waiting; nothing of this call was stored.`,
            retryAfterSeconds: secondsToDrain(pending - most + Math.ceil(most * shareToFree), drainPerSecond)
          })
  }).pipe(Effect.ignoreCause)

  const watch = Effect.whileLoop({
    while: () => cameIn || overloaded !== null,
    body: () => {
      cameIn = false
      return Effect.andThen(look, Effect.sleep(interval))
    },
    step: () => {}
  }).pipe(Effect.ensuring(Effect.sync(() => void (watching = false))))

  return {
    /** Why nothing is taken at the moment; null if something is. */
    overloaded: () => overloaded,
    /** Something came in: it is time to look again. Nobody waits for that. */
    noteIntake: Effect.suspend((): Effect.Effect<unknown> => {
      cameIn = true
      if (watching) return Effect.void
      watching = true
      return Effect.forkIn(watch, scope)
    })
  }
})
