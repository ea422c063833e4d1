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
            WITH stored AS (
              INSERT INTO "${schema}".orders (id, status, version, max_retries, priority, type, ordering_key, group_name, due_at,
                created_at, updated_at, correlation_id, payload_version, payload, metadata)
              SELECT gen_random_uuid(), 'PENDING', 1, 3, 0, 'default', '', '', now(), now(), now(), 'c', 1, '{}', '{}'
              FROM generate_series(1, 20000)
              RETURNING *
            ), final AS (
              INSERT INTO "${schema}".order_final (status, final_at, order_id, created_at)
              SELECT 'PROCESSED', created_at, id, created_at FROM stored
            ), running AS (
              INSERT INTO "${schema}".order_running (worker, order_id, type, group_name) SELECT 'w', id, type, '' FROM stored
            )
            INSERT INTO "${schema}".order_due (priority, group_name, type, due_at, order_id, is_retry)
            SELECT priority, group_name, type, due_at, id, false FROM stored`)
          const { pages, scannedInside } = yield* explained(settling)
          assert.deepStrictEqual(scannedInside, [])
          assert.isBelow(pages, 300)
        })
      )
    })
  )
})
