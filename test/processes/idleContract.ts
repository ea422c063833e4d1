import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { countingProxy } from "./CountingProxy.ts"
import { withOwnSchema, start } from "./OrderPlatformProcess.ts"

/** Counts the statements of an idle API and an idle worker for some seconds: fewer than 120 a minute. */
export const idleContract = (seconds: number) =>
  it.live("an idle API and worker send fewer than 120 statements a minute", () =>
    withOwnSchema(
      Effect.gen(function* () {
        const database = yield* countingProxy
        const settings = { DATABASE_URL: database.url, ORDER_QUEUE: "postgres" }
        yield* Effect.all(
          [start(settings, { arguments: ["api"] }), start(settings, { arguments: ["worker"] })],
          { concurrency: 2 }
        )
        const before = database.statements()
        yield* Effect.sleep(seconds * 1000)
        const statements = database.statements() - before
        if (seconds >= 60) console.log(`${statements} statements in ${seconds} s`)
        assert.isAbove(statements, seconds / 6, "their polls are counted")
        assert.isBelow(statements, 2 * seconds)
      })
    )
  )
