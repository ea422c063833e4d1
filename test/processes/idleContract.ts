import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { databaseUrl } from "../TestPostgres.ts"
import { onSchemaOfItsOwn, start } from "./OrderPlatformProcess.ts"

/** Counts for so many seconds what an idle API and an idle worker ask; per minute it must be less than 120 statements. */
export const idleContract = (seconds: number) =>
  it.live("an API and a worker that have nothing to do ask the database less than 120 times a minute", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      // A database of its own, so that its transactions are those of the two alone: one a statement, as nothing is written.
      const name = `idle_${globalThis.crypto.randomUUID().slice(0, 8)}`
      yield* Effect.acquireRelease(sql`CREATE DATABASE ${sql(name)}`, () =>
        Effect.ignore(sql`DROP DATABASE ${sql(name)} WITH (FORCE)`)
      )
      const url = new URL(databaseUrl())
      url.pathname = `/${name}`
      const settings = { DATABASE_URL: url.href, ORDER_QUEUE: "postgres" }
      yield* Effect.all([start(settings, ["api"]), start(settings, ["worker"])], { concurrency: 2 })
      const transactions = Effect.map(
        sql<{
          readonly n: number
        }>`SELECT (xact_commit + xact_rollback)::int AS n FROM pg_stat_database WHERE datname = ${name}`,
        ([row]) => row?.n ?? Number.NaN
      )
      // A backend tells its figures when it has been idle for a second, so those of the start are in by then.
      yield* Effect.sleep("2500 millis")
      const before = yield* transactions
      yield* Effect.sleep(seconds * 1000)
      const statements = (yield* transactions) - before
      if (seconds >= 60) console.log(`${statements} statements in ${seconds} s`)
      assert.isAbove(statements, seconds / 6, "what was counted is what they do")
      // Figures of the moment before may come in late: of a whole minute that does not matter, of some seconds it does.
      assert.isBelow(statements, 2 * seconds + (seconds < 60 ? 6 : 0))
    }).pipe(onSchemaOfItsOwn)
  )
