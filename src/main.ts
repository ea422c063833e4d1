import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Logger, Option, Predicate, References } from "effect"
import { Command, Flag } from "effect/cli"
import packageJson from "../package.json" with { type: "json" }
import { Environment } from "./Environment.ts"
import { serve } from "./Serve.ts"

const config = Flag.String("config").pipe(
  Flag.withDescription(
    "The settings file; without it application.yaml in the working directory, if there is one"
  ),
  Flag.optional
)

const logging = Layer.unwrap(
  Effect.map(Environment, ({ log }) => {
    const pretty = log.format === "pretty" || (log.format === "auto" && process.stdout.isTTY === true)
    return Layer.mergeAll(
      Logger.layer([pretty ? Logger.consolePretty() : Logger.consoleJson]),
      Layer.succeed(References.MinimumLogLevel, log.level)
    )
  })
)

// A process that cannot start says why in one sentence; only a bug shows where it happened.
const explain = (cause: Cause.Cause<unknown>) => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const sentence =
    Predicate.hasProperty(error, "message") && Predicate.isString(error.message) ? error.message : null
  return Console.error(sentence ?? Cause.pretty(cause))
}

const launch = <E>(layer: Layer.Layer<never, E, Environment>, file: Option.Option<string>) =>
  Layer.launch(layer.pipe(Layer.provide(logging), Layer.provide(Environment.layerFile(file)))).pipe(
    Effect.tapCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : explain(cause)))
  )

const orderPlatform = Command.make("order-platform").pipe(
  Command.withSharedFlags({ config }),
  Command.withHandler(({ config }) => launch(serve, config)),
  Command.withDescription("Resilient order processing: PostgreSQL keeps the orders, a worker processes them")
)

const serveCommand = Command.make("serve", {}, () =>
  Effect.flatMap(orderPlatform, ({ config }) => launch(serve, config))
).pipe(Command.withDescription("Serve the API and process orders, in one process; the default"))

orderPlatform.pipe(
  Command.withSubcommands([serveCommand]),
  Command.run({ version: packageJson.version }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    // A process that was told to stop, and did, has succeeded.
    teardown: (exit, done) => done(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
