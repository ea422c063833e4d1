import { DateTime, Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import type { OrderPayload } from "../../domain/OrderPayload.ts"

const maxYearsAhead = 10

const isoTime =
  /^(\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

// JavaScript reads 31 February as 3 March; a client that writes it made a mistake.
const isDayOfCalendar = (day: string) => {
  const parsed = DateTime.make(`${day}T00:00:00Z`)
  return parsed._tag === "Some" && DateTime.formatIso(parsed.value).startsWith(day)
}

/** An ISO 8601 time with its zone, at most ten years ahead. The past is allowed and means now. */
const NotBefore = Schema.String.annotate({
  format: "date-time",
  description: `Not due before this time: ISO 8601 with a zone. The past means now; at most ${maxYearsAhead} years ahead.`
}).pipe(
  Schema.decodeTo(
    Schema.DateTimeUtc,
    SchemaTransformation.transformEffect({
      decode: Effect.fnUntraced(function* (text: string, options) {
        const day = isoTime.exec(text)?.[1]
        const time = day !== undefined && isDayOfCalendar(day) ? DateTime.make(text) : undefined
        if (time === undefined || time._tag === "None") {
          const message = "Expected an ISO 8601 time with a zone, like 2026-11-22T12:00:03Z"
          return yield* Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
        }
        const latest = DateTime.add(yield* DateTime.now, { years: maxYearsAhead })
        if (DateTime.isGreaterThan(time.value, latest)) {
          const message = `Expected a time at most ${maxYearsAhead} years ahead`
          return yield* Effect.fail(new SchemaIssue.InvalidValue({ message }, text, options))
        }
        return DateTime.toUtc(time.value)
      }),
      encode: (time) => Effect.succeed(DateTime.formatIso(time))
    })
  )
)

const maxMetadataEntries = 32
const maxMetadataKey = 64
const maxMetadataValue = 512

// A filter on the whole, not on keys: a key that fails its own check would be ignored like one that does not apply.
const Metadata = Schema.Record(Schema.String, Schema.String.check(Schema.isMaxLength(maxMetadataValue)))
  .annotate({
    description: `Kept with the order: at most ${maxMetadataEntries} entries, keys of 1 to ${maxMetadataKey} and values of at most ${maxMetadataValue} characters.`
  })
  .check(
    Schema.isMaxProperties(maxMetadataEntries),
    Schema.makeFilter((metadata: Readonly<Record<string, string>>) => {
      const wrong = Object.keys(metadata).filter((key) => key === "" || key.length > maxMetadataKey)
      return wrong.length === 0
        ? undefined
        : { path: [wrong[0] ?? ""], issue: `Expected a key of 1 to ${maxMetadataKey} characters` }
    })
  )

/** The body of `POST /orders`, for orders that carry `P`. Everything in it is optional. */
export const submitOrderBody = <P>(payload: OrderPayload<P>) =>
  Schema.Struct({
    payload: payload.schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed({}))),
    priority: Schema.optionalKey(
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })).annotate({
        description: "Higher first; 0 by default."
      })
    ),
    notBefore: Schema.optionalKey(NotBefore),
    maxRetries: Schema.optionalKey(
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })).annotate({
        description: "Failed attempts until the order is FAILED; 0 counts as 1."
      })
    ),
    metadata: Schema.optionalKey(Metadata)
  }).annotate({ identifier: "SubmitOrder" })
