import { Effect, Schema } from "effect"
import { GroupName, OrderingKey, TypeName } from "../domain/Lane.ts"
import type { AnyOrderType, OrderTypes, TypedPayload } from "../domain/OrderTypes.ts"
import { defaultType } from "../domain/TypeSettings.ts"
import { NotBefore } from "./TimeAhead.ts"

/** The maximum number of metadata entries of an order. */
export const maxMetadataEntries = 32
/** The longest key of metadata, in characters. */
export const maxMetadataKey = 64
/** The longest value of metadata, in characters. */
export const maxMetadataValue = 512

// The filter is on the whole record, because a record schema ignores keys that fail a check of the key schema.
const Metadata = Schema.Record(
  Schema.String,
  Schema.String.check(
    Schema.isMaxCodePoints(maxMetadataValue, { expected: `at most ${maxMetadataValue} characters` })
  )
)
  .annotate({
    description: `Stored with the order: at most ${maxMetadataEntries} entries, with keys of 1 to ${maxMetadataKey} and values of at most ${maxMetadataValue} characters.`
  })
  .check(
    Schema.isMaxProperties(maxMetadataEntries, { expected: `at most ${maxMetadataEntries} entries` }),
    Schema.makeFilter((metadata: Readonly<Record<string, string>>) => {
      const wrong = Object.keys(metadata).filter((key) => key === "" || [...key].length > maxMetadataKey)
      return wrong.length === 0
        ? undefined
        : { path: [wrong[0] ?? ""], issue: `Expected a key of 1 to ${maxMetadataKey} characters` }
    })
  )

// The optional fields of a submission.
const options = {
  orderingKey: Schema.optionalKey(
    OrderingKey.annotate({
      description:
        "Orders of the same type and ordering key run one at a time, in the order in which they were submitted."
    })
  ),
  group: Schema.optionalKey(
    GroupName.annotate({
      description: "The group whose limits apply to the order, and that takes turns with other groups."
    })
  ),
  priority: Schema.optionalKey(
    Schema.Int.check(
      Schema.isBetween({ minimum: 0, maximum: 9 }, { expected: "a whole number from 0 to 9" })
    ).annotate({
      description: "Higher first; 0 by default."
    })
  ),
  notBefore: Schema.optionalKey(NotBefore),
  maxRetries: Schema.optionalKey(
    Schema.Int.check(
      Schema.isBetween({ minimum: 0, maximum: 100 }, { expected: "a whole number from 0 to 100" })
    ).annotate({
      description: "The number of failed attempts after which the order becomes FAILED; 0 is treated as 1."
    })
  ),
  metadata: Schema.optionalKey(Metadata)
}

type Options = Schema.Struct<typeof options>

/** The decoded body of `POST /orders`. */
export type SubmitOrder<T> = TypedPayload<T> & Options["Type"]

/** The schema of that body. */
export type SubmitOrderBody<T> = Schema.Codec<
  SubmitOrder<T>,
  { readonly type?: string; readonly payload?: Schema.JsonObject } & Options["Encoded"]
>

const anyName = Schema.optionalKey(
  TypeName.annotate({ description: `What kind of work the order is; "${defaultType}" by default.` })
)

const typeKey = ({ nameIfOmitted, names }: OrderTypes<unknown>, { name }: AnyOrderType) => {
  if (names === null) return anyName
  return name === nameIfOmitted ? Schema.optionalKey(Schema.Literal(name)) : Schema.Literal(name)
}

/** The body of `POST /orders` for one of these types. */
export const submitOrderOfType = <T>(types: OrderTypes<T>, type: AnyOrderType): SubmitOrderBody<T> => {
  const body: Schema.Codec<unknown, unknown> = Schema.Struct({
    type: typeKey(types, type),
    payload: type.schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed({}))),
    ...options
  }).annotate({ identifier: types.members.length === 1 ? "SubmitOrder" : `SubmitOrder.${type.name}` })
  return body as SubmitOrderBody<T>
}

/** A body whose type is none of these types. Decoding it always fails, and reports all its issues. */
export const submitOrderOfNoType = ({ members }: OrderTypes<unknown>) =>
  Schema.Struct({
    type: Schema.Literals(members.map(({ name }) => name)),
    payload: Schema.optionalKey(Schema.Unknown),
    ...options
  })

/** The body of `POST /orders` for orders of these types. */
export const submitOrderBody = <T>(types: OrderTypes<T>): SubmitOrderBody<T> => {
  const bodies = types.members.map((type) => submitOrderOfType(types, type))
  const [only] = bodies
  return bodies.length === 1 && only !== undefined
    ? only
    : Schema.Union(bodies).annotate({ identifier: "SubmitOrder" })
}
