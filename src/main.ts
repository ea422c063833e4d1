import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Option, Predicate } from "effect"
import { Command, Flag } from "effect/cli"
import { Environment } from "./Environment.ts"
import { apiVersion } from "./contract/OrderApi.ts"
import { layerLogging } from "./infrastructure/telemetry/Logging.ts"
import { ignoreOutputErrors } from "./infrastructure/telemetry/StandardOutput.ts"
import { api } from "./processes/api.ts"
import { migrate } from "./processes/migrate.ts"
import { serve } from "./processes/serve.ts"
import { worker } from "./processes/worker.ts"

const config = Flag.String("config").pipe(
  Flag.withDescription("Settings file; by default application.yaml in the working directory, if it exists"),
  Flag.optional
)

const logging = Layer.unwrap(
  Effect.map(Environment, ({ log }) => {
    const isPretty = log.format === "pretty" || (log.format === "auto" && process.stdout.isTTY === true)
    return layerLogging({ format: isPretty ? "pretty" : "json", level: log.level })
  })
)

// A process that cannot start prints the reason as one sentence. Only a defect prints its stack trace.
const printReason = (cause: Cause.Cause<unknown>) => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const sentence =
    Predicate.hasProperty(error, "message") && Predicate.isString(error.message) ? error.message : null
  return Console.error(sentence ?? Cause.pretty(cause))
}

const withSettings = <A, E, R>(program: Effect.Effect<A, E, R>, file: Option.Option<string>) =>
  program.pipe(
    Effect.provide(logging.pipe(Layer.provideMerge(Environment.layerFile(file)))),
    Effect.tapCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : printReason(cause)))
  )

const orderPlatform = Command.make("order-platform").pipe(
  Command.withSharedFlags({ config }),
  Command.withHandler(({ config }) => withSettings(Layer.launch(serve), config)),
  Command.withDescription("Resilient order processing: PostgreSQL stores orders, workers process them")
)

const subcommand = <A, E, R>(name: string, program: Effect.Effect<A, E, R>, description: string) =>
  Command.make(name, {}, () =>
    Effect.flatMap(orderPlatform, ({ config }) => withSettings(program, config))
  ).pipe(Command.withDescription(description))

const subcommands = [
  subcommand("serve", Layer.launch(serve), "Accept and process orders in one process (the default)"),
  subcommand("api", Layer.launch(api), "Accept orders; separate worker processes process them"),
  subcommand(
    "worker",
    Layer.launch(worker),
    "Process orders; run as many api and worker processes as needed"
  ),
  subcommand("migrate", migrate, "Migrate the database to this version and exit")
] as const

ignoreOutputErrors()
// A terminal that is closed stops the process as SIGTERM does.
process.on("SIGHUP", () => process.emit("SIGTERM", "SIGTERM"))

orderPlatform.pipe(
  Command.withSubcommands(subcommands),
  Command.run({ version: apiVersion }),
  Effect.provide(NodeServices.layer),
  // No spans are exported, so none are created for requests and statements.
  Effect.withTracerEnabled(false),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    // A process that stopped on a signal has succeeded.
    teardown: (exit, done) => done(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })
)
