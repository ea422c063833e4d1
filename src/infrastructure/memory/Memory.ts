import { Layer } from "effect"
import * as MemoryWakeUp from "./wake-ups/MemoryWakeUp.ts"
import * as MemoryOrderRepository from "./MemoryOrderRepository.ts"

/** Repository and queue in memory: the whole platform without a database. */
export const layer = Layer.mergeAll(MemoryOrderRepository.layer, MemoryWakeUp.layer)
