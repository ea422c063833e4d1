import { Cause, Exit, Result, Schema } from "effect"

/**
 * What the orders of one app carry: the schema is a parameter of the HTTP contract, the platform and the
 * processor. It is stored encoded, as JSON, with `version`, so that an app that changes its schema can still read
 * what it stored before.
 */
export interface OrderPayload<P> {
  /** Tells this payload from every other one in the process, in the keys of its services. */
  readonly key: string
  readonly schema: Schema.Codec<P, Schema.JsonObject>
  /** What is stored from now on is of this version. */
  readonly version: number
  /** Reads what was stored as the given version; a failure says why that cannot be done. */
  readonly decode: (stored: unknown, version: number) => Result.Result<P, string>
}

/** What an app may say about its payload besides the schema. */
export interface PayloadOptions<P> {
  /** Names the payload where a service of it is missing; "order" by default. It need not be unique. */
  readonly name?: string
  /** A whole number, to be raised with each change that reads older orders differently; 1 by default. */
  readonly version?: number
  /**
   * How to read what was stored under other versions: a schema that decodes each of them into today's type. A version
   * that is missing here is not guessed at: its orders end in the dead letter queue as UNDECODABLE, without running.
   */
  readonly previous?: Readonly<Record<number, Schema.Decoder<P>>>
}

// Two payloads of different types in one process must never stand in for each other, whatever their names: the services
// of each are found by a key of its own. It is lived with in one process only and stored nowhere.
let declared = 0

/** Declares the payload of an app's orders: once an app, and the same value for platform, processor, worker and routes. */
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
          `It was stored as version ${storedVersion}; this app reads ${[...decoders.keys()].join(", ")}.`
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

/** Any JSON object: what the shipped server takes. */
export const anyJsonObject: OrderPayload<Schema.JsonObject> = {
  ...jsonObject,
  // A store keeps nothing but JSON objects. A copy, so that what a processor does to it is not done to what is stored.
  decode: (stored, version) =>
    version === jsonObject.version
      ? Result.succeed({ ...(stored as Schema.JsonObject) })
      : jsonObject.decode(stored, version)
}
