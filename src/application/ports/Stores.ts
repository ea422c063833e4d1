import type { DeadLetterStore } from "./DeadLetterStore.ts"
import type { IntakeStore } from "./IntakeStore.ts"
import type { OrderReads } from "./OrderReads.ts"
import type { UpkeepStore } from "./UpkeepStore.ts"
import type { WorkStore } from "./WorkStore.ts"

/**
 * The stores of one set of orders, for layer signatures. An adapter provides all of them over the same data: orders, their
 * history and the dead letter queue are one record.
 */
export type Stores = IntakeStore | WorkStore | DeadLetterStore | OrderReads | UpkeepStore
