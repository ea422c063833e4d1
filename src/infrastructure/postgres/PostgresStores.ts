import { Layer } from "effect"
import * as PostgresControlStore from "./control/PostgresControlStore.ts"
import * as PostgresDeadLetterStore from "./dead-letters/PostgresDeadLetterStore.ts"
import { Database } from "./client/Database.ts"
import * as PostgresIntakeStore from "./intake/PostgresIntakeStore.ts"
import * as PostgresUpkeepStore from "./upkeep/PostgresUpkeepStore.ts"
import * as PostgresOrderReads from "./watch/PostgresOrderReads.ts"
import * as PostgresWorkStore from "./work/PostgresWorkStore.ts"

/** All stores in PostgreSQL on the `SqlClient` of the app; the tables must have been migrated. */
export const layer = Layer.mergeAll(
  PostgresIntakeStore.layer,
  PostgresWorkStore.layer,
  PostgresDeadLetterStore.layer,
  PostgresControlStore.layer,
  PostgresOrderReads.layer,
  PostgresUpkeepStore.layer
).pipe(Layer.provide(Database.layer))
