// order-platform/testing/conformance: suites of @effect/vitest that test the adapters of an app against the ports.

export { wakeUpContract } from "./testing/WakeUpContract.ts"
export {
  controlStoreContract,
  deadLetterStoreContract,
  intakeStoreContract,
  orderReadsContract,
  storesContract,
  upkeepStoreContract,
  workStoreContract
} from "./testing/StoresContract.ts"
export type { SetStoreClock, StoreContract } from "./testing/StoreScenario.ts"
