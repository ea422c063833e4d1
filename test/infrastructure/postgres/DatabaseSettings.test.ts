import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { databaseUrl } from "../../TestPostgres.ts"
import { outcomeOf, shortCases } from "./DatabaseSettings.ts"

describe("a database or a role with", () => {
  for (const given of shortCases) {
    const what =
      given.expected === "works" ? "takes an order through every way" : "is refused in one sentence"
    it.live(`${given.name} ${what}`, () =>
      Effect.gen(function* () {
        const outcome = yield* outcomeOf(databaseUrl(), given)
        if (given.expected === "works") return assert.strictEqual(outcome, "works")
        assert.match(outcome, given.expected)
        assert.notInclude(outcome, "\n")
      }).pipe(Effect.scoped)
    )
  }
})
