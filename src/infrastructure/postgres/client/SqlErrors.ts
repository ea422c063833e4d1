import { Context, Duration, Effect, Fiber, Predicate, Schedule } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import { OrdersUnavailable } from "../../../domain/OrderErrors.ts"
import { meaningOf } from "./SqlStates.ts"

/** The SQLSTATE, where it is PostgreSQL or a pooler that reports the error; undefined for errors of sockets and of the client. */
export const sqlStateOf = ({ reason: { cause } }: SqlError.SqlError): string | undefined =>
  Predicate.hasProperty(cause, "severity") &&
  Predicate.hasProperty(cause, "code") &&
  Predicate.isString(cause.code)
    ? cause.code
    : undefined

/** Whether the same statement may succeed if it is repeated later: trouble of the database, not of the statement. */
export const isTransient = (error: SqlError.SqlError): boolean => {
  const state = sqlStateOf(error)
  return state === undefined ? error.reason._tag === "ConnectionError" : meaningOf(state) === "passes"
}

/** Whether no statement can be run at all, and not only this one. */
const meansAway = (error: SqlError.SqlError): boolean =>
  error.reason.operation === "connect" ||
  error.reason._tag === "ConnectionError" ||
  /^(08|53[^1]|57P0[1-5])/.test(sqlStateOf(error) ?? "")

/** A statement that ran into its time limit would only add to the load that made it slow. */
const isWorthRepeating = (error: unknown): boolean =>
  SqlError.isSqlError(error) && isTransient(error) && !/^(57014|55P03)$/.test(sqlStateOf(error) ?? "")

const fewTimes = Schedule.exponential("50 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 4 }))

/**
 * Repeats what may be repeated although the first was carried out and only its answer got lost, a few times
 * within a second. It may take as long as its caller lets it: an app's writes, a look at everything.
 */
export const repeatAfterTrouble = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { while: isWorthRepeating, schedule: fewTimes })

/**
 * A short statement that is not answered for so long has met a dead connection, or a server with other worries. One
 * that writes many orders takes longer on a server that is merely busy, and run twice it would only be busier: a full batch
 * is waited for twice as long. Both waits together are 12 s at most, so that within the 15 s of a request
 * there is time for a third connection.
 */
const answerWithin = (orders: number): ReadonlyArray<Duration.Duration> =>
  [2, 4].map((seconds) => Duration.seconds(seconds * (1 + Math.min(1, (orders - 1) / (fullBatch - 1)))))

/** As many orders as a batch of submits or settles has, or more. */
export const fullBatch = 256

/**
 * The same for statements that are short for the number of `orders` they are about: the first attempts are given up,
 * and repeated by another connection, when no answer comes.
 */
export const repeatIdempotent = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  orders = 1
): Effect.Effect<A, E | OrdersUnavailable, R> =>
  Effect.suspend(() => {
    const limits = answerWithin(orders)
    let attempt = 0
    const once = Effect.suspend(() => abandonAfter(limits[attempt++] ?? Duration.infinity)(effect))
    return Effect.retry(once, {
      while: (error: unknown) => error === unavailable || isWorthRepeating(error),
      schedule: fewTimes
    })
  })

/**
 * Runs the effect in a transaction. Where the connection broke, Effect finds nothing to roll back on and says so by a
 * defect: it is trouble of the database like any other, and nothing was stored.
 */
export const runInTransaction =
  (sql: SqlClient.SqlClient) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError.SqlError, R> =>
    Effect.catchDefect(sql.withTransaction(effect), (defect) =>
      SqlError.isSqlError(defect) && isTransient(defect) ? Effect.fail(defect) : Effect.die(defect)
    )

/** How long a start waits for a database that is starting, too, or away for the moment; 30 seconds by default. */
export const StartingPatience = Context.Reference<Duration.Duration>(
  "order-platform/infrastructure/postgres/StartingPatience",
  { defaultValue: () => Duration.seconds(30) }
)

/** When a start asks such a database again. */
export const startingPatience = Effect.map(StartingPatience, (duration) => {
  const again = Schedule.spaced("500 millis")
  return Duration.isFinite(duration) ? again.pipe(Schedule.upTo({ duration })) : again
})

/** What the database or the system says; Effect's own message is only that the query failed. */
export const messageOf = ({ reason: { cause, message = "" } }: SqlError.SqlError): string => {
  // A name with several addresses fails with the errors of all of them, in one that has no message.
  if (cause instanceof AggregateError)
    return cause.errors.map((error) => (error instanceof Error ? error.message : String(error))).join(", ")
  return Predicate.hasProperty(cause, "message") && Predicate.isString(cause.message)
    ? cause.message
    : message
}

/** How long one call to the database may take in all, waiting for a connection included. */
export const CallTimeLimit = Context.Reference<Duration.Duration>(
  "order-platform/infrastructure/postgres/CallTimeLimit",
  {
    defaultValue: () => Duration.seconds(20)
  }
)

const unavailable = new OrdersUnavailable({ message: "The database does not answer at the moment." })

/**
 * Gives a call up after the limit, or when its caller is interrupted, and waits for nothing then. A pool has no time limit
 * of its own, and interrupting a statement waits for a cancel request that a dead network holds up for seconds: so the
 * interruption goes on behind our back. Detached, because a fiber does not end before its children.
 */
const abandonAfter =
  (limit: Duration.Duration) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | OrdersUnavailable, R> =>
    // Not interruptible between the fork and the wait: nobody would give up what nobody waits for.
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => {
        const abandon = Effect.forkDetach(Fiber.interrupt(fiber))
        return restore(
          Effect.timeoutOrElse(Fiber.join(fiber), {
            duration: limit,
            orElse: () => Effect.andThen(abandon, Effect.fail(unavailable))
          })
        ).pipe(Effect.onInterrupt(() => abandon))
      })
    )

/** Says once that the database went away, and once that it is back: between the two every call would say the same. */
const makeAwayLog = () => {
  let away = false
  let answers = 0
  const goneAway = (why: string) => {
    if (away) return Effect.void
    away = true
    return Effect.logWarning(
      `The database does not answer: ${why}. Calls fail until it does; no accepted order is lost.`
    )
  }
  return {
    failed: (error: SqlError.SqlError) => (meansAway(error) ? goneAway(messageOf(error)) : Effect.void),
    /** How often it has answered so far. */
    answers: () => answers,
    /** A call got no answer, and there were so many when it began: if others got one since, it was just busy. */
    silent: (limit: Duration.Duration, before: number) =>
      answers === before ? goneAway(`nothing came within ${Duration.format(limit)}`) : Effect.void,
    answered: Effect.suspend(() => {
      answers++
      if (!away) return Effect.void
      away = false
      return Effect.logInfo("The database answers again.")
    })
  }
}

/** Turns transient trouble, and no answer within the limit, into `OrdersUnavailable`; everything else is a bug of ours and dies. */
export const makeCatchSqlTrouble = () => {
  const { answered, answers, failed, silent } = makeAwayLog()
  return (limit: Duration.Duration) =>
    <A, E, R>(
      effect: Effect.Effect<A, E, R>
    ): Effect.Effect<A, Exclude<E, SqlError.SqlError> | OrdersUnavailable, R> =>
      Effect.suspend(() => {
        const before = answers()
        return Effect.matchEffect(abandonAfter(limit)(effect), {
          onSuccess: (value) => Effect.as(answered, value),
          onFailure: (error): Effect.Effect<never, Exclude<E, SqlError.SqlError> | OrdersUnavailable> => {
            if (error === unavailable) return Effect.andThen(silent(limit, before), Effect.fail(unavailable))
            if (!SqlError.isSqlError(error)) return Effect.fail(error as Exclude<E, SqlError.SqlError>)
            if (!isTransient(error)) return Effect.die(error)
            return failed(error).pipe(
              Effect.andThen(Effect.logDebug(`The database did not answer: ${messageOf(error)}`)),
              Effect.andThen(Effect.fail(unavailable))
            )
          }
        })
      })
}
