import { DateTime, Effect, Hash, Schema, SchemaIssue, SchemaTransformation } from "effect"
import type { Page, Position } from "../../../domain/OrderQueries.ts"
import { OrderId } from "../../../domain/OrderId.ts"
import { invalidRequest } from "../body/RequestIssues.ts"

// The years 0 to 9999: more than any store can mean, less than any of them refuses.
const Millis = Schema.Int.check(
  Schema.isBetween({ minimum: -62_167_219_200_000, maximum: 253_402_300_799_999 })
)

const Inside = Schema.StringFromBase64Url.pipe(
  Schema.decodeTo(Schema.fromJsonString(Schema.Tuple([Millis, OrderId, Schema.Int])))
)

/**
 * Where a page ended, and which query it belongs to, in base64url so that nobody builds on what is inside. An entry
 * that comes or goes meanwhile does not move the pages after it.
 */
export const ListingCursor = Schema.String.annotate({
  description: "From the page before, for the same query; opaque."
}).pipe(
  Schema.decodeTo(
    Schema.Struct({ at: Schema.DateTimeUtc, orderId: Schema.toType(OrderId), query: Schema.Int }),
    SchemaTransformation.transformEffect({
      // One issue for the whole: what is wrong inside is nothing that a client could mend.
      decode: (text, options) =>
        Schema.decodeEffect(Inside)(text).pipe(
          Effect.map(([at, orderId, query]) => ({ at: DateTime.makeUnsafe(at), orderId, query })),
          Effect.mapError(
            () =>
              new SchemaIssue.InvalidValue(
                { message: "Expected a cursor as given by the page before" },
                text,
                options
              )
          )
        ),
      encode: ({ at, orderId, query }) =>
        Effect.orDie(Schema.encodeEffect(Inside)([DateTime.toEpochMillis(at), orderId, query]))
    })
  )
)

/** How many entries a page has at most. */
export const Limit = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 })).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed(50))
)

/** The text of a filter: what nothing stored has in it is refused before it gets to a store that cannot take it. */
export const filterText = (maxLength: number) =>
  Schema.String.check(
    Schema.isMaxLength(maxLength),
    Schema.makeFilter((text: string) => !text.includes("\u0000") || "U+0000 is in no text here")
  )

/** The part of a query that a cursor is bound to, as one number: the list and all filters, but not the limit. */
export const bindingOf = (list: string, filter: object): number => Hash.string(list + canonical(filter))

const canonical = (value: unknown): string =>
  DateTime.isDateTime(value)
    ? String(DateTime.toEpochMillis(value))
    : typeof value === "object" && value !== null
      ? JSON.stringify(
          Object.entries(value)
            .map(([key, part]) => [key, canonical(part)])
            .sort(([a = ""], [b = ""]) => (a < b ? -1 : 1))
        )
      : JSON.stringify(value)

/** The page that a request asks for: 400 with a cursor of another query. */
export const pageOf = (
  { cursor, limit }: { readonly limit: number; readonly cursor?: typeof ListingCursor.Type },
  binding: number
) =>
  cursor === undefined || cursor.query === binding
    ? Effect.succeed<Page>({ limit, after: cursor ?? null })
    : Effect.fail(
        invalidRequest([
          { in: "query", path: ["cursor"], message: "This cursor belongs to a query with other filters" }
        ])
      )

/** The cursor of the page that begins here. */
export const cursorOf = ({ at, orderId }: Position, binding: number): string =>
  Schema.encodeSync(ListingCursor)({ at: DateTime.toUtc(at), orderId, query: binding })

/**
 * What a client should know of a parameter where its schema only knows that all in a query is text. A name that the
 * document does not have yet is added.
 */
export const describeParameters =
  (descriptions: Readonly<Record<string, object>>) => (operation: Record<string, unknown>) => {
    const parameters = operation["parameters"] as ReadonlyArray<{
      readonly name: string
      readonly in: string
    }>
    const isQuery = (name: string) => parameters.some((it) => it.name === name && it.in === "query")
    return {
      ...operation,
      parameters: [
        ...parameters.map((it) => (it.in === "query" ? { ...it, ...descriptions[it.name] } : it)),
        ...Object.entries(descriptions)
          .filter(([name]) => !isQuery(name))
          .map(([name, description]) => ({ name, in: "query", required: false, ...description }))
      ]
    }
  }

/** How the limit is described. */
export const limitDescription = { schema: { type: "integer", minimum: 1, maximum: 200, default: 50 } }
