import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { neededRights } from "../../../src/infrastructure/postgres/client/ServerChecks.ts"
import * as Postgres from "../../../src/infrastructure/postgres/Postgres.ts"
import { databaseUrl, ownSchema } from "../../TestPostgres.ts"
import { outcomeOf, shortCases } from "./DatabaseSettings.ts"

describe("the rights that a start checks", () => {
  it.live("cover every table that the migrations create", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* Postgres.migrate
      const tables = yield* sql<{ readonly name: string }>`
        SELECT tablename AS name FROM pg_tables WHERE schemaname = ${yield* DatabaseSchema}`
      assert.sameMembers(
        tables.map(({ name }) => name),
        Object.keys(neededRights)
      )
    }).pipe(Effect.provide(ownSchema()))
  )
})

describe("a database or a role with", () => {
  for (const given of shortCases) {
    const what =
      given.expected === "works" ? "takes an order through every way" : "is refused in one sentence"
    it.live(`${given.name} ${what}`, () =>
      Effect.gen(function* () {
        const outcome = yield* outcomeOf(databaseUrl(), given)
        if (given.expected === "works") return assert.strictEqual(outcome, "works")
        assert.match(outcome, given.expected)
        assert.notInclude(outcome, "\n")
      }).pipe(Effect.scoped)
    )
  }
})
