import { Context, Duration, Effect, Schedule, type Scope } from "effect"
import { SqlError } from "effect/sql"
import { OrdersUnavailable } from "../../../domain/OrderErrors.ts"
import { explained } from "./ConnectErrors.ts"
import { abandonAfter, unavailable } from "./RepeatStatements.ts"
import { isTransient, messageOf, sqlStateOf } from "./SqlErrors.ts"
import { meaningOf } from "./SqlStates.ts"

/** The time limit of one call to the database, including the wait for a connection. */
export const CallTimeLimit = Context.Reference<Duration.Duration>(
  "order-platform/infrastructure/postgres/CallTimeLimit",
  {
    defaultValue: () => Duration.seconds(20)
  }
)

const refusing = new OrdersUnavailable({
  message: "The database refuses to store orders at the moment. No accepted order is lost; try again later."
})

/** Whether the error means that no statement at all can be run at the moment. */
const isUnreachable = (error: SqlError.SqlError): boolean =>
  error.reason.operation === "connect" ||
  error.reason._tag === "ConnectionError" ||
  /^(08|53[^1]|57P0[1-5])/.test(sqlStateOf(error) ?? "")

/**
 * Whether the database responds but refuses to write: it is read-only, its disk is full, or a right or a table is
 * missing.
 */
const isRefusal = (error: SqlError.SqlError): boolean => {
  const state = sqlStateOf(error) ?? ""
  return state === "25006" || state === "53100" || meaningOf(state) === "refused"
}

/** Logs once that the database does not respond, and once that it responds again. */
const makeAwayLog = () => {
  let away = false
  let answers = 0
  const begins = (why: string) => {
    if (away) return Effect.void
    away = true
    return Effect.logWarning(
      `The database does not answer: ${why}. Calls fail until it does; no accepted order is lost.`
    )
  }
  return {
    begins,
    /** The number of responses so far. */
    answers: () => answers,
    /**
     * Records a call without a response; `before` is the number of responses when it began. If other calls got
     * responses since, the database is only busy.
     */
    silent: (limit: Duration.Duration, before: number) =>
      answers === before ? begins(`nothing came within ${Duration.format(limit)}`) : Effect.void,
    answered: Effect.suspend(() => {
      answers++
      if (!away) return Effect.void
      away = false
      return Effect.logInfo("The database answers again.")
    })
  }
}

/**
 * Logs once that the database refuses calls, and tests once a second with `probe` whether it still refuses
 * them.
 */
const makeRefusalLog = (probe: Effect.Effect<void, unknown>, scope: Scope.Scope) => {
  let refuses = false
  const over = Effect.suspend(() => {
    refuses = false
    return Effect.logInfo("The database takes orders again.")
  })
  const watch = Effect.retry(Effect.delay(probe, "1 second"), Schedule.forever).pipe(Effect.andThen(over))
  return {
    refuses: () => refuses,
    begins: (why: string) =>
      Effect.suspend(() => {
        if (refuses) return Effect.void
        refuses = true
        return Effect.andThen(
          Effect.logWarning(
            `The database refuses: ${why}. Calls fail as long as it refuses them; no accepted order is lost.`
          ),
          Effect.forkIn(watch, scope)
        )
      })
  }
}

/**
 * Turns errors of the database, and a missing response within the limit, into `OrdersUnavailable`. An error that is a
 * bug becomes a defect. `probe` succeeds when orders can be stored.
 */
export const makeCatchSqlErrors = Effect.fnUntraced(function* (probe: Effect.Effect<void, unknown>) {
  const away = makeAwayLog()
  const refusal = makeRefusalLog(probe, yield* Effect.scope)

  const unavailableAfter = (error: SqlError.SqlError) => {
    const log = isUnreachable(error)
      ? away.begins(isTransient(error) ? messageOf(error) : explained(error))
      : isRefusal(error)
        ? refusal.begins(explained(error))
        : Effect.void
    return log.pipe(
      Effect.andThen(Effect.logDebug(`The database failed a call: ${messageOf(error)}`)),
      Effect.andThen(Effect.fail(isRefusal(error) ? refusing : unavailable))
    )
  }

  const catchSqlErrors =
    (limit: Duration.Duration) =>
    <A, E, R>(
      effect: Effect.Effect<A, E, R>
    ): Effect.Effect<A, Exclude<E, SqlError.SqlError> | OrdersUnavailable, R> =>
      Effect.suspend(() => {
        const before = away.answers()
        return Effect.matchEffect(abandonAfter(limit)(effect), {
          onSuccess: (value) => Effect.as(away.answered, value),
          onFailure: (error): Effect.Effect<never, Exclude<E, SqlError.SqlError> | OrdersUnavailable> => {
            if (error === unavailable)
              return Effect.andThen(away.silent(limit, before), Effect.fail(unavailable))
            if (!SqlError.isSqlError(error)) return Effect.fail(error as Exclude<E, SqlError.SqlError>)
            return isTransient(error) || isUnreachable(error) || isRefusal(error)
              ? unavailableAfter(error)
              : Effect.die(error)
          }
        })
      })

  /**
   * Fails while the database refuses to store orders. `isReadOnly` detects a read-only database before any
   * call has failed.
   */
  const checkStores = <E>(
    isReadOnly: Effect.Effect<boolean, E>
  ): Effect.Effect<void, E | OrdersUnavailable> =>
    Effect.flatMap(isReadOnly, (readOnly) => {
      if (readOnly) return Effect.andThen(refusal.begins("it is read-only"), Effect.fail(refusing))
      return refusal.refuses() ? Effect.fail(refusing) : Effect.void
    })

  return { catchSqlErrors, checkStores }
})
