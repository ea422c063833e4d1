import { Option, Schema } from "effect"
import type { Idempotency } from "../application/intake/Idempotency.ts"
import type { Caller } from "../infrastructure/http/edge/Caller.ts"

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

/** That header, where it is due. */
export const replayedHeaderOf = (replayed: boolean): { readonly "idempotency-replayed"?: "true" } =>
  replayed ? { "idempotency-replayed": "true" } : {}

/** The key as the platform takes it: the caller's own, for this call alone. */
export const idempotencyOf = (
  { "idempotency-key": key }: { readonly "idempotency-key"?: string },
  call: string,
  caller: Option.Option<Caller>
): Idempotency | null =>
  key === undefined ? null : { key, scope: Option.isNone(caller) ? call : `${call} ${caller.value.name}` }
