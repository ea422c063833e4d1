import { SecureRandom } from "effect/crypto"
import type { NewOrder } from "../domain/Order.ts"
import { OrderId } from "../domain/OrderId.ts"

/** A new order with the given parts, and with defaults for all other parts. */
export const newOrder = (parts: Partial<NewOrder> = {}): NewOrder => ({
  id: OrderId.make(SecureRandom.uuidV7Unsafe()),
  type: "default",
  orderingKey: null,
  group: null,
  payload: {},
  payloadVersion: 1,
  priority: 0,
  maxRetries: 3,
  metadata: {},
  correlationId: "test",
  notBefore: null,
  ...parts
})
