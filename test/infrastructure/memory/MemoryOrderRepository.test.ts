import { Effect } from "effect"
import * as MemoryOrderRepository from "../../../src/infrastructure/memory/MemoryOrderRepository.ts"
import { orderRepositoryContract } from "../../../src/testing/OrderRepositoryContract.ts"

orderRepositoryContract("memory", MemoryOrderRepository.layer, () => Effect.void)
