import * as MemoryOrderQueue from "../../../src/infrastructure/memory/MemoryOrderQueue.ts"
import { orderQueueContract } from "../../application/ports/orderQueueContract.ts"

orderQueueContract("memory", MemoryOrderQueue.layer)
