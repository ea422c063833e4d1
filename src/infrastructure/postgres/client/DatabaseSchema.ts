import { Context } from "effect"

/**
 * The database schema of every table, function and trigger. Platforms that share a database need different ones.
 * `public` by default.
 */
export const DatabaseSchema = Context.Reference<string>(
  "order-platform/infrastructure/postgres/DatabaseSchema",
  {
    defaultValue: () => "public"
  }
)
