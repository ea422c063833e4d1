import { Schema } from "effect"
import { OrderStatus } from "../domain/OrderStatus.ts"
import { IsoTime } from "./IsoTime.ts"
import { Cursor, filterText, Limit } from "./ListingQuery.ts"
import { describeParameters, limitDescription } from "./openapi/QueryParameters.ts"
import { ListedOrderView } from "./OrderView.ts"
import { maxMetadataEntries, maxMetadataKey, maxMetadataValue } from "./SubmitOrderBody.ts"

/** What comes before the key of a metadata filter. */
export const metadataPrefix = "metadata."

/** What `GET /orders` may be asked: all of it together; `metadata.KEY=VALUE` for as many keys as an order can have. */
export const OrderListingQuery = Schema.StructWithRest(
  Schema.Struct({
    status: Schema.optionalKey(OrderStatus),
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

/** How its parameters are described. An exploded form is OpenAPI's way to say "any name of this form". */
export const describeOrderListing = describeParameters({
  limit: limitDescription,
  createdAfter: { description: "Created at this time or later." },
  createdBefore: { description: "Created before this time." },
  metadata: {
    description:
      "`metadata.KEY=VALUE`: orders with this value under this key; several must all be there. Keys are sent as they are, not nested.",
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

/** The answer: a page of orders, and the cursor of the next one. */
export const OrderListing = Schema.Struct({
  orders: Schema.Array(ListedOrderView).annotate({ description: "Newest first." }),
  nextCursor: Schema.NullOr(Schema.String).annotate({
    description: "Null where there is no more. A page that has one may be shorter than its limit, even empty."
  })
}).annotate({ identifier: "OrderListing" })
