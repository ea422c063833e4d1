import { DateTime, Duration, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { inject } from "vitest"
import { DatabaseSchema } from "../src/infrastructure/postgres/client/DatabaseSchema.ts"
import type { Programs } from "./BundledProgram.ts"
import * as Postgres from "../src/infrastructure/postgres/Postgres.ts"

/** The database of the test run: the one it started, or DATABASE_URL. */
export const databaseUrl = (): string => inject("databaseUrl")

/** The files of the programs that a test may start as processes. */
export const programs = (): Programs => inject("programs")

/** The environment with which the processes of a test run share Node's compile cache. */
export const compileCache: Readonly<Record<string, string>> =
  process.env["NODE_COMPILE_CACHE"] === undefined
    ? {}
    : { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] }

/** A client on a new schema, which is dropped at the end, since test files run concurrently in one database. */
export const ownSchema = (
  options: {
    readonly maxConnections?: number
    readonly statementTimeout?: Duration.Duration
    readonly url?: string
  } = {}
) => {
  const schema = `test_${globalThis.crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`
  const client = Postgres.layerClient({
    url: Redacted.make(options.url ?? databaseUrl()),
    maxConnections: options.maxConnections ?? 4,
    prepare: true,
    acquireTimeout: Duration.seconds(5),
    statementTimeout: options.statementTimeout ?? Duration.seconds(15)
  })
  const dropped = Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.addFinalizer(() => Effect.ignore(sql`DROP SCHEMA IF EXISTS ${sql(schema)} CASCADE`))
    })
  )
  return Layer.mergeAll(dropped, Layer.succeed(DatabaseSchema, schema)).pipe(Layer.provideMerge(client))
}

/** PostgreSQL stores on a new schema. */
export const layer = Layer.suspend(() => Postgres.layerStores.pipe(Layer.provideMerge(ownSchema())))

/** Stops the database's clock at a time, by replacing the functions that return the time. */
export const setDatabaseClock = Effect.fnUntraced(function* (time: DateTime.Utc) {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  for (const [name, kind] of [
    ["order_platform_now", "STABLE PARALLEL SAFE"],
    ["order_platform_clock", "VOLATILE"]
  ] as const)
    yield* sql.unsafe(
      `CREATE OR REPLACE FUNCTION "${schema}".${name}() RETURNS timestamptz LANGUAGE sql ${kind}
       AS $$ SELECT timestamptz '${DateTime.formatIso(time)}' $$`
    )
})
