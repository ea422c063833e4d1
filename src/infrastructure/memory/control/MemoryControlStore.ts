import { DateTime, Effect, Layer } from "effect"
import { ControlStore } from "../../../application/ports/ControlStore.ts"
import { unnamedOperator } from "../../../domain/Audit.ts"
import { isCancelled, isDue, type Order } from "../../../domain/Order.ts"
import { OrderNotFound, OrderStateConflict, OrderVersionMismatch } from "../../../domain/OrderErrors.ts"
import type { OrderId } from "../../../domain/OrderId.ts"
import { cancel, hasten } from "../../../domain/OrderTransitions.ts"
import { scopeName } from "../../../domain/Pauses.ts"
import { byCodePoint } from "../ByCodePoint.ts"
import { atNow, copyOf, MemoryOrders } from "../MemoryOrders.ts"
import { countDueOf } from "../work/DueOrders.ts"

/** The most workers that one call returns. */
const maxWorkers = 1000

/** The most types that one call returns. */
const maxTypes = 100

const conflict = ({ id, status }: Order, message: string) =>
  Effect.fail(new OrderStateConflict({ orderId: id, orderStatus: status, message }))

type Cancel = ControlStore["Service"]["cancel"]

const cancelOrder = (
  { orders, requestCancel, store }: MemoryOrders["Service"],
  id: OrderId,
  { ifVersion, reason }: Parameters<Cancel>[1]
): ReturnType<Cancel> =>
  Effect.flatten(
    atNow((at): ReturnType<Cancel> => {
      const order = orders.get(id)?.order
      if (order === undefined) return Effect.fail(new OrderNotFound({ orderId: id }))
      if (ifVersion !== undefined && order.version !== ifVersion)
        return Effect.fail(new OrderVersionMismatch({ orderId: id }))
      switch (order.status) {
        case "PENDING":
          return Effect.succeed(copyOf(store(cancel(order, reason, at))))
        case "PROCESSING":
          return Effect.succeed(
            copyOf(
              order.cancelRequested === null ? requestCancel({ ...order, cancelRequested: reason }) : order
            )
          )
        default:
          return isCancelled(order)
            ? Effect.succeed(copyOf(order))
            : conflict(order, `The order is ${order.status} and cannot be cancelled.`)
      }
    })
  )

type Run = ControlStore["Service"]["run"]

const runOrder = (
  { audit, orders, store }: MemoryOrders["Service"],
  [id, operator]: Parameters<Run>
): ReturnType<Run> =>
  Effect.flatten(
    atNow((at): ReturnType<Run> => {
      const order = orders.get(id)?.order
      if (order === undefined) return Effect.fail(new OrderNotFound({ orderId: id }))
      if (order.status !== "PENDING") return conflict(order, `The order is ${order.status}, not PENDING.`)
      if (isDue(order, at)) return conflict(order, "The order is already due.")
      audit.record("run", id, null, operator, at)
      return Effect.succeed(copyOf(store(hasten(order, at))))
    })
  )

export const layer = Layer.effect(
  ControlStore,
  Effect.gen(function* () {
    const memory = yield* MemoryOrders
    const { audit, groups, keys, lanes, orders, pauses, workers } = memory

    return ControlStore.of({
      cancel: (id, options) => cancelOrder(memory, id, options),
      run: (...call) => runOrder(memory, call),
      pause: ({ group, reason, resumeAt, type }, operator = unnamedOperator) =>
        atNow((at) => {
          pauses.set({ type, group, reason, resumeAt, by: operator.by, since: at })
          audit.record("pause", scopeName({ type, group }), reason, operator, at)
        }),
      resume: (scope, operator) =>
        atNow((at) => {
          if (pauses.end(scope, at)) audit.record("resume", scopeName(scope), null, operator, at)
        }),
      pauses: atNow(pauses.inForce),
      setGroupLimits: (group, { maxPending, maxRunning, ratePerSecond }, operator) =>
        atNow((at) => {
          groups.limits.set(group, { maxRunning, ratePerSecond, maxPending })
          audit.record("set group limits", `group ${group}`, null, operator, at)
        }),
      deleteGroupLimits: (group, operator) =>
        atNow((at) => {
          const found = groups.limits.delete(group)
          if (found) audit.record("delete group limits", `group ${group}`, null, operator, at)
          return found
        }),
      groups: ({ after, limit }) =>
        Effect.sync(() =>
          Array.from(groups.limits, ([group, limits]) => ({ group, ...limits }))
            .filter(({ group }) => byCodePoint(group, after) > 0)
            .sort((a, b) => byCodePoint(a.group, b.group))
            .slice(0, limit)
        ),
      workers: atNow((at) =>
        [...workers.alive(at)]
          .sort((a, b) => DateTime.Order(a.startedAt, b.startedAt) || byCodePoint(a.id, b.id))
          .slice(0, maxWorkers)
      ),
      typesWithoutWorker: atNow((at) => {
        const inLanes = lanes().flatMap((lane) => (countDueOf(lane, at) > 0 ? [lane.type] : []))
        const next = keys.next().flatMap((id) => {
          const order = orders.get(id)?.order
          return order?.status === "PENDING" && isDue(order, at) ? [order.type] : []
        })
        const due = new Set([...inLanes, ...next])
        return Array.from(due)
          .filter((type) => !workers.takes(type, at))
          .sort(byCodePoint)
          .slice(0, maxTypes)
      }),
      audit: ({ before, limit }) =>
        Effect.sync(() =>
          audit.entries
            .filter(({ number }) => before === null || number < before)
            .reverse()
            .slice(0, limit)
        ),
      afterCommit: (effect) => effect
    })
  })
)
