import { Deferred, Effect, Option, Schedule, Schema } from "effect"
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import * as fs from "node:fs/promises"
import type { Binaries } from "./EmbeddedPostgresBinaries.ts"
import { attempt } from "./EmbeddedPostgresIdentity.ts"
import { layout } from "./EmbeddedPostgresOwner.ts"

/** The postmaster exited; `output` is what it wrote before it opened its log file. */
export class PostmasterExited extends Schema.TaggedError<PostmasterExited>()("PostmasterExited", {
  output: Schema.String
}) {}

/**
 * A shell script that starts a guard and then becomes the postmaster. The guard reads from a pipe that closes
 * when the process of Node ends for any reason. A line from the pipe ends the guard; the end of the pipe makes the
 * guard request a fast shutdown of the postmaster, then an immediate one. The guard is a grandchild, so that
 * the postmaster does not see it among its children. `$$` is the pid of the postmaster, and the guard signals
 * it only if the pid file has the same pid.
 */
const guard = `
data=$1; shift
( ( trap '' HUP INT TERM
    read -r line <&3 && exit 0
    exec 3<&-
    running() { kill -0 $$ && read -r pid < "$data/postmaster.pid" && [ "$pid" = $$ ]; }
    n=0; until running || [ $n -ge 20 ]; do sleep 0.1; n=$((n+1)); done
    running && kill -INT $$
    n=0; while running && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
    running && kill -QUIT $$
  ) </dev/null >/dev/null 2>&1 & )
exec "$@" 3<&-`

/**
 * The settings of PostgreSQL, given at every start, so that none depends on the version that created the data
 * directory.
 */
const settings = (options: {
  readonly port: number
  readonly durable: boolean
  readonly maxConnections: number
}) =>
  Object.entries({
    listen_addresses: "127.0.0.1",
    port: options.port,
    unix_socket_directories: "",
    max_connections: options.maxConnections,
    shared_buffers: "128MB",
    timezone: "UTC",
    log_timezone: "UTC",
    // A file per weekday, overwritten a week later.
    logging_collector: "on",
    log_directory: "log",
    log_filename: "postgresql-%a.log",
    log_rotation_age: "1d",
    log_rotation_size: "0",
    log_truncate_on_rotation: "on",
    log_min_messages: "warning",
    log_min_error_statement: "panic",
    log_checkpoints: "off",
    ...(options.durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" })
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`])

type Command = readonly [program: string, ...args: ReadonlyArray<string>]

/** A child process, its last output, and its end. */
interface Postmaster {
  readonly child: ChildProcess
  /** Completes when the process has ended. */
  readonly ended: Deferred.Deferred<void>
  /** Completes when all of its output has been read as well. */
  readonly closed: Deferred.Deferred<void>
  readonly output: () => string
}

const spawnPostmaster = (data: string, command: Command, options: SpawnOptions): Postmaster => {
  const ended = Deferred.makeUnsafe<void>()
  const closed = Deferred.makeUnsafe<void>()
  let output = ""
  const isWindows = process.platform === "win32"
  const [program, ...args]: Command = isWindows
    ? command
    : ["/bin/sh", "-c", guard, "guard", data, ...command]
  const child = spawn(program, args, {
    ...options,
    // Detached, so that Ctrl-C does not reach PostgreSQL: the program still needs the database while it stops.
    detached: !isWindows,
    stdio: ["ignore", "ignore", "pipe", "pipe"]
  })
  child.stderr?.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)))
  const line = child.stdio[3]
  line?.on("error", () => undefined) // The guard has already ended.
  child.on("error", (error) => {
    output = error.message
    Deferred.doneUnsafe(ended, Effect.void)
  })
  child.on("exit", () => {
    if (line && "end" in line) line.end("exited\n")
    Deferred.doneUnsafe(ended, Effect.void)
  })
  child.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
  return { child, ended, closed, output: () => output }
}

/** A fast shutdown for up to 10 s, then an immediate one for up to 6 s, then SIGKILL. */
const stopPostmaster = Effect.fnUntraced(function* ({ child, ended }: Postmaster) {
  const endsAfter = (name: NodeJS.Signals, limit: `${number} seconds`) =>
    Effect.sync(() => child.kill(name)).pipe(
      Effect.andThen(Effect.timeoutOption(Deferred.await(ended), limit)),
      Effect.map(Option.isSome)
    )
  if (yield* Deferred.isDone(ended)) return child.stderr?.destroy()
  if (yield* endsAfter("SIGINT", "10 seconds")) return
  if (yield* endsAfter("SIGQUIT", "6 seconds")) return
  yield* endsAfter("SIGKILL", "1 seconds")
})

/**
 * Starts a postmaster on the data directory and completes when it accepts connections. Closing the scope
 * stops it. `exited` completes with the last output of the postmaster when the postmaster ends for any
 * reason.
 */
export const startPostmaster = Effect.fnUntraced(function* (
  directory: string,
  { identity, postgres }: Binaries,
  options: { readonly port: number; readonly durable: boolean; readonly maxConnections: number }
) {
  const { data, pidFile } = layout(directory)
  const [program = postgres, ...args] = [...identity.prefix, postgres, "-D", data, ...settings(options)]
  const { child, closed, ended, output } = yield* Effect.acquireRelease(
    Effect.sync(() => spawnPostmaster(data, [program, ...args], identity.options)),
    stopPostmaster
  )
  // Orphaned backends may keep the output pipe open long after the postmaster has ended, so the wait is short.
  const exited = Deferred.await(ended).pipe(
    Effect.andThen(Effect.timeoutOption(Deferred.await(closed), "250 millis")),
    Effect.map(output)
  )
  const isReady = attempt(() => fs.readFile(pidFile, "utf8")).pipe(
    Effect.map((text) => text.split("\n")),
    Effect.map((lines) => lines[0] === String(child.pid) && lines[7]?.trim() === "ready"),
    Effect.orElseSucceed(() => false)
  )
  yield* Effect.raceFirst(
    Effect.repeat(isReady, { until: (ready) => ready, schedule: Schedule.spaced("20 millis") }),
    Effect.flatMap(exited, (lastOutput) => Effect.fail(new PostmasterExited({ output: lastOutput })))
  )
  return { exited }
})
