import { Context, Effect } from "effect"
import { Overloaded } from "../domain/OrderErrors.ts"
import { secondsToDrain } from "./DrainRate.ts"
import { OrderRepository } from "./ports/OrderRepository.ts"

/** The most PENDING orders; beyond it no new ones are taken. A million by default. */
export const MaxPending = Context.Reference<number>("order-platform/application/MaxPending", {
  defaultValue: () => 1_000_000
})

/** The least time between two looks, in milliseconds. */
const interval = 1000

/** Whoever is turned away comes back when this share of the limit is free again, so that not all come to a single place. */
const shareToFree = 0.01

/**
 * Looks how many orders wait, at most once a second and only while orders come in, and says whether that is too many.
 * While it is, it goes on looking by itself, since nothing comes in that could be a reason to. A look counts no further
 * than the limit. Between two looks a little more than the limit may come in; where nothing is known it is not too many.
 */
export const watchBacklog = Effect.gen(function* () {
  const repository = yield* OrderRepository
  const most = yield* MaxPending
  const scope = yield* Effect.scope
  let overloaded: Overloaded | null = null
  let lookedAt = -Infinity
  let looking = false

  const look = Effect.map(repository.pendingLoad(most), ({ drainPerSecond, pending }) => {
    overloaded =
      pending <= most
        ? null
        : new Overloaded({
            detail: `More than ${most} orders are waiting; nothing of this call was stored.`,
            retryAfterSeconds: secondsToDrain(pending - most + Math.ceil(most * shareToFree), drainPerSecond)
          })
  }).pipe(Effect.ignore)

  const lookUntilThereIsRoom = look.pipe(
    Effect.andThen(
      Effect.whileLoop({
        while: () => overloaded !== null,
        body: () => Effect.andThen(Effect.sleep(interval), look),
        step: () => {}
      })
    ),
    Effect.ensuring(Effect.sync(() => void (looking = false)))
  )

  return {
    /** Why nothing is taken at the moment; null if something is. */
    overloaded: () => overloaded,
    /** Something came in at this time: perhaps it is time to look again. Nobody waits for that. */
    noteIntake: (now: number): Effect.Effect<unknown> => {
      if (looking || now - lookedAt < interval) return Effect.void
      looking = true
      lookedAt = now
      return Effect.forkIn(lookUntilThereIsRoom, scope)
    }
  }
})
