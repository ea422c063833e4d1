import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, ManagedRuntime, Redacted } from "effect"
import { SqlClient } from "effect/sql"

/** A few direct connections to PostgreSQL for the chaos program itself. */
export interface Sql {
  readonly query: <Row extends object>(
    statement: string,
    parameters?: ReadonlyArray<unknown>
  ) => Promise<ReadonlyArray<Row>>
  readonly close: () => Promise<void>
}

/** Connects to a running PostgreSQL. A query that takes longer than a minute fails. */
export const connect = (url: string): Sql => {
  const runtime = ManagedRuntime.make(
    PgClient.layerFrom(
      PgClient.make({ url: Redacted.make(url), maxConnections: 2, applicationName: "chaos" })
    )
  )
  return {
    query: (statement, parameters = []) =>
      runtime.runPromise(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement, parameters)).pipe(
          Effect.timeout(Duration.minutes(1))
        )
      ) as Promise<ReadonlyArray<never>>,
    close: () => runtime.dispose()
  }
}
