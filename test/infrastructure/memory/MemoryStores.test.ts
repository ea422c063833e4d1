import { Effect } from "effect"
import * as MemoryStores from "../../../src/infrastructure/memory/MemoryStores.ts"
import { storesContract } from "../../../src/testing/StoresContract.ts"

storesContract("memory", MemoryStores.layer, () => Effect.void)
