import { Option } from "effect"
import type { Idempotency } from "../../../application/intake/Idempotency.ts"
import type { Caller } from "../edge/Caller.ts"

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
