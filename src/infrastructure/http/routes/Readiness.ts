import { Context, Duration, Effect, Layer, Ref } from "effect"
import { readinessLimit } from "../../../application/ports/OrderReads.ts"
import { Unavailable } from "../../../contract/RequestErrors.ts"

const make = (notReady: Ref.Ref<ReadonlyArray<string>>) => ({
  /** Why the process should get no more requests; empty while it may. */
  reasons: Ref.get(notReady),
  /** From now on the process is not ready: called first at shutdown, so that load balancers turn away. */
  drain: Ref.update(notReady, (reasons) => (reasons.includes(draining) ? reasons : [...reasons, draining]))
})

const draining = "The process is shutting down."

const reference = Context.Reference<ReturnType<typeof make>>("order-platform/infrastructure/http/Readiness", {
  defaultValue: () => make(Ref.makeUnsafe<ReadonlyArray<string>>([]))
})

/** Whether this process wants requests. One for the whole process, unless `layer` makes a separate one. */
export const Readiness = Object.assign(reference, {
  drain: Effect.flatMap(reference, ({ drain }) => drain),
  layer: Layer.effect(reference, Effect.map(Ref.make<ReadonlyArray<string>>([]), make))
})

/** Succeeds if the process takes requests: it does not drain, and the store of orders answers in time and could store one. */
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
            message: `The database did not answer within ${Duration.toSeconds(readinessLimit)} seconds.`
          })
        )
    })
  )
})
