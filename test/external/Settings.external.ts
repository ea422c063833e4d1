import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chanceOf } from "../fuzz/Chance.ts"
import {
  type DatabaseCase,
  harmless,
  longCases,
  outcomeOf
} from "../infrastructure/postgres/DatabaseSettings.ts"
import { ownServer } from "./OwnServer.ts"

/** The cases whose result was not the expected one. */
const surprise = Effect.fnUntraced(function* (url: string, given: DatabaseCase) {
  const outcome = yield* Effect.scoped(outcomeOf(url, given))
  const isExpected =
    given.expected === "works" ? outcome === "works" : given.expected.test(outcome) && !outcome.includes("\n")
  return isExpected ? [] : [`${given.name}: ${outcome}`]
})

const surprises = (url: string, cases: ReadonlyArray<DatabaseCase>) =>
  Effect.map(
    Effect.forEach(cases, (given) => surprise(url, given), { concurrency: 4 }),
    (found) => found.flat()
  )

/** Random settings of a role from a seed, each with one of its values. */
const drawn = (seed: number): DatabaseCase => {
  const chance = chanceOf(seed)
  const settings = Object.fromEntries(
    Object.entries(harmless)
      .filter(() => chance.percent(25))
      .map(([name, values]) => [name, values[chance.below(values.length)] ?? ""])
  )
  return { name: `seed ${seed}: ${JSON.stringify(settings)}`, settings, expected: "works" }
}

describe("settings of a server", { timeout: 600_000 }, () => {
  it.live("each alone allows a full circle of an order, or is refused in one sentence", () =>
    Effect.gen(function* () {
      const { url } = yield* ownServer()
      assert.deepStrictEqual(yield* surprises(url, longCases), [])
    }).pipe(Effect.scoped)
  )

  it.live("of a role in 60 random combinations allow a full circle of an order", () =>
    Effect.gen(function* () {
      const { url } = yield* ownServer()
      assert.deepStrictEqual(
        yield* surprises(
          url,
          Array.from({ length: 60 }, (_, seed) => drawn(seed + 1))
        ),
        []
      )
    }).pipe(Effect.scoped)
  )
})
