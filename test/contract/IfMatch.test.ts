import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { IfMatch } from "../../src/contract/IfMatch.ts"

const Header = Schema.Struct({ "if-match": IfMatch })
const Version = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 999_999_999 }))

describe("If-Match", () => {
  it.effect.prop(
    "is decoded as the versions it was encoded from, also when it names none",
    { versions: Schema.NullOr(Schema.Array(Version)) },
    ({ versions }) =>
      Effect.gen(function* () {
        const header = { "if-match": versions }
        const written = yield* Schema.encodeEffect(Header)(header)
        assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(Header)(written), header)
      })
  )
})
