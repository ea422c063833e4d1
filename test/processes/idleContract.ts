import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { countingProxy } from "./CountingProxy.ts"
import { onSchemaOfItsOwn, start } from "./OrderPlatformProcess.ts"

/** Counts for so many seconds what an idle API and an idle worker ask; per minute it must be less than 120 statements. */
export const idleContract = (seconds: number) =>
  it.live("an API and a worker that have nothing to do ask the database less than 120 times a minute", () =>
    onSchemaOfItsOwn(
      Effect.gen(function* () {
        const database = yield* countingProxy
        const settings = { DATABASE_URL: database.url, ORDER_QUEUE: "postgres" }
        yield* Effect.all([start(settings, ["api"]), start(settings, ["worker"])], { concurrency: 2 })
        const before = database.statements()
        yield* Effect.sleep(seconds * 1000)
        const statements = database.statements() - before
        if (seconds >= 60) console.log(`${statements} statements in ${seconds} s`)
        assert.isAbove(statements, seconds / 6, "what was counted is what they do")
        assert.isBelow(statements, 2 * seconds)
      })
    )
  )
