import * as MemoryOrderQueue from "../../../src/infrastructure/memory/MemoryOrderQueue.ts"
import { orderQueueContract } from "../../../src/testing/OrderQueueContract.ts"

orderQueueContract("memory", MemoryOrderQueue.layer)
