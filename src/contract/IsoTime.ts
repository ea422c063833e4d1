import { DateTime, Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"

const isoTime =
  /^(\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

// JavaScript reads 31 February as 3 March; a client that writes it made a mistake.
const isDayOfCalendar = (day: string) => {
  const parsed = DateTime.make(`${day}T00:00:00Z`)
  return parsed._tag === "Some" && DateTime.formatIso(parsed.value).startsWith(day)
}

/** A time in ISO 8601 with its zone, of a day that is in the calendar. */
export const IsoTime = Schema.String.annotate({ format: "date-time" }).pipe(
  Schema.decodeTo(
    Schema.DateTimeUtc,
    SchemaTransformation.transformEffect({
      decode: (text: string, options) => {
        const day = isoTime.exec(text)?.[1]
        const time = day !== undefined && isDayOfCalendar(day) ? DateTime.make(text) : undefined
        const message = "Expected an ISO 8601 time with a zone, like 2026-11-22T12:00:03Z"
        return time === undefined || time._tag === "None"
          ? Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
          : Effect.succeed(DateTime.toUtc(time.value))
      },
      encode: (time) => Effect.succeed(DateTime.formatIso(time))
    })
  )
)
