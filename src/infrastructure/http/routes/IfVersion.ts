import { Effect } from "effect"
import type { OrderPlatform } from "../../../application/OrderPlatform.ts"
import { OrderVersionMismatch } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"

/** A version that no order has, because versions begin with 1. */
const noVersion = 0

interface IfVersion {
  readonly ifVersion?: number
}

/**
 * Runs a call with the version that `If-Match` expects. If the header names several versions, the current
 * version of the order is read first. If the order changes between the read and the call, both are repeated.
 * The repetition ends at the latest when the order's version is higher than every version in the header,
 * because every change that causes a repetition raises the version.
 */
export const withIfMatch = <A, E, E2, R>(
  { "if-match": versions = null }: { readonly "if-match"?: ReadonlyArray<number> | null },
  version: Effect.Effect<number, E2>,
  call: (options: IfVersion) => Effect.Effect<A, E | OrderVersionMismatch, R>
): Effect.Effect<A, E | E2 | OrderVersionMismatch, R> => {
  if (versions === null) return call({})
  const [ifVersion = noVersion, ...others] = versions
  if (others.length === 0) return call({ ifVersion })
  const readAndCall: Effect.Effect<A, E | E2 | OrderVersionMismatch, R> = Effect.flatMap(version, (now) =>
    versions.includes(now)
      ? Effect.catchIf(
          call({ ifVersion: now }),
          (error) => error instanceof OrderVersionMismatch,
          () => readAndCall
        )
      : call({ ifVersion: noVersion })
  )
  return readAndCall
}

/** The current version of an order. */
export const versionOf = <T>({ find }: Pick<OrderPlatform<T>, "find">, id: OrderId) =>
  Effect.map(find(id), ({ version }) => version)
