import { Layer } from "effect"
import { DatabaseSchema } from "./client/DatabaseSchema.ts"
import * as Migrations from "./Migrations.ts"
import * as PostgresWakeUp from "./wake-ups/PostgresWakeUp.ts"
import * as PostgresStores from "./PostgresStores.ts"

/** Only the stores, on the caller's own `PgClient`. The tables are migrated when the layer is built. */
export const layerStores = PostgresStores.layer.pipe(Layer.provide(Migrations.layer))

/**
 * Stores and wake-ups on the caller's own `PgClient`. The tables are migrated when the layer is built. Wake-ups hold
 * one of the client's connections while a worker listens.
 */
export const layer = Layer.mergeAll(layerStores, PostgresWakeUp.layer)

/**
 * Like `layer`, but without migrating, for tables that `migrate` has prepared. Needs no right to change them. Fails if
 * they do not fit this version.
 */
export const layerMigrated = Layer.mergeAll(
  PostgresStores.layer.pipe(Layer.provide(Migrations.layerCheck)),
  PostgresWakeUp.layer
)

/**
 * `layer` in a separate database schema, with its own tables, functions and channel. Several such layers can
 * share one database, process and client.
 */
export const layerInSchema = (schema: string) =>
  Layer.fresh(layer).pipe(Layer.provide(Layer.succeed(DatabaseSchema, schema)))

export { parseDatabaseUrl } from "./client/DatabaseUrl.ts"
export { DatabaseRefuses } from "./client/DatabaseRefuses.ts"
export { type Connection, layerClient } from "./client/PostgresClient.ts"
export { migrate, MigrationsDoNotFit } from "./Migrations.ts"
export { DatabaseSchema } from "./client/DatabaseSchema.ts"
export { CallTimeLimit } from "./client/CatchSqlErrors.ts"
export { warnAboutDurability } from "./client/ServerChecks.ts"
export { StartTimeout } from "./client/StartTimeout.ts"
