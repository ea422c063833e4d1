import { DateTime } from "effect"
import type { ClaimRequest } from "../../../application/ports/WorkStore.ts"
import { earliest, type MemoryOrders } from "../MemoryOrders.ts"
import { takesType } from "./ChooseOrders.ts"
import { countDueOf, type Lane } from "./DueOrders.ts"

/**
 * When the orders of the lane may start, apart from their due times: at the end of the last pause over them, or when
 * the rate of their group allows the next start, whichever is later. Null if they also wait for something without a
 * known time; undefined if nothing keeps them from starting.
 */
const opensAt = (
  { groups, pauses }: MemoryOrders["Service"],
  { defaultLimits }: ClaimRequest,
  lane: Lane,
  at: DateTime.Utc
): DateTime.Utc | null | undefined => {
  const times: Array<DateTime.Utc> = []
  for (const { resumeAt } of pauses.over(lane, at)) {
    if (resumeAt === null) return null
    times.push(resumeAt)
  }
  const reached = groups.limitReached(lane.group, defaultLimits, at)
  if (reached?.why === "group is full") return null
  if (reached !== null) times.push(reached.nextAt)
  return times.length === 0 ? undefined : times.reduce((a, b) => DateTime.max(a, b))
}

/**
 * The next time at which a further order that the request takes can start without any other event; null if there is
 * none. An order that may start now does not count: the claim left it because it had reached its maximum.
 */
export const nextDueAt = (
  memory: MemoryOrders["Service"],
  request: ClaimRequest,
  at: DateTime.Utc
): DateTime.Utc | null =>
  earliest(
    memory.lanes().flatMap((lane) => {
      if (!takesType(request, lane.type, 0)) return []
      const opens = opensAt(memory, request, lane, at)
      if (opens === null) return []
      const next = lane.orders[opens === undefined ? countDueOf(lane, at) : 0]
      if (next === undefined) return []
      return [opens === undefined ? next.dueAt : DateTime.max(next.dueAt, opens)]
    })
  )
