import { Context } from "effect"

/** The database schema that every table, function and trigger lives in; two platforms in one database have two. */
export const DatabaseSchema = Context.Reference<string>(
  "order-platform/infrastructure/postgres/DatabaseSchema",
  {
    defaultValue: () => "public"
  }
)
