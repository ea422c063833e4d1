import { Schema, Struct } from "effect"
import type { DeadLetterQuery } from "../../../contract/DeadLettersEndpoints.ts"
import { metadataPrefix, type OrderListingQuery } from "../../../contract/OrderListing.ts"
import type { DeadLetterFilter, OrderFilter } from "../../../domain/OrderQueries.ts"

/** The filter in the query of `GET /orders`. */
export const orderFilterOf = (query: typeof OrderListingQuery.Type): OrderFilter => {
  const { retrying, ...given } = Struct.pick(query, [
    "status",
    "type",
    "orderingKey",
    "group",
    "retrying",
    "createdAfter",
    "createdBefore"
  ])
  const metadata = Object.entries(query)
    .filter(([key]) => key.startsWith(metadataPrefix))
    .map(([key, value]) => [key.slice(metadataPrefix.length), value] as const)
  return {
    ...given,
    ...(retrying === undefined ? {} : { retrying: true }),
    ...(metadata.length === 0 ? {} : { metadata: Object.fromEntries(metadata) as Record<string, string> })
  }
}

/** The filter in the query of `GET /dlq`. */
export const deadLetterFilterOf = (query: typeof DeadLetterQuery.Type): DeadLetterFilter =>
  Struct.omit(query, ["cursor", "limit"])

/** The header `Link` to the next page: the same query with this cursor. */
export const linkTo = <A>(
  path: string,
  schema: Schema.Codec<A, Readonly<Record<string, unknown>>>,
  query: A,
  cursor: string
): string => {
  const given = Object.entries(Schema.encodeSync(schema)(query))
    .filter(([key]) => key !== "cursor")
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`)
  return `<${path}?${[...given, `cursor=${cursor}`].join("&")}>; rel="next"`
}
