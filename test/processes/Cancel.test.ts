import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { awaitStatus, call, start, submit, timeline, withOwnSchema } from "./OrderPlatformProcess.ts"

const hourMs = 3_600_000

describe("a cancel by one process of an order that another one runs", () => {
  it.live(
    "interrupts the attempt within two seconds, although the worker polls once an hour and has no free slot",
    () =>
      Effect.gen(function* () {
        const settings = { ORDER_QUEUE: "postgres", ORDER_WORKER_POLL_INTERVAL_MS: hourMs }
        const [api] = yield* Effect.all(
          [
            start(settings, { arguments: ["api"] }),
            start(
              { ...settings, ORDER_WORKER_CONCURRENCY: 1, ORDER_WORKER_PROCESSING_DELAY_MS: hourMs },
              { arguments: ["worker"] }
            )
          ],
          { concurrency: 2 }
        )
        const took: Array<number> = []
        for (let n = 0; n < 5; n++) {
          const id = yield* submit(api)
          yield* awaitStatus("PROCESSING", api, id)
          const { status } = yield* call(`${api.url}/orders/${id}/cancel`, { method: "POST" })
          const answeredAt = Date.now()
          assert.strictEqual(status, 202)
          yield* awaitStatus("FAILED", api, id)
          const last = (yield* timeline(api, id)).at(-1)
          assert.deepStrictEqual(
            [last?.event, last?.reasonCode, last?.attempt],
            ["cancelled", "CANCELLED", 1]
          )
          took.push(Date.parse(last?.at ?? "") - answeredAt)
        }
        const [, , median = Infinity, , most = Infinity] = took.toSorted((a, b) => a - b)
        assert.isBelow(most, 2000)
        assert.isBelow(median, 1000, "on a machine that is not busy, well below 300 ms")
      }).pipe(withOwnSchema)
  )
})
