import { Context, Deferred, Effect, Layer, Redacted, Schedule } from "effect"
import { createServer } from "node:net"
import * as path from "node:path"
import { type Binaries, findBinaries } from "./EmbeddedPostgresBinaries.ts"
import { openDirectory, prepareDirectory } from "./EmbeddedPostgresDirectory.ts"
import { EmbeddedPostgresError } from "./EmbeddedPostgresIdentity.ts"
import { clearRemains, layout, ownDirectory, postmasterPid } from "./EmbeddedPostgresOwner.ts"
import { type PostmasterExited, startPostmaster } from "./EmbeddedPostgresServer.ts"

export { EmbeddedPostgresError } from "./EmbeddedPostgresIdentity.ts"

interface Options {
  readonly dataDirectory: string
  /** Default true. False is for tests: it is faster, but a crash of the machine may destroy all data. */
  readonly durable?: boolean
  /** Default 100. */
  readonly maxConnections?: number
}

const freePort = Effect.callback<number, EmbeddedPostgresError>((resume) => {
  const server = createServer()
  server.on("error", (cause) =>
    resume(
      Effect.fail(
        new EmbeddedPostgresError({ message: `No free port on 127.0.0.1 for PostgreSQL: ${cause.message}.` })
      )
    )
  )
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address ? address.port : 0)))
  })
})

const isBusy = (output: string) => /lock file|shared memory block|is being used/.test(output)
const isPortTaken = (output: string) => /could not bind|could not create any TCP\/IP/.test(output)

/**
 * A PostgreSQL server that runs as a child of this process, with its data in a directory. It listens only on 127.0.0.1,
 * on a free port, with a generated password. `url` stays valid until the scope closes, because a postmaster that dies
 * is restarted on the same port. The server stops when the scope closes, and when this process ends for any reason.
 */
export class EmbeddedPostgres extends Context.Service<
  EmbeddedPostgres,
  { readonly url: Redacted.Redacted<string>; readonly dataDirectory: string }
>()("order-platform/infrastructure/embedded-postgres/EmbeddedPostgres") {
  static readonly layer = (options: Options): Layer.Layer<EmbeddedPostgres, EmbeddedPostgresError> =>
    Layer.effect(EmbeddedPostgres, start(options))
}

type RunOptions = Required<Pick<Options, "durable" | "maxConnections">>

/** Locks the directory for this process, finds the programs, and creates the database at the first start. */
const openDatabase = (directory: string, durable: boolean) =>
  Effect.gen(function* () {
    const owner = yield* openDirectory(directory)
    yield* ownDirectory(directory)
    const binaries = yield* findBinaries(directory, owner)
    return { binaries, secret: yield* prepareDirectory(directory, binaries, durable) }
  }).pipe(
    Effect.mapError((error) =>
      error instanceof EmbeddedPostgresError
        ? error
        : new EmbeddedPostgresError({
            message: `The data directory ${directory} cannot be used (${error.message}): set another database.dataDirectory, or DATABASE_URL.`,
            cause: error
          })
    )
  )

/** The reason why the first postmaster did not start, as a sentence for the operator. */
const refusalOf = Effect.fnUntraced(function* (
  directory: string,
  error: EmbeddedPostgresError | PostmasterExited
) {
  if (error._tag === "EmbeddedPostgresError") return error
  const pid = isBusy(error.output) ? yield* Effect.promise(() => postmasterPid(directory)) : 0
  return new EmbeddedPostgresError({
    message:
      pid > 0
        ? `The data directory ${directory} is in use by process ${pid}: stop that process, or set another database.dataDirectory, or DATABASE_URL.`
        : `PostgreSQL did not start in ${directory} (${error.output.trim().split("\n").at(-1)}): see ${path.join(layout(directory).data, "log")}, or set DATABASE_URL.`
  })
})

/**
 * Keeps a postmaster running until the scope closes. Completes with its port when the first postmaster accepts
 * connections.
 */
const superviseDatabase = Effect.fnUntraced(function* (
  directory: string,
  binaries: Binaries,
  options: RunOptions
) {
  const ready = yield* Deferred.make<number, EmbeddedPostgresError>()

  const runOnce = (port: number) =>
    Effect.scoped(
      startPostmaster(directory, binaries, { port, ...options }).pipe(
        Effect.tap(Deferred.succeed(ready, port)),
        Effect.flatMap(({ exited }) => exited)
      )
    )
  const clear = clearRemains(directory)
  const runFirst = Effect.andThen(clear, freePort).pipe(
    Effect.flatMap(runOnce),
    Effect.retry({
      while: (error) =>
        error._tag === "PostmasterExited" && (isBusy(error.output) || isPortTaken(error.output)),
      schedule: Schedule.spaced("200 millis").pipe(Schedule.upTo({ duration: "10 seconds" }))
    })
  )
  const restart = Effect.gen(function* () {
    const port = yield* Deferred.await(ready)
    yield* Effect.logError(`The embedded PostgreSQL in ${directory} ended unexpectedly; restarting it.`)
    yield* Effect.andThen(clear, runOnce(port)).pipe(
      Effect.tapError((error) =>
        Effect.logError(`The embedded PostgreSQL did not start: ${error.output.trim()}`)
      ),
      Effect.retry(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))
    )
  })
  yield* runFirst.pipe(
    Effect.catch((error) =>
      Effect.flatMap(refusalOf(directory, error), (refusal) => Deferred.fail(ready, refusal))
    ),
    Effect.andThen(Effect.forever(restart)),
    Effect.ignore,
    Effect.forkScoped
  )
  return yield* Deferred.await(ready)
})

const start = Effect.fn("EmbeddedPostgres.start")(function* ({
  dataDirectory,
  durable = true,
  maxConnections = 100
}: Options) {
  const directory = path.resolve(dataDirectory)
  const { binaries, secret } = yield* openDatabase(directory, durable)
  const port = yield* superviseDatabase(directory, binaries, { durable, maxConnections })
  return EmbeddedPostgres.of({
    url: Redacted.make(`postgresql://postgres:${secret}@127.0.0.1:${port}/postgres`),
    dataDirectory: directory
  })
})
