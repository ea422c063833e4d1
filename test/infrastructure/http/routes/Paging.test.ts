import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { OrderPlatform } from "../../../../src/application/OrderPlatform.ts"
import { storesOf } from "../../../../src/testing/AllStores.ts"
import * as OrderPayload from "../../../../src/domain/OrderPayload.ts"
import * as MemoryWakeUp from "../../../../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import { newOrder } from "../../../TestOrders.ts"
import * as TestPostgres from "../../../TestPostgres.ts"
import { serve } from "../TestServer.ts"

const payload = OrderPayload.anyJsonObject

/** The HTTP API on orders in PostgreSQL. */
const served = Effect.gen(function* () {
  const services = yield* Layer.build(
    OrderPlatform.layer(payload).pipe(
      Layer.provideMerge(Layer.mergeAll(TestPostgres.layer, MemoryWakeUp.layer))
    )
  )
  const server = yield* serve(payload, Context.get(services, OrderPlatform.service(payload)))
  return { ...server, stores: storesOf(services) }
})

it.live(
  "paging over 10,000 orders while others are submitted returns each once, and its cursors fit no other query",
  () =>
    Effect.gen(function* () {
      const { call, stores } = yield* served
      const there: Array<string> = []
      for (let n = 0; n < 20; n++) {
        const orders = Array.from({ length: 500 }, (_, k) => newOrder({ metadata: { half: String(k % 2) } }))
        yield* stores.intake.submit(orders)
        there.push(...orders.map(({ id }) => id))
      }
      let created = 0
      const create = Effect.tap(call("/orders", { method: "POST" }), ({ status }) =>
        Effect.sync(() => {
          assert.strictEqual(status, 202)
          created++
        })
      )
      const creating = yield* Effect.forkChild(Effect.forever(Effect.all([create, create, create, create])))

      const follow = Effect.fnUntraced(function* (query: string) {
        const seen: Array<string> = []
        const cursors: Array<string> = []
        for (let cursor = ""; ;) {
          const answer = yield* call(`/orders?limit=200${query}${cursor}`)
          assert.strictEqual(answer.status, 200, answer.text)
          const page = answer.json as {
            readonly orders: ReadonlyArray<{ readonly id: string }>
            readonly nextCursor: string | null
          }
          seen.push(...page.orders.map(({ id }) => id))
          if (page.nextCursor === null) return { seen, cursors }
          cursors.push(page.nextCursor)
          cursor = `&cursor=${page.nextCursor}`
        }
      })
      const all = yield* follow("")
      const half = yield* follow("&metadata.half=1")
      assert.isAbove(created, 50)
      yield* Fiber.interrupt(creating)

      assert.strictEqual(new Set(all.seen).size, all.seen.length)
      const seen = new Set(all.seen)
      assert.deepStrictEqual(
        there.filter((id) => !seen.has(id)),
        []
      )
      assert.isAtLeast(all.cursors.length, 49)
      assert.strictEqual(new Set(half.seen).size, 5000)
      assert.strictEqual(half.seen.length, 5000)

      for (const [cursor = "", others] of [
        [all.cursors[25], ["status=PENDING", "metadata.half=1", "retrying=true"]],
        [half.cursors[12], ["", "metadata.half=0", "metadata.half=1&status=PENDING"]]
      ] as const) {
        for (const query of others) {
          const answer = yield* call(`/orders?${query}&cursor=${cursor}`)
          assert.strictEqual(answer.status, 400, query)
          assert.include(answer.text, '"in":"query","path":["cursor"]')
        }
      }
    })
)
