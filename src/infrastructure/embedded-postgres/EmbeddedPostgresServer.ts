import { Deferred, Effect, Option, Schedule, Schema } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs/promises"
import type { Binaries } from "./EmbeddedPostgresBinaries.ts"
import { attempt } from "./EmbeddedPostgresIdentity.ts"
import { layout } from "./EmbeddedPostgresOwner.ts"

/** The postmaster ended by itself; `output` is what it said before its own log file was open. */
export class PostmasterExited extends Schema.TaggedError<PostmasterExited>()("PostmasterExited", {
  output: Schema.String
}) {}

/**
 * Becomes the postmaster, and leaves behind a guard that reads from a pipe which ends with our process, however that
 * ends. A line means "no longer needed"; the end of the pipe means a fast shutdown, then an immediate one. The guard is
 * a grandchild, so that the postmaster never sees it among its children; `$$` is the postmaster's pid, and the pid file
 * has to agree before anything is signalled.
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

/** Settings are given at every start, so that nothing depends on the release that made the data directory. */
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
    // A file per weekday, emptied when its day comes round again.
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

/**
 * Starts a postmaster on the data directory and is done when it takes connections. Closing the scope is a fast
 * shutdown, bounded to 10 s, then an immediate one. `exited` is done when it ends for whatever reason.
 */
export const startPostmaster = Effect.fnUntraced(function* (
  directory: string,
  binaries: Binaries,
  options: { readonly port: number; readonly durable: boolean; readonly maxConnections: number }
) {
  const { data, pidFile } = layout(directory)
  const ended = yield* Deferred.make<void>()
  const closed = yield* Deferred.make<void>()
  let output = ""
  // Its orphaned backends may hold the pipe of its last words long after it: not waited for longer than they need.
  const exited = Deferred.await(ended).pipe(
    Effect.andThen(Effect.timeoutOption(Deferred.await(closed), "250 millis")),
    Effect.map(() => output)
  )
  const command = [...binaries.identity.prefix, binaries.postgres, "-D", data, ...settings(options)]
  const postmaster = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const windows = process.platform === "win32"
      const [program = "", ...args] = windows ? command : ["/bin/sh", "-c", guard, "guard", data, ...command]
      // Detached: Ctrl-C reaches the whole process group of a terminal, and we still need the database to drain.
      const child = spawn(program, args, {
        ...binaries.identity.options,
        detached: !windows,
        stdio: ["ignore", "ignore", "pipe", "pipe"]
      })
      child.stderr?.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)))
      const line = child.stdio[3]
      line?.on("error", () => undefined) // the guard is gone: so is the need for it
      child.on("error", (error) => {
        output = error.message
        Deferred.doneUnsafe(ended, Effect.void)
      })
      child.on("exit", () => {
        if (line && "end" in line) line.end("exited\n")
        Deferred.doneUnsafe(ended, Effect.void)
      })
      child.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      return child
    }),
    (child) => {
      const within = (name: NodeJS.Signals, limit: `${number} seconds`) =>
        Effect.sync(() => child.kill(name)).pipe(
          Effect.andThen(Effect.timeoutOption(Deferred.await(ended), limit)),
          Effect.map(Option.isSome)
        )
      return Effect.gen(function* () {
        if (yield* Deferred.isDone(ended)) return child.stderr?.destroy()
        if (yield* within("SIGINT", "10 seconds")) return
        if (yield* within("SIGQUIT", "6 seconds")) return
        yield* within("SIGKILL", "1 seconds")
      })
    }
  )
  const isReady = attempt(() => fs.readFile(pidFile, "utf8")).pipe(
    Effect.map((text) => text.split("\n")),
    Effect.map((lines) => lines[0] === String(postmaster.pid) && lines[7]?.trim() === "ready"),
    Effect.orElseSucceed(() => false)
  )
  yield* Effect.raceFirst(
    Effect.repeat(isReady, { until: (ready) => ready, schedule: Schedule.spaced("20 millis") }),
    Effect.flatMap(exited, (output) => Effect.fail(new PostmasterExited({ output })))
  )
  return { exited }
})
