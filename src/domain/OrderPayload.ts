import { Schema } from "effect"

/**
 * What the orders of one app carry: the schema is a parameter of the HTTP contract, the platform and the
 * processor. It is stored encoded, as JSON, with `version`, so that an app that changes its schema can tell
 * what it stored before.
 */
export interface OrderPayload<P> {
  readonly schema: Schema.Codec<P, Schema.JsonObject>
  readonly version: number
}

/** Declares the payload of an app's orders. Version 1 unless said otherwise. */
export const make = <P>(schema: Schema.Codec<P, Schema.JsonObject>, version = 1): OrderPayload<P> => ({
  schema,
  version
})

/** Any JSON object: what the shipped server takes. */
export const anyJsonObject: OrderPayload<Schema.JsonObject> = make(
  Schema.JsonObject.annotate({ identifier: "Payload", description: "Any JSON object" })
)
