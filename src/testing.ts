// order-platform/testing: for the tests of apps that embed the platform. No test framework is needed.

export { newOrder } from "./testing/NewOrders.ts"
export { layer, type TestServices, type TestSettings } from "./testing/PlatformInTests.ts"
export { scriptedProcessor, type ScriptedProcessor, type Step } from "./testing/ScriptedProcessor.ts"
export { awaitStatus, drain, NeverHappened, pass, settled } from "./testing/VirtualTime.ts"
