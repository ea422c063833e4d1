import { Clock, Deferred, Effect } from "effect"
import type { OrdersUnavailable } from "../../domain/OrderErrors.ts"
import type { Stats } from "../../domain/OrderQueries.ts"

/** The least time between two looks, in milliseconds. */
const interval = 1000

/**
 * The figures, looked up when somebody asks for them, at most once a second and one look at a time, however many ask.
 * A look that failed counts too, so that a store that is away is not asked the harder. Whoever goes away leaves the look
 * to the others.
 */
export const refreshStats = (look: Effect.Effect<Stats, OrdersUnavailable>) =>
  Effect.map(Effect.scope, (scope) => {
    let last: { readonly at: number; readonly stats: Deferred.Deferred<Stats, OrdersUnavailable> } | undefined
    let looking = false

    const refresh = (stats: Deferred.Deferred<Stats, OrdersUnavailable>) =>
      Effect.exit(look).pipe(
        Effect.flatMap((exit) => Deferred.done(stats, exit)),
        Effect.ensuring(Effect.sync(() => void (looking = false))),
        Effect.forkIn(scope)
      )

    return Effect.uninterruptibleMask(
      Effect.fnUntraced(function* (restore) {
        const now = yield* Clock.currentTimeMillis
        if (last !== undefined && (looking || now - last.at < interval)) {
          return yield* restore(Deferred.await(last.stats))
        }
        const stats = Deferred.makeUnsafe<Stats, OrdersUnavailable>()
        last = { at: now, stats }
        looking = true
        yield* refresh(stats)
        return yield* restore(Deferred.await(stats))
      })
    )
  })
