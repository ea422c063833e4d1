// order-platform/testing/conformance: what every adapter must do, as suites of @effect/vitest to run in your own tests.

export { wakeUpContract } from "./testing/WakeUpContract.ts"
export {
  deadLetterStoreContract,
  intakeStoreContract,
  orderReadsContract,
  storesContract,
  upkeepStoreContract,
  workStoreContract
} from "./testing/StoresContract.ts"
export type { SetStoreClock, StoreContract } from "./testing/StoreScenario.ts"
