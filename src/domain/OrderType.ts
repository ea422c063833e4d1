import { Cause, Exit, Result, Schema } from "effect"
import { TypeName } from "./Lane.ts"
import type { TypeSettings } from "./TypeSettings.ts"

/**
 * One kind of work of an app: its name, the schema of its payload, and its settings. The payload is stored as JSON
 * together with `version`, so that an app that changes the schema can still read older orders. An order type has all
 * members of `OrderTypes`, so it is also a set of one type.
 */
export interface OrderType<N extends string, P> {
  /** Exists only for the compiler, as in `OrderPlatform<typeof type.Payloads>`, and not at run time. */
  readonly Payloads: { readonly [K in N]: P }
  /** A part of the service keys for this type; unique in the process. */
  readonly key: string
  readonly members: readonly [OrderType<N, P>]
  /** Its name; null if orders of every name have this type. */
  readonly names: readonly [N] | null
  readonly nameIfOmitted: N
  /** Stored with each order of this type. */
  readonly name: N
  readonly schema: Schema.Codec<P, Schema.JsonObject>
  /** The version that new orders are stored with. */
  readonly version: number
  /** Decodes a payload that was stored with this version, or fails with the reason as a sentence. */
  readonly decode: (stored: unknown, version: number) => Result.Result<P, string>
  /** The settings of the configuration (`SettingsOfTypes`) take precedence over these. */
  readonly settings: TypeSettings
}

/** Options of an order type besides its name and schema. */
export interface OrderTypeOptions<P> extends TypeSettings {
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

/** The parts from which an order type is made; all its other members follow from them. */
export type OrderTypeParts<N extends string, P> = Omit<OrderType<N, P>, "Payloads" | "key" | "members">

/** Whether this is a valid name of an order type. */
export const isTypeName = Schema.is(TypeName)
const typeNameRule = "a name has 1 to 64 of the characters a-z 0-9 . _ -"

/**
 * Declares an order type. Declare it once, and use this value for platform, processor, worker and routes. Throws an
 * error for a name that is not 1 to 64 of the characters a-z 0-9 . _ - and for a concurrency below 1.
 */
const make = <const N extends string, P>(
  name: N,
  schema: Schema.Codec<P, Schema.JsonObject>,
  options: OrderTypeOptions<P> = {}
): OrderType<N, P> => {
  if (!isTypeName(name))
    throw new Error(`An order type cannot have the name ${JSON.stringify(name)}: ${typeNameRule}`)
  return declare(name, partsOf(name, schema, options))
}

export const OrderType = { make }

// Counts types, so that two types with the same name have different service keys. The number is not stored.
let declared = 0

/** The order type of these parts. The label appears in the error for a missing service; it need not be unique. */
export const declare = <N extends string, P>(label: string, parts: OrderTypeParts<N, P>): OrderType<N, P> => {
  const type = { ...parts, key: `${label}#${++declared}`, members: [] as Array<unknown> }
  type.members.push(type)
  // The cast adds `Payloads`, which only the compiler reads.
  return type as unknown as OrderType<N, P>
}

/** The parts of an order type with this name. */
export const partsOf = <N extends string, P>(
  name: N,
  schema: Schema.Codec<P, Schema.JsonObject>,
  { previous = {}, version = 1, ...settings }: OrderTypeOptions<P>
): OrderTypeParts<N, P> => {
  const { concurrency = 1 } = settings
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw new Error(
      `The concurrency of the order type "${name}" must be a whole number from 1, not ${concurrency}.`
    )
  return {
    name,
    names: [name],
    nameIfOmitted: name,
    schema,
    version,
    settings,
    decode: decodeVersions({ ...previous, [version]: schema })
  }
}

/** Decodes a stored payload with the decoder of its version. */
const decodeVersions = <P>(decoders: Readonly<Record<string, Schema.Decoder<P>>>) => {
  const decodeBy = new Map(
    Object.entries(decoders).map(([version, decoder]) => [version, Schema.decodeUnknownExit(decoder)])
  )
  return (stored: unknown, version: number): Result.Result<P, string> => {
    const decode = decodeBy.get(String(version))
    if (decode === undefined)
      return Result.fail(
        `The payload was stored as version ${version}; this app reads ${[...decodeBy.keys()].join(", ")}.`
      )
    const decoded = decode(stored)
    return Exit.isSuccess(decoded)
      ? Result.succeed(decoded.value)
      : Result.fail(`The stored payload does not fit the schema: ${Cause.pretty(decoded.cause)}`)
  }
}
