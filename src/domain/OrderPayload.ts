import { Cause, Exit, Result, Schema } from "effect"

/**
 * The payload of an app's orders: a parameter of the HTTP contract, the platform and the processor. The
 * payload is stored as JSON together with `version`, so that an app that changes the schema can still read
 * older orders.
 */
export interface OrderPayload<P> {
  /** A part of the service keys for this payload; unique in the process. */
  readonly key: string
  readonly schema: Schema.Codec<P, Schema.JsonObject>
  /** The version that new orders are stored with. */
  readonly version: number
  /** Decodes a payload that was stored with this version, or fails with the reason as a sentence. */
  readonly decode: (stored: unknown, version: number) => Result.Result<P, string>
}

/** Options of a payload besides its schema. */
export interface PayloadOptions<P> {
  /** Appears in the error for a missing service; "order" by default. Need not be unique. */
  readonly name?: string
  /**
   * A whole number, 1 by default. Raise it with each change of the schema after which older payloads no
   * longer fit.
   */
  readonly version?: number
  /**
   * For each older version, a schema that decodes payloads of that version into today's type. Orders of any
   * other version become dead letters with the code UNDECODABLE, without running.
   */
  readonly previous?: Readonly<Record<number, Schema.Decoder<P>>>
}

// Counts payloads, so that two payloads with the same name have different service keys. The number is not
// stored.
let declared = 0

/**
 * Declares the payload of an app's orders. Declare it once, and use this value for platform, processor, worker and
 * routes.
 */
export const make = <P>(
  schema: Schema.Codec<P, Schema.JsonObject>,
  { name = "order", previous = {}, version = 1 }: PayloadOptions<P> = {}
): OrderPayload<P> => {
  const decoders = new Map(
    [...Object.entries<Schema.Decoder<P>>(previous), [String(version), schema] as const].map(
      ([stored, decoder]) => [stored, Schema.decodeUnknownExit(decoder)]
    )
  )
  return {
    key: `${name}#${++declared}`,
    schema,
    version,
    decode: (stored, storedVersion) => {
      const decode = decoders.get(String(storedVersion))
      if (decode === undefined)
        return Result.fail(
          `The payload was stored as version ${storedVersion}; this app reads ${[...decoders.keys()].join(", ")}.`
        )
      const decoded = decode(stored)
      return Exit.isSuccess(decoded)
        ? Result.succeed(decoded.value)
        : Result.fail(`The stored payload does not fit the schema: ${Cause.pretty(decoded.cause)}`)
    }
  }
}

const jsonObject = make(
  Schema.JsonObject.annotate({
    identifier: "Payload",
    description: "Any JSON object",
    examples: [{ drink: "espresso" }]
  })
)

/** Any JSON object: the payload of the shipped server. */
export const anyJsonObject: OrderPayload<Schema.JsonObject> = {
  ...jsonObject,
  // The cast is safe, because stores hold only JSON objects. The value is copied, because a processor may change it.
  decode: (stored, version) =>
    version === jsonObject.version
      ? Result.succeed({ ...(stored as Schema.JsonObject) })
      : jsonObject.decode(stored, version)
}
