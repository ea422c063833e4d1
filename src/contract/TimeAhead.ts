import { DateTime, Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { IsoTime } from "./IsoTime.ts"

const maxYearsAhead = 10

/** An ISO 8601 time with a zone. `issueOf` returns what is wrong with a time, or null. */
const checkedTime = (issueOf: (time: DateTime.Utc, now: DateTime.Utc) => string | null) =>
  IsoTime.pipe(
    Schema.decodeTo(
      Schema.DateTimeUtc,
      SchemaTransformation.transformEffect({
        decode: Effect.fnUntraced(function* (time: DateTime.Utc, options) {
          const message = issueOf(time, yield* DateTime.now)
          return message === null
            ? time
            : yield* Effect.fail(new SchemaIssue.InvalidValue({ message }, time, options))
        }),
        encode: (time) => Effect.succeed(time)
      })
    )
  )

const tooFar = (time: DateTime.Utc, now: DateTime.Utc) =>
  DateTime.isGreaterThan(time, DateTime.add(now, { years: maxYearsAhead }))
    ? `Expected a time at most ${maxYearsAhead} years ahead`
    : null

/** A time at most ten years ahead. A time in the past is allowed and means now. */
export const NotBefore = checkedTime(tooFar)

/** A time in the future, at most ten years ahead. */
export const FutureTime = checkedTime((time, now) =>
  DateTime.isGreaterThan(time, now) ? tooFar(time, now) : "Expected a time in the future"
)
