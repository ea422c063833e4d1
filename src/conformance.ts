// order-platform/testing/conformance: what every adapter must do, as suites of @effect/vitest to run on one's own.

export { wakeUpContract } from "./testing/WakeUpContract.ts"
export { storesContract, type SetStoreClock } from "./testing/StoresContract.ts"
