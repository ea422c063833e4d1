import { Context, Duration, Effect, Layer, Ref } from "effect"
import { readinessLimit } from "../../../application/ports/OrderReads.ts"
import { Unavailable } from "../../../contract/RequestErrors.ts"

const make = (notReady: Ref.Ref<ReadonlyArray<string>>) => ({
  /** The reasons why the process should receive no more requests; empty if there are none. */
  reasons: Ref.get(notReady),
  /** Makes the process not ready. Called first at shutdown, so that load balancers stop sending requests. */
  drain: Ref.update(notReady, (reasons) => (reasons.includes(draining) ? reasons : [...reasons, draining]))
})

const draining = "The process is shutting down."

const reference = Context.Reference<ReturnType<typeof make>>("order-platform/infrastructure/http/Readiness", {
  defaultValue: () => make(Ref.makeUnsafe<ReadonlyArray<string>>([]))
})

/** The readiness of this process. There is one per process, unless `layer` makes a separate one. */
export const Readiness = Object.assign(reference, {
  drain: Effect.flatMap(reference, ({ drain }) => drain),
  layer: Layer.effect(reference, Effect.map(Ref.make<ReadonlyArray<string>>([]), make))
})

/**
 * Succeeds if the process is not draining and the store confirms within 2 seconds that it could store an
 * order.
 */
export const checkReady = Effect.fnUntraced(function* (
  ping: Effect.Effect<void, { readonly message: string }>
) {
  const { reasons } = yield* Readiness
  const [reason] = yield* reasons
  if (reason !== undefined) return yield* new Unavailable({ message: reason })
  yield* ping.pipe(
    Effect.mapError(({ message }) => new Unavailable({ message })),
    Effect.timeoutOrElse({
      duration: readinessLimit,
      orElse: () =>
        Effect.fail(
          new Unavailable({
            message: `The database did not respond within ${Duration.toSeconds(readinessLimit)} seconds.`
          })
        )
    })
  )
})
