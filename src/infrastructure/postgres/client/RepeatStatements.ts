import { Duration, Effect, Fiber, Schedule } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import { OrdersUnavailable } from "../../../domain/OrderErrors.ts"
import { isTransient, sqlStateOf } from "./SqlErrors.ts"

/** The error of a call without a response within its time limit. */
export const unavailable = new OrdersUnavailable({ message: "The database does not answer at the moment." })

/**
 * Whether to repeat a statement after this error. Not after a timeout of the server, because a repetition
 * would add to the load that made the statement slow.
 */
const isWorthRepeating = (error: unknown): boolean =>
  SqlError.isSqlError(error) && isTransient(error) && !/^(57014|55P03)$/.test(sqlStateOf(error) ?? "")

const fewTimes = Schedule.exponential("50 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 4 }))

/** Repeats an idempotent effect after a transient error, up to four times within a second. Adds no time limit. */
export const repeatAfterTrouble = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { while: isWorthRepeating, schedule: fewTimes })

/**
 * Time limits of the first and the second attempt. If a short statement has no response after this time, its
 * connection is dead or the server is overloaded. A statement with `fullBatch` orders gets twice the time,
 * because repeating it would add to the load of a busy server. The two limits add up to at most 12 s, so that
 * a third attempt fits into the 15 s of a request.
 */
const answerWithin = (orders: number): ReadonlyArray<Duration.Duration> =>
  [2, 4].map((seconds) => Duration.seconds(seconds * (1 + Math.min(1, (orders - 1) / (fullBatch - 1)))))

/** The number of orders with which a statement gets the longest time limits. */
export const fullBatch = 256

/**
 * Like `repeatAfterTrouble`, with a time limit for each attempt that depends on the number of `orders`. An attempt
 * without a response is abandoned and repeated on another connection.
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
 * Runs the effect in a transaction. If the connection breaks, Effect's rollback dies. That defect is turned
 * into a transient error, because nothing was stored.
 */
export const runInTransaction =
  (sql: SqlClient.SqlClient) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError.SqlError, R> =>
    Effect.catchDefect(sql.withTransaction(effect), (defect) =>
      SqlError.isSqlError(defect) && isTransient(defect) ? Effect.fail(defect) : Effect.die(defect)
    )

/**
 * Abandons a call after the limit, or when its caller is interrupted, without waiting for its end. Waiting
 * for a connection of the pool has no time limit, and interrupting a statement waits for a cancel request,
 * which takes seconds on a dead network. The call runs in a detached fiber, because a fiber does not end
 * before its children.
 */
export const abandonAfter =
  (limit: Duration.Duration) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | OrdersUnavailable, R> =>
    // Uninterruptible between the fork and the wait: after an interruption there, the fiber would continue
    // unobserved.
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
