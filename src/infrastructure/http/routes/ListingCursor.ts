import { DateTime, Effect, Hash, Option, Schema } from "effect"
import { OrderId } from "../../../domain/OrderId.ts"
import type { Page, Position } from "../../../domain/OrderQueries.ts"
import { invalidRequest } from "../body/RequestIssues.ts"

// The years 0 to 9999, which every store accepts.
const Millis = Schema.Int.check(
  Schema.isBetween({ minimum: -62_167_219_200_000, maximum: 253_402_300_799_999 })
)

/**
 * The position where a page ended, and the query to which it belongs; in base64url, so that no client depends on the
 * content. A position, unlike an offset, does not shift when entries are added or removed.
 */
const CursorContent = Schema.StringFromBase64Url.pipe(
  Schema.decodeTo(Schema.fromJsonString(Schema.Tuple([Millis, OrderId, Schema.Int])))
)
const decode = Schema.decodeUnknownOption(CursorContent)
const encode = Schema.encodeSync(CursorContent)

/**
 * A hash of the list and the filters of a query, to which a cursor is bound. The limit is not part of the
 * hash.
 */
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

const refused = (message: string) => Effect.fail(invalidRequest([{ in: "query", path: ["cursor"], message }]))

/** The requested page. Fails with `InvalidRequest` if the cursor is malformed or belongs to another query. */
export const pageOf = (
  { cursor, limit }: { readonly limit: number; readonly cursor?: string },
  binding: number
) => {
  if (cursor === undefined) return Effect.succeed<Page>({ limit, after: null })
  const content = decode(cursor)
  if (Option.isNone(content)) return refused("Expected a cursor returned with the previous page")
  const [at, orderId, query] = content.value
  return query === binding
    ? Effect.succeed<Page>({ limit, after: { at: DateTime.makeUnsafe(at), orderId } })
    : refused("This cursor belongs to a query with other filters")
}

/**
 * The pages of a list without filters, whose positions are encoded by the schema. A cursor contains the name of the
 * list, so that it is valid for that list only.
 */
export const makePages = <At, I>(list: string, position: Schema.Codec<At, I>) => {
  const Content = Schema.StringFromBase64Url.pipe(
    Schema.decodeTo(Schema.fromJsonString(Schema.Tuple([Schema.Literal(list), position])))
  )
  const decode = Schema.decodeUnknownOption(Content)
  const encode = Schema.encodeSync(Content)
  return {
    /** The requested page. Fails with `InvalidRequest` if the cursor is malformed or belongs to another list. */
    pageOf: ({ cursor, limit }: { readonly limit: number; readonly cursor?: string }) => {
      if (cursor === undefined) return Effect.succeed<Page<At>>({ limit, after: null })
      return Option.match(decode(cursor), {
        onNone: () => refused("Expected a cursor returned with the previous page"),
        onSome: ([, after]) => Effect.succeed<Page<At>>({ limit, after })
      })
    },
    /** The cursor of the page after this position. */
    cursorOf: (at: At): string => encode([list, at])
  }
}

/** The cursor of the page after this position. */
export const cursorOf = ({ at, orderId }: Position, binding: number): string =>
  encode([DateTime.toEpochMillis(at), orderId, binding])
