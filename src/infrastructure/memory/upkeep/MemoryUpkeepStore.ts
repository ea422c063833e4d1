import { DateTime, Effect, Layer } from "effect"
import { UpkeepStore } from "../../../application/ports/UpkeepStore.ts"
import { atNow, MemoryOrders } from "../MemoryOrders.ts"

export const layer = Layer.effect(
  UpkeepStore,
  Effect.gen(function* () {
    const { answers, failureGroups, groups, inStatus, remove } = yield* MemoryOrders

    return UpkeepStore.of({
      deleteOldOrders: (status, age, max) =>
        atNow((at) => {
          const old = inStatus(status)
            .filter(({ updatedAt }) => DateTime.isLessThan(updatedAt, DateTime.subtractDuration(at, age)))
            .sort((a, b) => DateTime.Order(a.updatedAt, b.updatedAt))
            .slice(0, max)
          for (const order of old) remove(order)
          return old.length
        }),
      deleteExpiredKeys: (max) =>
        atNow((at) => {
          const expired = Array.from(answers).filter(([, { expiresAt }]) =>
            DateTime.isLessThanOrEqualTo(expiresAt, at)
          )
          for (const [name] of expired.slice(0, max)) answers.delete(name)
          return Math.min(max, expired.length)
        }),
      deleteIdleGroups: (max) => atNow((at) => groups.deleteIdle(max, at)),
      deleteIdleFailureGroups: (max) => atNow((at) => failureGroups.deleteIdle(max, at))
    })
  })
)
