import { Context, Duration, Effect, Latch } from "effect"
import { answerUnknownOutcome } from "./NodeAnswers.ts"
import type { OpenConnections } from "./OpenConnections.ts"

/** The time limits of a stop. */
interface DrainTimes {
  /** How long the listener stays open, so that load balancers can see that the process is not ready. */
  readonly drainDelay: Duration.Duration
  /**
   * How long an idle connection stays open after the listener has closed, because its client may be sending a
   * request.
   */
  readonly idleGrace: Duration.Duration
  /** How long running requests may take after the listener has closed. */
  readonly gracefulShutdownTimeout: Duration.Duration
}

/** The interval at which idle connections are closed. */
const idleInterval = Duration.millis(50)

/** The time limit for sending the last responses. */
const flushTimeout = Duration.millis(500)

/**
 * Stops an HTTP server so that each request that was read is answered. From the start of the drain every response
 * carries `Connection: close`. After `drainDelay` the listener closes and streams end. After `idleGrace` idle
 * connections are closed. Requests that run longer than `gracefulShutdownTimeout` get a 503 problem whose detail
 * says that the outcome is unknown, or that there was no effect if the request had not arrived completely.
 */
export class DrainServer extends Context.Service<
  DrainServer,
  (endStreams: Effect.Effect<unknown>) => Effect.Effect<void>
>()("order-platform/infrastructure/http/server/DrainServer") {}

/** The `DrainServer` of the server with these connections. */
export const makeDrain = (
  connections: OpenConnections,
  { drainDelay, gracefulShutdownTimeout, idleGrace }: DrainTimes
): DrainServer["Service"] =>
  Effect.fnUntraced(function* (endStreams) {
    const closed = Latch.makeUnsafe()
    // Before Node runs a timer, it reads what has arrived on the connections. So when the timer runs, no
    // unread request waits on a connection that is idle.
    const waitFor = (limit: Duration.Duration) => Effect.timeoutOption(closed.await, limit)
    connections.closeAfterAnswer()
    yield* Effect.sleep(drainDelay)
    connections.stopListening(() => closed.openUnsafe())
    yield* endStreams
    yield* waitFor(idleGrace)
    yield* Effect.sync(() => connections.closeIdle()).pipe(
      Effect.andThen(Effect.sleep(idleInterval)),
      Effect.forever,
      Effect.raceFirst(waitFor(Duration.subtract(gracefulShutdownTimeout, idleGrace)))
    )
    connections.answerRunning(answerUnknownOutcome)
    yield* waitFor(flushTimeout)
    connections.closeAll()
  })
