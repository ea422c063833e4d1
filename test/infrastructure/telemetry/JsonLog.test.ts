import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { jsonLog } from "../../../src/infrastructure/telemetry/JsonLog.ts"

const linesOf = <A, E>(program: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    yield* program.pipe(Effect.provide(Logger.layer([Logger.map(jsonLog, (line) => void lines.push(line))])))
    return lines
  })

describe("the JSON log", () => {
  it.effect("has one flat object per line: time, level, message and annotations", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(
        Effect.andThen(
          Effect.logInfo("started"),
          Effect.logWarning("failed", { attempt: 2 }).pipe(
            Effect.annotateLogs({ caller: "ann", correlationId: "c-1", orderId: "o-1", time: "never" })
          )
        )
      )
      const time = "1970-01-01T00:00:00.000Z"
      assert.deepStrictEqual(lines, [
        JSON.stringify({ time, level: "INFO", message: "started" }),
        JSON.stringify({
          time,
          level: "WARN",
          message: 'failed {"attempt":2}',
          orderId: "o-1",
          correlationId: "c-1",
          caller: "ann"
        })
      ])
    })
  )

  it.effect("has the cause as `error`, on the same line", () =>
    Effect.gen(function* () {
      const [line = ""] = yield* linesOf(
        Effect.sandbox(Effect.die(new Error("out of\npaper"))).pipe(
          Effect.catch((cause) => Effect.logError("A request failed", cause))
        )
      )
      assert.notInclude(line, "\n")
      const { error, ...rest } = JSON.parse(line) as { readonly error: string }
      assert.match(error, /^Error: out of\npaper\n {4}at /)
      assert.deepStrictEqual(rest, {
        time: "1970-01-01T00:00:00.000Z",
        level: "ERROR",
        message: "A request failed"
      })
    })
  )
})
