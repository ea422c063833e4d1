import type { DateTime } from "effect"
import type { ClaimRequest, Turns } from "../../../application/ports/WorkStore.ts"
import type { PendingOrder, ProcessingOrder } from "../../../domain/Order.ts"
import { start } from "../../../domain/OrderTransitions.ts"
import { byCodePoint } from "../ByCodePoint.ts"
import type { MemoryOrders } from "../MemoryOrders.ts"
import { countDueOf, firstDue, type Lane } from "./DueOrders.ts"

// The specification of the claim: which orders it starts, one after the other. PostgreSQL chooses the same orders in
// one statement; test/OrderHistories.property.test.ts compares the two.

/** Whether the request takes orders of this type, if it has taken this many already. */
export const takesType = (
  { maxOfType = {}, types }: Pick<ClaimRequest, "maxOfType" | "types">,
  type: string,
  taken: number
): boolean => {
  const max = Object.hasOwn(maxOfType, type) ? (maxOfType[type] ?? Infinity) : Infinity
  return taken < max && (types === undefined || types.includes(type))
}

/**
 * The lanes of each group, with the groups in the sequence of their turns: those after the one served last come first.
 */
const groupsInTurn = (lanes: ReadonlyArray<Lane>, served: string | null | undefined) => {
  const groups = Array.from(Map.groupBy(lanes, ({ group }) => group))
  groups.sort(([a], [b]) => byCodePoint(a, b))
  if (served === undefined) return groups
  const after = groups.findIndex(([group]) => byCodePoint(group, served) > 0)
  return after === -1 ? groups : [...groups.slice(after), ...groups.slice(0, after)]
}

/**
 * Starts up to `max` orders. The higher priority comes first. Within a priority the groups take turns, one order each;
 * within a group the order that has been due longest is first.
 */
export const chooseOrders = (
  { groups, lanes, pauses, store }: MemoryOrders["Service"],
  request: ClaimRequest,
  at: DateTime.Utc
): { readonly orders: ReadonlyArray<ProcessingOrder>; readonly turns: Turns } => {
  const started: Array<ProcessingOrder> = []
  const ofType = new Map<string, number>()
  const turns: Record<number, string | null> = { ...request.turns }

  const isTaken = ({ type }: Lane) => takesType(request, type, ofType.get(type) ?? 0)

  /** The order that the group would start next; undefined if it may start none. */
  const nextOf = (group: string | null, ofGroup: ReadonlyArray<Lane>): PendingOrder | undefined => {
    if (groups.limitReached(group, request.defaultLimits, at) !== null) return undefined
    const firsts = ofGroup.flatMap((lane) =>
      isTaken(lane) && countDueOf(lane, at) > 0 ? lane.orders.slice(0, 1) : []
    )
    return firsts.length > 1 ? firsts.sort(firstDue)[0] : firsts[0]
  }

  const startOrder = (order: PendingOrder) => {
    started.push(store(start(order, request.worker, at)))
    ofType.set(order.type, (ofType.get(order.type) ?? 0) + 1)
    groups.takeToken(order.group, request.defaultLimits, at)
    turns[order.priority] = order.group
  }

  const open = lanes().filter((lane) => isTaken(lane) && pauses.over(lane, at).length === 0)
  const byPriority = Map.groupBy(open, ({ priority }) => priority)
  for (const priority of Array.from(byPriority.keys()).sort((a, b) => b - a)) {
    let inTurn = groupsInTurn(byPriority.get(priority) ?? [], turns[priority])
    // One round: each group starts at most one order. A group that could start none takes no part in further rounds.
    while (inTurn.length > 0 && started.length < request.max)
      inTurn = inTurn.filter(([group, ofGroup]) => {
        const next = started.length < request.max ? nextOf(group, ofGroup) : undefined
        if (next !== undefined) startOrder(next)
        return next !== undefined
      })
  }
  return { orders: started, turns }
}
