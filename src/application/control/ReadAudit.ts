import { Effect } from "effect"
import type { AuditEntry } from "../../domain/Audit.ts"
import { type Listing, makeListing, type Page } from "../../domain/OrderQueries.ts"
import { ControlStore } from "../ports/ControlStore.ts"

/** A page of the audit, newest entry first. */
export const readAudit = Effect.fn("ReadAudit")(function* ({ after, limit }: Page<number>) {
  const store = yield* ControlStore
  const found = yield* store.audit({ limit: limit + 1, before: after })
  return makeListing(found, limit, ({ number }) => number) satisfies Listing<AuditEntry, number>
})
