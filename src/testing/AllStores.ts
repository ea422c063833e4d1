import { Context, Effect } from "effect"
import { ControlStore } from "../application/ports/ControlStore.ts"
import { DeadLetterStore } from "../application/ports/DeadLetterStore.ts"
import { IntakeStore } from "../application/ports/IntakeStore.ts"
import { OrderReads } from "../application/ports/OrderReads.ts"
import type { Stores } from "../application/ports/Stores.ts"
import { UpkeepStore } from "../application/ports/UpkeepStore.ts"
import { WorkStore } from "../application/ports/WorkStore.ts"

/** All stores in one record. */
export const storesOf = (context: Context.Context<Stores>) => ({
  intake: Context.get(context, IntakeStore),
  work: Context.get(context, WorkStore),
  deadLetters: Context.get(context, DeadLetterStore),
  control: Context.get(context, ControlStore),
  reads: Context.get(context, OrderReads),
  upkeep: Context.get(context, UpkeepStore)
})

export type AllStores = ReturnType<typeof storesOf>

/** The stores of the surrounding layer, for tests that follow an order through several stores. */
export const allStores: Effect.Effect<AllStores, never, Stores> = Effect.map(
  Effect.context<Stores>(),
  storesOf
)
