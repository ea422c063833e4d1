import { Layer } from "effect"
import * as MemoryOrderQueue from "./MemoryOrderQueue.ts"
import * as MemoryOrderRepository from "./MemoryOrderRepository.ts"

/** Repository and queue in memory: the whole platform without a database. */
export const layer = Layer.mergeAll(MemoryOrderRepository.layer, MemoryOrderQueue.layer)
