import { Schema } from "effect"
import { GroupName, OrderingKey, TypeName } from "../domain/Lane.ts"
import { OrderStatus } from "../domain/OrderStatus.ts"
import { IsoTime } from "./IsoTime.ts"
import { Cursor, filterText, Limit } from "./ListingQuery.ts"
import { describeParameters, limitDescription } from "./openapi/QueryParameters.ts"
import { ListedOrderView } from "./OrderView.ts"
import { maxMetadataEntries, maxMetadataKey, maxMetadataValue } from "./SubmitOrderBody.ts"

/** The prefix of metadata filters: `metadata.KEY=VALUE`. */
export const metadataPrefix = "metadata."

/**
 * The query of `GET /orders`. An order must match every filter; `metadata.KEY=VALUE` may occur up to {@link
 * maxMetadataEntries} times.
 */
export const OrderListingQuery = Schema.StructWithRest(
  Schema.Struct({
    status: Schema.optionalKey(OrderStatus),
    type: Schema.optionalKey(TypeName),
    orderingKey: Schema.optionalKey(OrderingKey),
    group: Schema.optionalKey(GroupName),
    retrying: Schema.optionalKey(
      Schema.Literal("true").annotate({ description: "PENDING after a failed attempt." })
    ),
    createdAfter: Schema.optionalKey(IsoTime),
    createdBefore: Schema.optionalKey(IsoTime),
    limit: Limit,
    cursor: Schema.optionalKey(Cursor)
  }),
  [
    Schema.Record(
      Schema.TemplateLiteral([
        metadataPrefix,
        Schema.String.check(Schema.isMinLength(1, { expected: "a key after the dot" }))
      ]),
      filterText(maxMetadataValue)
    )
  ]
).check(
  Schema.makeFilter((query) => {
    const keys = Object.keys(query).filter((key) => key.startsWith(metadataPrefix))
    const wrong = keys.find(
      (key) => [...key].length > metadataPrefix.length + maxMetadataKey || key.includes("\u0000")
    )
    if (wrong !== undefined)
      return { path: [wrong], issue: `Expected a key of 1 to ${maxMetadataKey} characters, without U+0000` }
    return keys.length <= maxMetadataEntries || `Expected at most ${maxMetadataEntries} metadata filters`
  })
)

/**
 * Describes the parameters of the query. In OpenAPI, one object parameter with `explode` describes all
 * parameters whose names match a pattern.
 */
export const describeOrderListing = describeParameters({
  limit: limitDescription,
  createdAfter: { description: "Created at this time or later." },
  createdBefore: { description: "Created before this time." },
  metadata: {
    description:
      "`metadata.KEY=VALUE`: orders whose metadata has VALUE under KEY. An order must match every such filter. A dot in KEY is part of the key.",
    style: "form",
    explode: true,
    schema: {
      type: "object",
      patternProperties: { "^metadata\\..+$": { type: "string", maxLength: maxMetadataValue } },
      additionalProperties: false
    },
    example: { "metadata.shop": "7" }
  }
})

/** A page of orders, and the cursor of the next page. */
export const OrderListing = Schema.Struct({
  orders: Schema.Array(ListedOrderView).annotate({ description: "Newest first." }),
  nextCursor: Schema.NullOr(Schema.String).annotate({
    description: "Null on the last page. Any page can have fewer orders than its limit, even none."
  })
}).annotate({ identifier: "OrderListing" })
