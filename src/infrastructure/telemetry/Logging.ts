import { Console, Effect, Layer, Logger, type LogLevel, References } from "effect"
import { Console as NodeConsole } from "node:console"
import { Writable } from "node:stream"
import { jsonLine, jsonLog } from "./JsonLog.ts"
import { LogSink } from "./LogSink.ts"
import { makeWriteStdout } from "./StandardOutput.ts"

/** The longest time that a process waits at its exit for a slow reader to take the last lines. */
const flushLimit = "500 millis"

const lossMessage = (lost: number): string =>
  `${lost} log ${lost === 1 ? "line was" : "lines were"} lost: the log output failed.`

const jsonLoss = (lost: number): string =>
  jsonLine({
    time: new Date(),
    level: "Warn",
    message: lossMessage(lost),
    annotations: { lostLines: lost }
  })

/** A console whose output goes to the sink. */
const consoleOf = (sink: LogSink) => {
  const stdout = new Writable({
    write: (chunk: unknown, _encoding, done) => {
      sink.log(String(chunk).replace(/\n$/, ""))
      done()
    }
  })
  return new NodeConsole({ stdout, stderr: process.stderr })
}

/**
 * Logs to standard output through a `LogSink`, as flat JSON or as text for a terminal. When it closes, it waits up to
 * 500 ms for lines that are not written yet.
 */
export const layerLogging = (options: {
  readonly format: "json" | "pretty"
  readonly level: LogLevel.LogLevel
}) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const isJson = options.format === "json"
      const sink = new LogSink(makeWriteStdout(), isJson ? jsonLoss : lossMessage)
      yield* Effect.addFinalizer(() => flush(sink))
      return Layer.mergeAll(
        isJson
          ? Logger.layer([Logger.map(jsonLog, sink.log)])
          : Layer.merge(
              Logger.layer([Logger.consolePretty()]),
              Layer.succeed(Console.Console, consoleOf(sink))
            ),
        Layer.succeed(References.MinimumLogLevel, options.level)
      )
    })
  )

const flush = (sink: LogSink) =>
  Effect.suspend(() => (sink.isEmpty ? Effect.void : Effect.sleep("10 millis"))).pipe(
    Effect.repeat({ until: () => sink.isEmpty }),
    Effect.timeoutOption(flushLimit)
  )
