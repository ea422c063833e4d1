import { Effect } from "effect"
import type { Operator } from "../../domain/Audit.ts"
import { cleanReason } from "../../domain/Failure.ts"
import type { FailureGroup, FailureGroupPosition } from "../../domain/FailureGroup.ts"
import { type Listing, makeListing, type Page } from "../../domain/OrderQueries.ts"
import { DeadLetterStore } from "../ports/DeadLetterStore.ts"

/** A page of the failure groups that have dead letters, the largest first. */
export const listFailureGroups = Effect.fn("ListFailureGroups")(function* ({
  after,
  limit
}: Page<FailureGroupPosition>) {
  const store = yield* DeadLetterStore
  const found = yield* store.failureGroups({ limit: limit + 1, after })
  return makeListing(found, limit, ({ count, fingerprint }) => ({ count, fingerprint })) satisfies Listing<
    FailureGroup,
    FailureGroupPosition
  >
})

/** How a failure group was fixed. */
export interface MarkFixedOptions {
  /** The version of the program that has the fix, as processes report it. */
  readonly version?: string
  /** Kept in the audit; cleaned (`cleanReason` in domain/Failure.ts). */
  readonly reason?: string
  readonly operator?: Operator
}

/** Marks a failure group as fixed from now on. Fails with `FailureGroupNotFound` if there is none. */
export const markFixed = Effect.fn("MarkFixed")(function* (
  fingerprint: string,
  { reason, version, ...options }: MarkFixedOptions = {}
) {
  const store = yield* DeadLetterStore
  return yield* store.markFixed(fingerprint, {
    ...options,
    ...(version === undefined ? {} : { version: cleanReason(version) }),
    ...(reason === undefined ? {} : { reason: cleanReason(reason) })
  })
})
