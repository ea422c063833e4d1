import { Effect } from "effect"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { storesContract } from "../../../src/testing/StoresContract.ts"

storesContract("memory", Memory.layerStores, () => Effect.void)
