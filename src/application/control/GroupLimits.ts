import { Effect, Schema } from "effect"
import type { Operator } from "../../domain/Audit.ts"
import { type Group, LimitsToSet } from "../../domain/Groups.ts"
import { GroupName } from "../../domain/Lane.ts"
import { GroupNotFound } from "../../domain/OrderErrors.ts"
import { type Listing, makeListing, type Page } from "../../domain/OrderQueries.ts"
import { ControlStore } from "../ports/ControlStore.ts"
import { WakeUp } from "../ports/WakeUp.ts"

const decode = Schema.decodeUnknownEffect(Schema.Struct({ group: GroupName, limits: LimitsToSet }), {
  errors: "all"
})

/**
 * Sets the limits of a group in every process, and replaces those set before. Wakes the workers after the commit,
 * because a higher limit may let orders start. Fails with `SchemaError` if the name or a limit is invalid.
 */
export const setGroupLimits = Effect.fn("SetGroupLimits")(function* (
  group: string,
  limits: LimitsToSet,
  operator?: Operator
) {
  const store = yield* ControlStore
  const wakeUp = yield* WakeUp
  const { limits: given } = yield* decode({ group, limits })
  const { maxPending = null, maxRunning = null, ratePerSecond = null } = given
  yield* store.setGroupLimits(group, { maxRunning, ratePerSecond, maxPending }, operator)
  yield* store.afterCommit(wakeUp.announce(1))
  return { group, maxRunning, ratePerSecond, maxPending } satisfies Group
})

/**
 * Removes the limits set for a group, so that it has the default limits, and wakes the workers after the commit. Fails
 * with `GroupNotFound` if none were set.
 */
export const deleteGroupLimits = Effect.fn("DeleteGroupLimits")(function* (
  group: string,
  operator?: Operator
) {
  const store = yield* ControlStore
  const wakeUp = yield* WakeUp
  const wereSet = yield* store.deleteGroupLimits(group, operator)
  if (!wereSet) return yield* new GroupNotFound({ group })
  yield* store.afterCommit(wakeUp.announce(1))
})

/** A page of the groups for which limits were set, by name. */
export const listGroups = Effect.fn("ListGroups")(function* ({ after, limit }: Page<string>) {
  const store = yield* ControlStore
  const found = yield* store.groups({ limit: limit + 1, after })
  return makeListing(found, limit, ({ group }) => group) satisfies Listing<Group, string>
})
