import { Layer } from "effect"
import * as MemoryControlStore from "./control/MemoryControlStore.ts"
import * as MemoryDeadLetterStore from "./dead-letters/MemoryDeadLetterStore.ts"
import * as MemoryIntakeStore from "./intake/MemoryIntakeStore.ts"
import { MemoryOrders } from "./MemoryOrders.ts"
import * as MemoryUpkeepStore from "./upkeep/MemoryUpkeepStore.ts"
import * as MemoryWakeUp from "./wake-ups/MemoryWakeUp.ts"
import * as MemoryOrderReads from "./watch/MemoryOrderReads.ts"
import * as MemoryWorkStore from "./work/MemoryWorkStore.ts"

/** Stores in the memory of this process, with Effect's Clock, for tests and first trials. */
export const layerStores = Layer.mergeAll(
  MemoryIntakeStore.layer,
  MemoryWorkStore.layer,
  MemoryDeadLetterStore.layer,
  MemoryControlStore.layer,
  MemoryOrderReads.layer,
  MemoryUpkeepStore.layer
).pipe(Layer.provide(MemoryOrders.layer))

/** Stores and wake-ups in memory: the whole platform without a database. */
export const layer = Layer.mergeAll(layerStores, MemoryWakeUp.layer)
