// Processes orders. Start any number of these. `DATABASE_URL=postgres://… node examples/two-processes/worker.ts`
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { OrderProcessor, OrderWorker, Postgres, RetryableFailure } from "order-platform"
import { coffee, database } from "./Coffee.ts"

/** The machine fails the first attempt and brews in the second. */
const machine = OrderProcessor.layer(coffee, ({ attempt, payload }) =>
  attempt === 1
    ? Effect.fail(new RetryableFailure({ reason: "still grinding" }))
    : Effect.logInfo(`brewed ${payload.cups} ${payload.drink}`)
)

const worker = OrderWorker.layer(coffee).pipe(
  Layer.provide(machine),
  Layer.provide(Postgres.layer),
  Layer.provide(database)
)

NodeRuntime.runMain(Layer.launch(worker))
