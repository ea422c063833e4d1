import { Context } from "effect"

/**
 * The database schema of every table, function and trigger; `public` by default. If two deployments share a
 * database, each needs its own schema.
 */
export const DatabaseSchema = Context.Reference<string>(
  "order-platform/infrastructure/postgres/DatabaseSchema",
  {
    defaultValue: () => "public"
  }
)
