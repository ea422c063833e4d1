import { Context, Duration, Effect, Latch } from "effect"
import { answerUnknownOutcome } from "./NodeAnswers.ts"
import type { OpenConnections } from "./OpenConnections.ts"

/** The times of a stop. */
export interface DrainTimes {
  /** How long the listener stays, so that load balancers can see that the process is not ready. */
  readonly drainDelay: Duration.Duration
  /** How long a connection without a request stays after that: its client may be sending one. */
  readonly idleGrace: Duration.Duration
  /** How long running requests may take after the listener has closed. */
  readonly gracefulShutdownTimeout: Duration.Duration
}

/** How often connections that became idle are looked for. */
const idleInterval = Duration.millis(50)

/** How long the last answers may take to be sent. */
const flushTimeout = Duration.millis(500)

/**
 * Stops an HTTP server so that each request that was read is answered. Every answer carries `Connection: close` from the
 * first moment on; after the delay the listener closes and streams end; idle connections are closed after the grace;
 * running requests have until the timeout, and those still without an answer then get a 503 problem that says that their
 * outcome is not known.
 */
export class DrainServer extends Context.Service<
  DrainServer,
  (endStreams: Effect.Effect<unknown>) => Effect.Effect<void>
>()("order-platform/infrastructure/http/server/DrainServer") {}

/** The drain of the server with these connections. */
export const makeDrain = (
  connections: OpenConnections,
  { drainDelay, gracefulShutdownTimeout, idleGrace }: DrainTimes
): DrainServer["Service"] =>
  Effect.fnUntraced(function* (endStreams) {
    const closed = Latch.makeUnsafe()
    // A timer has run out once what had arrived before it was read, so a connection that is idle here has sent nothing.
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
