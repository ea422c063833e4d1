import type { ControlStore } from "./ControlStore.ts"
import type { DeadLetterStore } from "./DeadLetterStore.ts"
import type { IntakeStore } from "./IntakeStore.ts"
import type { OrderReads } from "./OrderReads.ts"
import type { UpkeepStore } from "./UpkeepStore.ts"
import type { WorkStore } from "./WorkStore.ts"

/**
 * All store ports as one union type, for layer signatures. An adapter provides all stores over the same data,
 * because an order, its history and its dead letter change in one transaction.
 */
export type Stores = IntakeStore | WorkStore | DeadLetterStore | ControlStore | OrderReads | UpkeepStore
