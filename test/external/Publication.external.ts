import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { UpkeepStore } from "../../src/application/ports/UpkeepStore.ts"
import * as Postgres from "../../src/infrastructure/postgres/Postgres.ts"
import { everyWay, fullCircle } from "../infrastructure/postgres/FullCircle.ts"
import { connected, ownServer } from "./OwnServer.ts"
import { storesOn } from "./StoresOn.ts"

describe("a publication for all tables", () => {
  it.live("allows a full circle of an order, and its deletion by retention", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer({ settings: { wal_level: "logical" } })
      yield* query("CREATE PUBLICATION everything FOR ALL TABLES")
      // With such a publication, a table without a primary key cannot be updated.
      yield* query("CREATE TABLE without_key AS SELECT 1 AS n")
      const refused = yield* Effect.exit(query("UPDATE without_key SET n = 2"))
      assert.strictEqual(refused._tag, "Failure")
      yield* query("SELECT 1 AS made FROM pg_create_logical_replication_slot('reader', 'pgoutput')")
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* fullCircle, everyWay)
        yield* Effect.sleep("10 millis")
        const upkeep = yield* UpkeepStore
        assert.strictEqual(yield* upkeep.deleteOldOrders("PROCESSED", Duration.millis(1), 10), 2)
        yield* upkeep.deleteExpiredKeys(10)
        yield* Postgres.migrate
      }).pipe(Effect.provide(storesOn(url)))
      const [changes] = yield* query(
        "SELECT count(*)::int AS n FROM pg_logical_slot_peek_binary_changes('reader', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything')"
      )
      assert.isAbove(Number(changes?.["n"]), 20)
      yield* (yield* connected(url))("SELECT 1 AS done FROM pg_drop_replication_slot('reader')")
    }).pipe(Effect.scoped)
  )
})
