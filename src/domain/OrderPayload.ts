import { Result, Schema } from "effect"
import { declare, type OrderType, type OrderTypeOptions, partsOf } from "./OrderType.ts"
import { defaultType } from "./TypeSettings.ts"

/** The order type of an app whose orders are all of one type, which needs no name. */
export type OrderPayload<P> = OrderType<typeof defaultType, P>

/** Options of a payload besides its schema. */
export interface PayloadOptions<P> extends OrderTypeOptions<P> {
  /** Appears in the error for a missing service; "order" by default. Need not be unique. */
  readonly name?: string
}

/**
 * Declares the payload of an app's orders: an order type with the name `default`. Declare it once, and use this value
 * for platform, processor, worker and routes.
 */
export const make = <P>(
  schema: Schema.Codec<P, Schema.JsonObject>,
  { name = "order", ...options }: PayloadOptions<P> = {}
): OrderPayload<P> => declare(name, partsOf(defaultType, schema, options))

const jsonObject = partsOf<string, Schema.JsonObject>(
  defaultType,
  Schema.JsonObject.annotate({
    identifier: "Payload",
    description: "Any JSON object",
    examples: [{ drink: "espresso" }]
  }),
  {}
)

/** Orders of every type, with any JSON object as payload: the orders of the shipped server. */
export const anyJsonObject: OrderType<string, Schema.JsonObject> = declare("order", {
  ...jsonObject,
  names: null,
  // The cast is safe, because stores hold only JSON objects. The value is copied, because a processor may change it.
  decode: (stored, version) =>
    version === jsonObject.version
      ? Result.succeed({ ...(stored as Schema.JsonObject) })
      : jsonObject.decode(stored, version)
})
