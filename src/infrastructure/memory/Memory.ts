import { Layer } from "effect"
import * as MemoryWakeUp from "./wake-ups/MemoryWakeUp.ts"
import * as MemoryStores from "./MemoryStores.ts"

/** Repository and queue in memory: the whole platform without a database. */
export const layer = Layer.mergeAll(MemoryStores.layer, MemoryWakeUp.layer)
