import { Clock, Effect } from "effect"
import { DefaultGroupLimits } from "../../domain/Groups.ts"
import type { NewOrder } from "../../domain/Order.ts"
import { GroupOverloaded } from "../../domain/OrderErrors.ts"
import { IntakeStore } from "../ports/IntakeStore.ts"
import { makeSampling, pauseAfterCounting } from "./Sampling.ts"

/**
 * The maximum number of groups that wait for a count after a submit, and the maximum number of refused groups. The
 * orders of further groups are accepted.
 */
const maxGroups = 2048

/** The longest `Retry-After` of a group, in seconds. */
const maxRetryAfter = 60

/** A group whose orders are refused: its limit, and since when it has been above it, in milliseconds. */
interface Refused {
  readonly maxPending: number
  readonly since: number
}

/**
 * Decides when orders of a group are refused because the group has more than its `maxPending` PENDING orders. A group
 * is counted in the background after a submit of one of its orders, and for as long as it is refused.
 */
export const makeGroupBackpressure = Effect.gen(function* () {
  const store = yield* IntakeStore
  const { maxPending: defaultMax } = yield* DefaultGroupLimits
  const submitted = new Set<string>()
  const refused = new Map<string, Refused>()

  const update = (
    groups: ReadonlyArray<string>,
    counts: Effect.Success<ReturnType<(typeof store)["countPendingOfGroups"]>>,
    now: number
  ) => {
    const above = new Map(
      counts.filter(({ maxPending, pending }) => pending > maxPending).map((each) => [each.group, each])
    )
    for (const group of groups) if (!above.has(group)) refused.delete(group)
    for (const [group, { maxPending }] of above) {
      const since = refused.get(group)?.since
      if (since !== undefined || refused.size < maxGroups)
        refused.set(group, { maxPending, since: since ?? now })
    }
  }

  const sample = Effect.gen(function* () {
    const groups = [...new Set([...submitted, ...refused.keys()])]
    submitted.clear()
    if (groups.length === 0) return
    const counts = yield* store.countPendingOfGroups(groups, defaultMax)
    update(groups, counts, yield* Clock.currentTimeMillis)
  })
  const { sampleSoon } = yield* makeSampling(
    Effect.map(Effect.ignoreCause(sample), () => refused.size > 0),
    pauseAfterCounting
  )

  const refusalOf = (group: string, { maxPending, since }: Refused, now: number) =>
    new GroupOverloaded({
      group,
      message: `The group ${group} has more than its ${maxPending} pending orders; this order was not stored.`,
      // The throughput of the group is unknown, so the time that it has been above its limit is the estimate of the
      // time left.
      retryAfterSeconds: Math.min(maxRetryAfter, Math.max(1, Math.round((now - since) / 1000)))
    })

  return {
    /** The refusal of this order; null if the order is accepted. */
    refusal: ({ group }: NewOrder): Effect.Effect<GroupOverloaded | null> => {
      const found = group === null ? undefined : refused.get(group)
      return group === null || found === undefined
        ? Effect.succeed(null)
        : Effect.map(Clock.currentTimeMillis, (now) => refusalOf(group, found, now))
    },
    /** Records that these orders were stored, so that their groups are counted soon. */
    recordStored: (orders: ReadonlyArray<NewOrder>): void => {
      const before = submitted.size
      for (const { group } of orders) if (group !== null && submitted.size < maxGroups) submitted.add(group)
      if (submitted.size > before) sampleSoon()
    }
  }
})
