import { Schema } from "effect"

/** The header `Idempotency-Key`: makes a call safe to repeat. Source: draft-ietf-httpapi-idempotency-key-header. */
export const IdempotencyKey = Schema.optionalKey(
  Schema.String.check(
    Schema.isPattern(/^[\x20-\x7E]{1,255}$/, { expected: "1 to 255 printable ASCII characters" })
  ).annotate({
    description:
      "1 to 255 printable ASCII characters, one for each thing that is to happen once. The same call with the same key and body gets the first answer again, with `Idempotency-Replayed: true`; with another body it is a 422. Keys are the caller's own, and each call's."
  })
)

/** What an answer says when it is that of an earlier call with the same key. */
export const replayedHeader = { "idempotency-replayed": Schema.optionalKey(Schema.Literal("true")) }
