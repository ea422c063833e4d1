import { PgClient } from "@effect/sql-pg"
import { type Cause, Duration, Effect, Exit, Layer, Metric, Queue, Random, Scope } from "effect"
import type { SqlError } from "effect/sql"
import * as Metrics from "../../../application/ports/WakeUpMetrics.ts"
import { increment } from "../../../concurrency/Measure.ts"
import { makeSignal } from "../../../concurrency/Signal.ts"
import { WakeUp } from "../../../application/ports/WakeUp.ts"
import { DatabaseSchema } from "../client/DatabaseSchema.ts"

/** After this time without a notification the listener sends a probe, which all listeners receive. */
const probeAfter = Duration.seconds(10)

/** The time limit of a probe and of an announcement. After this time the connection is treated as dead. */
const notifyTimeout = Duration.seconds(5)

/** The payload of a probe; it wakes no worker. */
const probe = "probe"

/**
 * Announces orders by LISTEN/NOTIFY, between any number of processes. A notification has no content, so
 * announcements that arrive while a notification is being sent are merged into one further notification.
 * Notifications are sent after the commit, outside of the transaction, because PostgreSQL commits transactions
 * that contain NOTIFY one after another. A listener that ends, or that does not even receive its own probe, is replaced.
 * The new listener wakes its worker once, because the old one may have missed announcements. `listener` is
 * the client that listens, with one of its connections; if it is null, the worker relies on polling.
 */
const make = Effect.fnUntraced(function* (listener: PgClient.PgClient | null) {
  const pg = yield* PgClient.PgClient
  const channel = `${yield* DatabaseSchema}_order_platform`
  yield* Metrics.registerAnnouncements("postgres")
  const toAnnounce = yield* Queue.sliding<number>(1)
  const wake = makeSignal()
  const startListening = yield* Queue.sliding<void>(1)

  const notify = (count: number) =>
    pg.notify(channel, "").pipe(
      Effect.timeout(notifyTimeout),
      Effect.andThen(increment(Metrics.announced, { queue: "postgres" }, count)),
      Effect.catch((error: SqlError.SqlError | Cause.TimeoutError) =>
        Effect.andThen(
          Effect.logDebug(`An announcement failed: ${error.message}`),
          increment(Metrics.announceFailed, { queue: "postgres" }, count)
        )
      )
    )

  const receive = Effect.fnUntraced(function* (client: PgClient.PgClient) {
    const notifications = yield* client.listen(channel)
    yield* Metric.update(Metrics.listenUp, 1)
    wake.send()
    const received = Effect.map(Queue.takeAll(notifications), (all) =>
      all.some(({ payload }) => payload !== probe)
    )
    const next = received.pipe(
      Effect.timeoutOrElse({
        duration: probeAfter,
        orElse: () =>
          Effect.andThen(pg.notify(channel, probe), received).pipe(
            Effect.timeoutOrElse({ duration: notifyTimeout, orElse: () => Effect.fail("silent" as const) })
          )
      })
    )
    return yield* Effect.forever(
      Effect.flatMap(next, (announced) => (announced ? Effect.sync(wake.send) : Effect.void))
    )
  })

  // Closing sends UNLISTEN, to which a dead connection never responds, so closing runs in the background.
  const closingInBackground = <A, E, R>(effect: Effect.Effect<A, E, R | Scope.Scope>) =>
    Effect.flatMap(Scope.make(), (scope) =>
      Effect.ensuring(
        Scope.provide(effect, scope),
        Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
      )
    )

  const listen = (client: PgClient.PgClient) =>
    closingInBackground(receive(client)).pipe(
      Effect.ensuring(Metric.update(Metrics.listenUp, 0)),
      Effect.catchCause((cause) => Effect.logDebug("The listener ended; starting another", cause)),
      Effect.andThen(Effect.flatMap(Random.nextBetween(50, 500), (millis) => Effect.sleep(millis))),
      Effect.forever
    )

  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(toAnnounce), notify)))
  // Listening starts when a worker first waits for an announcement.
  if (listener !== null)
    yield* Effect.forkScoped(
      Queue.take(startListening).pipe(
        Effect.andThen(Metric.update(Metrics.listenUp, 0)),
        Effect.andThen(listen(listener))
      )
    )

  return WakeUp.of({
    announce: (count) => (count === 0 ? Effect.void : Effect.asVoid(Queue.offer(toAnnounce, count))),
    awaitAnnouncement: Effect.andThen(Queue.offer(startListening, undefined), wake.await)
  })
})

/** Listens on a connection of the same client. */
export const layer = Layer.effect(
  WakeUp,
  Effect.flatMap(PgClient.PgClient, (pg) => make(pg))
)

/** Listens on a client of its own. Needed if the main client connects through a pooler, because LISTEN needs a session. */
export const layerListeningBy = <E, R>(client: Layer.Layer<PgClient.PgClient, E, R>) =>
  Layer.effect(
    WakeUp,
    Effect.gen(function* () {
      const context = yield* Layer.build(Layer.fresh(client))
      return yield* make(yield* Effect.provideContext(PgClient.PgClient, context))
    })
  )

/** Announces, but does not listen. */
export const layerWithoutListening = Layer.effect(WakeUp, make(null))
