import { Effect, type Scope } from "effect"

const firstRun = "1 minute"
const interval = "1 hour"
const batchSize = 1000

/**
 * Deletes in small batches, until one finds less than it may delete, once an hour while the scope is open. `deleteSome`
 * deletes up to `max` rows and returns their number. Errors only delay the deletion.
 */
export const deleteHourly = <E, R>(
  deleteSome: (max: number) => Effect.Effect<number, E, R>
): Effect.Effect<void, never, R | Scope.Scope> => {
  const deleteAll = deleteSome(batchSize).pipe(
    Effect.repeat({ while: (deleted) => deleted === batchSize }),
    Effect.ignore
  )
  return Effect.sleep(firstRun).pipe(
    Effect.andThen(Effect.forever(Effect.andThen(deleteAll, Effect.sleep(interval)))),
    Effect.forkScoped,
    Effect.asVoid
  )
}
