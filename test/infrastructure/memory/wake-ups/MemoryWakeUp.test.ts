import * as MemoryWakeUp from "../../../../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import { wakeUpContract } from "../../../../src/testing/WakeUpContract.ts"

wakeUpContract("memory", MemoryWakeUp.layer)
