import type { OrderId } from "../../src/domain/OrderId.ts"
import { groupLimits, type History, type Plan } from "./Facts.ts"

/**
 * Checks the orders of each ordering key and group by the store's record: the orders of a key run one at a time in the
 * sequence of their places, and no group exceeds its limits.
 */
export const judgeLanes = ({ facts, plans }: History, report: (what: string) => void): void => {
  const places = new Map<OrderId, number>()
  const running = new Set<OrderId>()
  const starts = new Map<string, Array<number>>()
  const ofPlan = (id: OrderId): Plan["order"] | undefined => plans.get(id)?.order
  const laneOf = (ids: Iterable<OrderId>, lane: "orderingKey" | "group", name: string) =>
    Array.from(ids).filter((id) => ofPlan(id)?.[lane] === name)

  const judgeKey = (id: OrderId, key: string) => {
    for (const other of laneOf(running, "orderingKey", key))
      report(`${id} started while ${other} of the same key was running`)
    // An order leaves `places` when it is final.
    const place = places.get(id) ?? Infinity
    for (const other of laneOf(places.keys(), "orderingKey", key))
      if ((places.get(other) ?? 0) < place) report(`${id} started before ${other} of the same key`)
  }
  const judgeGroup = (id: OrderId, group: string, at: number) => {
    if (!(group in groupLimits)) return
    const { maxRunning, ratePerSecond } = groupLimits[group as keyof typeof groupLimits]
    const others = laneOf(running, "group", group).length
    if (maxRunning !== null && others >= maxRunning)
      report(`${id} started while ${others} of the group ${group} were running`)
    if (ratePerSecond === null) return
    const times = starts.get(group) ?? []
    starts.set(group, [...times, at])
    // In any period, at most the burst plus the rate times the period.
    for (const [index, time] of times.entries())
      if (times.length - index + 1 > ratePerSecond + (ratePerSecond * (at - time)) / 1000 + 0.01)
        report(`${id} started too soon after ${times.length - index} others of the group ${group}`)
  }

  for (const [index, fact] of facts.entries()) {
    switch (fact.fact) {
      case "placed":
        places.set(fact.id, index)
        break
      case "claimed": {
        const { at, id } = fact
        const order = ofPlan(id)
        if (typeof order?.orderingKey === "string") judgeKey(id, order.orderingKey)
        if (typeof order?.group === "string") judgeGroup(id, order.group, at)
        running.add(id)
        break
      }
      case "settled":
        if (fact.result !== "settled") break
        running.delete(fact.id)
        if (fact.isFinal) places.delete(fact.id)
        break
      case "expired":
        running.delete(fact.id)
        if (fact.status === "FAILED") places.delete(fact.id)
        break
      case "cancel stored":
        if (fact.status === "FAILED") places.delete(fact.id)
        break
    }
  }
}
