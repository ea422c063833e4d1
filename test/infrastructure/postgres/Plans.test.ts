import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { ProcessingOrder } from "../../../src/domain/Order.ts"
import { OrderId } from "../../../src/domain/OrderId.ts"
import { DatabaseSchema } from "../../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import { settleOrders } from "../../../src/infrastructure/postgres/work/SettleOrders.ts"
import * as TestPostgres from "../../TestPostgres.ts"
import { explained } from "./Explained.ts"
import { plansContract } from "./plansContract.ts"

plansContract(60_000, 20_000)

layer(TestPostgres.layer)("a settle planned while the table was empty", (it) => {
  it.effect("does not scan it once it has grown", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const schema = yield* DatabaseSchema
      const settle = settleOrders(sql, schema)
      const order = (n: number) =>
        ({
          id: OrderId.make(`00000000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`),
          version: 2,
          retryCount: 0,
          worker: "w"
        }) as ProcessingOrder
      const settling = settle(
        Array.from({ length: 10 }, (_, n) => ({ order: order(n), outcome: { event: "completed" } }))
      )
      // On one connection, which keeps the plan from the sixth execution on.
      yield* sql.withTransaction(
        Effect.gen(function* () {
          for (let n = 0; n < 8; n++) yield* settling
          yield* sql.unsafe(`
            INSERT INTO "${schema}".orders (id, status, version, max_retries, priority, due_at, created_at, updated_at,
              correlation_id, payload_version, payload, metadata)
            SELECT gen_random_uuid(), 'PENDING', 1, 3, 0, now(), now(), now(), 'c', 1, '{}', '{}' FROM generate_series(1, 20000)`)
          const { pages, scannedInside } = yield* explained(settling)
          assert.deepStrictEqual(scannedInside, [])
          assert.isBelow(pages, 300)
        })
      )
    })
  )
})
