import { DateTime, Schema } from "effect"
import type { NewOrder } from "../../src/domain/Order.ts"
import { OrderId } from "../../src/domain/OrderId.ts"
import * as OrderPayload from "../../src/domain/OrderPayload.ts"
import type { Behaviour, Plan } from "./Facts.ts"
import type { Seed } from "./SeededScheduler.ts"

/** The payload of the simulated orders. */
export const payload = OrderPayload.make(Schema.Struct({ drink: Schema.String }))
/** An order and what its runs will do: at most five failures, and then a final success or failure. */
export const plan = (seed: Seed, number: number, now: number): Plan => {
  const digits = (length: number) =>
    seed
      .between(0, 16 ** length - 1)
      .toString(16)
      .padStart(length, "0")
  const id = OrderId.make(`00000000-${digits(4)}-7${digits(3)}-8000-${number.toString(16).padStart(12, "0")}`)
  const undecodable = seed.chance(0.03)
  const order: NewOrder = {
    id,
    type: "default",
    orderingKey: seed.pick([null, null, "k1", "k2"]),
    group: seed.pick([null, null, null, "narrow", "slow", "free"]),
    payload: undecodable ? { dish: "soup" } : { drink: "tea" },
    payloadVersion: 1,
    priority: seed.pick([0, 0, 5, 9]),
    maxRetries: seed.pick([0, 1, 2, 3, 3, 4, 6]),
    metadata: {},
    correlationId: `order ${number}`,
    notBefore: seed.chance(0.2) ? DateTime.makeUnsafe(now + seed.between(-2000, 5000)) : null
  }
  const troubles = Array.from({ length: seed.pick([0, 0, 0, 0, 1, 1, 1, 2, 3, 5]) }, () => trouble(seed))
  const end = seed.pick<Behaviour>([
    ...Array.from({ length: 8 }, () => ({ does: "succeed" }) as const),
    { does: "be slow", millis: seed.between(500, 4000) },
    { does: "fail" },
    { does: "fail permanently" },
    { does: "write and fail" },
    { does: "throw" }
  ])
  return { order, behaviours: [...troubles, end], writes: seed.chance(0.4), undecodable }
}

const trouble = (seed: Seed): Behaviour =>
  seed.pick<Behaviour>([
    { does: "fail" },
    { does: "fail" },
    { does: "fail" },
    { does: "fail with delay", millis: seed.between(0, 3000) },
    { does: "snooze", millis: seed.between(0, 2500) },
    { does: "throw" },
    { does: "throw" },
    { does: "hang" },
    // Longer than a lease, and sometimes longer than the attempt timeout.
    { does: "be slow", millis: seed.between(2000, 12_000) },
    { does: "write and fail" },
    { does: "write and snooze", millis: seed.between(0, 2000) },
    { does: "write and fail permanently" }
  ])
