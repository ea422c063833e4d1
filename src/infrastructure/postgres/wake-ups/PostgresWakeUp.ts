import { PgClient } from "@effect/sql-pg"
import { type Cause, Duration, Effect, Exit, Layer, Metric, Queue, Random, Scope } from "effect"
import type { SqlError } from "effect/sql"
import * as Metrics from "../../../application/ports/WakeUpMetrics.ts"
import { increment } from "../../../concurrency/Measure.ts"
import { WakeUp } from "../../../application/ports/WakeUp.ts"
import { DatabaseSchema } from "../client/DatabaseSchema.ts"

/** A listener that hears nothing for this long asks for a sign of life, which all other listeners hear as well. */
const silence = Duration.seconds(10)

/** How long the sign of life may take before the connection is taken for dead and replaced. */
const patience = Duration.seconds(5)

/** What is sent to hear whether anything is heard; it wakes nobody. */
const signOfLife = "sign of life"

/**
 * Announces by LISTEN/NOTIFY, between any number of processes. A notification carries nothing: however many orders
 * are announced while one is on its way, one more follows. It is sent after the commit, on a connection of its
 * own turn, because transactions that notify commit one after another. A listener that ends or falls silent is
 * replaced, and wakes its worker once, for what it may have missed. `listener` holds one connection for
 * as long as it listens; without one, announcements of others are not heard and the worker's poll serves alone.
 */
const make = Effect.fnUntraced(function* (listener: PgClient.PgClient | null) {
  const pg = yield* PgClient.PgClient
  const channel = `${yield* DatabaseSchema}_order_platform`
  yield* Metrics.registerAnnouncements("postgres")
  const toAnnounce = yield* Queue.sliding<number>(1)
  const wake = yield* Queue.sliding<void>(1)
  const startListening = yield* Queue.sliding<void>(1)

  const notify = (count: number) =>
    pg.notify(channel, "").pipe(
      Effect.timeout(patience),
      Effect.andThen(increment(Metrics.announced, { queue: "postgres" }, count)),
      Effect.catch((error: SqlError.SqlError | Cause.TimeoutError) =>
        Effect.andThen(
          Effect.logDebug(`An announcement failed: ${error.message}`),
          increment(Metrics.announceFailed, { queue: "postgres" }, count)
        )
      )
    )

  const hear = Effect.fnUntraced(function* (client: PgClient.PgClient) {
    const notifications = yield* client.listen(channel)
    yield* Metric.update(Metrics.listenUp, 1)
    yield* Queue.offer(wake, undefined)
    const heard = Effect.map(Queue.takeAll(notifications), (some) =>
      some.some(({ payload }) => payload !== signOfLife)
    )
    const anything = heard.pipe(
      Effect.timeoutOrElse({
        duration: silence,
        orElse: () =>
          Effect.andThen(pg.notify(channel, signOfLife), heard).pipe(
            Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail("silent" as const) })
          )
      })
    )
    return yield* Effect.forever(
      Effect.flatMap(anything, (announced) => (announced ? Queue.offer(wake, undefined) : Effect.void))
    )
  })

  // Closing says UNLISTEN to the connection, which one that fell silent never answers: so it is not waited for.
  const closingBehind = <A, E, R>(effect: Effect.Effect<A, E, R | Scope.Scope>) =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.ensuring(
        Scope.provide(effect, scope),
        Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
      )
    )

  const listen = (client: PgClient.PgClient) =>
    closingBehind(hear(client)).pipe(
      Effect.ensuring(Metric.update(Metrics.listenUp, 0)),
      Effect.catchCause((cause) => Effect.logDebug("The listener ended and is replaced", cause)),
      Effect.andThen(Effect.flatMap(Random.nextBetween(50, 500), (millis) => Effect.sleep(millis))),
      Effect.forever
    )

  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(toAnnounce), notify)))
  // Only a process that waits for announcements listens for them.
  if (listener !== null)
    yield* Effect.forkScoped(
      Queue.take(startListening).pipe(
        Effect.andThen(Metric.update(Metrics.listenUp, 0)),
        Effect.andThen(listen(listener))
      )
    )

  return WakeUp.of({
    announce: (count) => (count === 0 ? Effect.void : Effect.asVoid(Queue.offer(toAnnounce, count))),
    awaitAnnouncement: Effect.andThen(Queue.offer(startListening, undefined), Queue.take(wake))
  })
})

/** Listens on a connection of the same client. */
export const layer = Layer.effect(
  WakeUp,
  Effect.flatMap(PgClient.PgClient, (pg) => make(pg))
)

/** Listens by another client, for one that a pooler stands before: LISTEN needs a connection that stays. */
export const layerListeningBy = <E, R>(client: Layer.Layer<PgClient.PgClient, E, R>) =>
  Layer.effect(
    WakeUp,
    Effect.gen(function* () {
      const context = yield* Layer.build(Layer.fresh(client))
      return yield* make(yield* Effect.provideContext(PgClient.PgClient, context))
    })
  )

/** Announces and does not listen. */
export const layerWithoutListening = Layer.effect(WakeUp, make(null))
