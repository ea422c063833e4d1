import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Duration, Effect, Exit, Layer, Option } from "effect"
import { HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import { OrderWorker } from "../src/application/work/OrderWorker.ts"
import {
  OrderProcessor,
  PermanentFailure,
  RetryableFailure,
  Snooze,
  Writes
} from "../src/application/ports/OrderProcessor.ts"
import { client, queue } from "../src/processes/Composition.ts"
import { layerLogging } from "../src/infrastructure/telemetry/Logging.ts"
import { references } from "../src/processes/References.ts"
import { anyJsonObject } from "../src/domain/OrderPayload.ts"
import { Environment } from "../src/Environment.ts"
import { Readiness } from "../src/infrastructure/http/routes/Readiness.ts"
import { HealthRoutes } from "../src/infrastructure/http/routes/HealthRoutes.ts"
import { BoundAddress, OrderHttpServer } from "../src/infrastructure/http/server/HttpServer.ts"
import * as Postgres from "../src/infrastructure/postgres/Postgres.ts"
import { randomOf } from "./Random.ts"

// A worker process as an embedding app would write it: the platform's layers with the app's own processor. This
// processor does what the payload asks for, so that a test can cause every outcome:
//   kill: true      the attempt ends the process without an outcome
//   workMs: n       duration of the attempt; by default order.worker.processingDelayMs ± half
//   writes: true    a successful attempt writes one row to chaos_ledger in the transaction of its outcome
//   writeMs: n      duration of those writes in the database
//   outcome: "permanent" | "snooze" | "defect" | "hang"   in half of the attempts

/** The exit code of a process killed by an order. */
const killedByOrder = 86

const random = randomOf(process.env["CHAOS_SEED"] ?? "0", `worker ${process.pid}`)
let serial = 0

const processor = ({ order: { worker } }: Environment["Service"]) =>
  OrderProcessor.layer(
    anyJsonObject,
    Effect.fnUntraced(function* ({ attempt, orderId, payload }) {
      const sql = yield* SqlClient.SqlClient
      const schema = yield* Postgres.DatabaseSchema
      if (payload["kill"] === true) process.exit(killedByOrder)
      const workMs =
        typeof payload["workMs"] === "number"
          ? payload["workMs"]
          : worker.processingDelayMs * (0.5 + random.next())
      if (workMs > 0) yield* Effect.sleep(Duration.millis(workMs))
      if (random.next() < worker.failureProbability) {
        return yield* new RetryableFailure({ reason: "chaos", reasonCode: "SIMULATED" })
      }
      // In half of the attempts, so that the order still becomes final.
      if (typeof payload["outcome"] === "string" && random.next() < 0.5) {
        switch (payload["outcome"]) {
          case "permanent":
            return yield* new PermanentFailure({ reason: "chaos, permanent" })
          case "snooze":
            return yield* new Snooze({ delay: Duration.millis(200), reason: "chaos, later" })
          case "defect":
            return yield* Effect.die(new Error("chaos, thrown"))
          case "hang":
            return yield* Effect.never
        }
      }
      if (payload["writes"] !== true) return
      const token = `${process.pid}-${++serial}`
      const writeMs = typeof payload["writeMs"] === "number" ? payload["writeMs"] : 0
      return new Writes({
        writes: sql`
          INSERT INTO ${sql(`${schema}.chaos_ledger`)} (order_id, attempt, token)
          SELECT ${orderId}::uuid, ${attempt}::int, ${token}::text FROM pg_sleep(${writeMs / 1000}::float8)`
      })
    })
  )

const worker = Layer.unwrap(
  Effect.gen(function* () {
    const settings = yield* Environment
    const gracefulShutdownTimeout = Duration.seconds(2)
    // Built last and so closed first, as in the platform's own processes. It logs their start line, for the same tests.
    const announce = Layer.effectDiscard(
      Effect.gen(function* () {
        const address = HttpServer.formatAddress(yield* BoundAddress)
        yield* Effect.logInfo(`order-platform serves on ${address}; runs: chaos worker`)
        const limit = settings.order.worker.drainTimeoutMs + 4500
        const end = Effect.sync(() => process.exit(0))
        yield* Effect.addFinalizer(() =>
          Effect.andThen(Readiness.drain, Effect.forkDetach(Effect.delay(end, limit)))
        )
      })
    )
    return announce.pipe(
      Layer.provide(OrderWorker.layer(anyJsonObject).pipe(Layer.provide(processor(settings)))),
      Layer.provide(
        OrderHttpServer.layer(HealthRoutes.layer, { ...settings.server, gracefulShutdownTimeout })
      ),
      Layer.provide([Postgres.layerStores, queue(settings)]),
      Layer.provide(client(settings)),
      Layer.provide(references(settings))
    )
  })
)

Layer.launch(worker).pipe(
  Effect.provide(
    Layer.mergeAll(layerLogging({ format: "json", level: "Info" }), Environment.layerFile(Option.none()))
  ),
  Effect.tapCause((cause) =>
    Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.sync(() => console.error(Cause.pretty(cause)))
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, done) => done(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
