import { DateTime, Effect, Option, Result, Schema, SchemaIssue, SchemaTransformation } from "effect"

// RFC 3339, in which T and Z may be lower case, and three forms that only ISO 8601 allows: no seconds, a comma before
// the fraction, an offset in hours only.
const isoTime =
  /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:[.,](\d+))?)?(Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)$/i

const parse = (text: string): Option.Option<DateTime.Utc> => Option.map(DateTime.make(text), DateTime.toUtc)

const milliseconds = (fraction: string) => fraction.slice(0, 3).padEnd(3, "0")

// JavaScript reads only +01:00, so +01 and +0100 are rewritten.
const offsetOf = (zone: string) =>
  zone.toUpperCase() === "Z" ? "Z" : `${zone.slice(0, 3)}:${zone.slice(3).replace(":", "") || "00"}`

const expected =
  "Expected an ISO 8601 time with a zone, like 2026-11-22T12:00:03Z or 2026-11-22T13:00:03+01:00"

/** The time, or a sentence that says why the text is not one. */
const timeOf = (text: string): Result.Result<DateTime.Utc, string> => {
  const [matched, day = "", hour = "", minute = "", second = "00", fraction = "", zone = ""] =
    isoTime.exec(text) ?? []
  if (matched === undefined)
    return Result.fail(/ \d\d:?\d\d$/.test(text) ? `${expected}; in a query, write + as %2B` : expected)
  const isLeap = second === "60"
  const time = parse(
    `${day}T${hour}:${minute}:${isLeap ? "59" : second}.${isLeap ? "999" : milliseconds(fraction)}${offsetOf(zone)}`
  )
  // JavaScript reads 31 February as 3 March. Here it is an error.
  const midnight = Option.map(parse(`${day}T00:00:00Z`), DateTime.formatIso)
  if (Option.isNone(time) || Option.isNone(midnight) || !midnight.value.startsWith(day))
    return Result.fail(`There is no day ${day} in the calendar`)
  if (!isLeap) return isInRange(time.value) ? Result.succeed(time.value) : Result.fail(outOfRange)
  const next = DateTime.add(time.value, { milliseconds: 1 })
  return isInRange(next) && DateTime.formatIso(next).endsWith("-01T00:00:00.000Z")
    ? Result.succeed(next)
    : Result.fail("Second 60 is a leap second, which is possible only in the last minute of a month in UTC")
}

// Years before 0000 or after 9999 have more digits in ISO 8601, and not every store reads such years.
const isInRange = (time: DateTime.Utc) => /^\d{4}-/.test(DateTime.formatIso(time))
const outOfRange = "Expected a time in the years 0000 to 9999, in UTC"

/**
 * An ISO 8601 time with a zone, on a day that exists. Digits after the milliseconds are dropped. Second 60 (a
 * leap second) becomes second 0 of the next minute, as in PostgreSQL.
 */
export const IsoTime = Schema.String.annotate({ format: "date-time" }).pipe(
  Schema.decodeTo(
    Schema.DateTimeUtc,
    SchemaTransformation.transformEffect({
      decode: (text: string, options) =>
        Result.match(timeOf(text), {
          onSuccess: (time) => Effect.succeed(time),
          onFailure: (message) => Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
        }),
      encode: (time) => Effect.succeed(DateTime.formatIso(time))
    })
  )
)
