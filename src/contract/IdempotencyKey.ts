import { Schema } from "effect"

/** The header `Idempotency-Key`, which makes a call safe to repeat. Source: draft-ietf-httpapi-idempotency-key-header. */
export const IdempotencyKey = Schema.optionalKey(
  Schema.String.check(
    Schema.isPattern(/^[\x20-\x7E]{1,255}$/, { expected: "1 to 255 printable ASCII characters" })
  ).annotate({
    description:
      "1 to 255 printable ASCII characters; use a new key for each operation. A call repeated with the same key and body gets the first response again, with `Idempotency-Replayed: true`; with a different body it gets 422. A key belongs to one caller and one endpoint."
  })
)

/** The header of a response that repeats the response of an earlier call with the same key. */
export const replayedHeader = { "idempotency-replayed": Schema.optionalKey(Schema.Literal("true")) }
