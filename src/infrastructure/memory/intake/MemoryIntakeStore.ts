import { DateTime, Duration, Effect, Layer } from "effect"
import { IntakeStore, type KeyedOrders, type StoredAnswer } from "../../../application/ports/IntakeStore.ts"
import { noLimits } from "../../../domain/Groups.ts"
import type { NewOrder } from "../../../domain/Order.ts"
import { submit } from "../../../domain/OrderTransitions.ts"
import { atNow, copyPayload, MemoryOrders, ratePerSecond } from "../MemoryOrders.ts"
import { countDueOf } from "../work/DueOrders.ts"

type Key = Pick<KeyedOrders, "scope" | "key">

const nameOf = ({ key, scope }: Key) => JSON.stringify([scope, key])

/** `inTransaction` is always false, because there are no transactions in memory. */
export const layer = Layer.effect(
  IntakeStore,
  Effect.gen(function* () {
    const { answers, groups, inStatus, keys, lanes, orders, store } = yield* MemoryOrders

    const submitAll = (batch: ReadonlyArray<NewOrder>, at: DateTime.Utc) => {
      for (const order of batch)
        if (!orders.has(order.id)) store(submit({ ...order, payload: copyPayload(order.payload) }, at))
    }

    const findAnswer = (key: Key, at: DateTime.Utc): StoredAnswer | null => {
      const stored = answers.get(nameOf(key))
      return stored !== undefined && DateTime.isGreaterThan(stored.expiresAt, at) ? stored : null
    }

    const submitKeyed = (keyed: KeyedOrders, at: DateTime.Utc): StoredAnswer => {
      const stored = findAnswer(keyed, at)
      if (stored !== null) return stored
      const { answer, fingerprint, keepFor, requestId } = keyed
      const expiresAt = DateTime.addDuration(at, keepFor)
      answers.set(nameOf(keyed), { answer, fingerprint, requestId, expiresAt })
      submitAll(keyed.orders, at)
      return keyed
    }

    return IntakeStore.of({
      submit: (batch, keyed = []) =>
        atNow((at) => {
          submitAll(batch, at)
          return keyed.map((each) => submitKeyed(each, at))
        }),
      findAnswer: (key) => atNow((at) => findAnswer(key, at)),
      countDue: (max) =>
        atNow((at) => {
          const due = lanes().reduce((sum, lane) => sum + countDueOf(lane, at), keys.countWaiting())
          const final = [...inStatus("PROCESSED"), ...inStatus("FAILED")].map(({ updatedAt }) => updatedAt)
          return { due: Math.min(max + 1, due), drainPerSecond: due > max ? ratePerSecond(final, at) : 0 }
        }),
      countScheduled: (max, room) =>
        atNow((at) => {
          const times = lanes()
            .flatMap((lane) => lane.orders.slice(countDueOf(lane, at)).map(({ dueAt }) => dueAt))
            .sort(DateTime.Order)
          const next = times.length > max ? times[room - 1] : undefined
          const roomIn = next === undefined ? Duration.infinity : DateTime.distance(at, next)
          return {
            scheduled: Math.min(max + 1, times.length),
            roomIn: Duration.isGreaterThan(roomIn, Duration.hours(1)) ? Duration.infinity : roomIn
          }
        }),
      countPendingOfGroups: (names, defaultMax) =>
        Effect.sync(() => {
          const counts = new Map<string, number>()
          for (const { group } of inStatus("PENDING"))
            if (group !== null) counts.set(group, (counts.get(group) ?? 0) + 1)
          return names.flatMap((group) => {
            const { maxPending } = groups.limitsOf(group, { ...noLimits, maxPending: defaultMax })
            if (maxPending === null) return []
            return [{ group, pending: Math.min(maxPending + 1, counts.get(group) ?? 0), maxPending }]
          })
        }),
      inTransaction: Effect.succeed(false),
      afterCommit: (effect) => effect
    })
  })
)
