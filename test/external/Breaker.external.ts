import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { OrderProcessor, RetryableFailure } from "../../src/application/ports/OrderProcessor.ts"
import { OrderWorker } from "../../src/application/work/OrderWorker.ts"
import { WorkerSettings } from "../../src/application/work/WorkerSettings.ts"
import { anyJsonObject } from "../../src/domain/OrderPayload.ts"
import * as PostgresWakeUp from "../../src/infrastructure/postgres/wake-ups/PostgresWakeUp.ts"
import { allStores } from "../../src/testing/AllStores.ts"
import { newOrder } from "../TestOrders.ts"
import { ownServer } from "./OwnServer.ts"
import { storesOn } from "./StoresOn.ts"

const perSecond = 200
/** A minute by `npm run test:scale`. */
const brokenSeconds = process.env["SCALE"] === "full" ? 60 : 15
const attemptMs = 20

/** The bank fails all calls while it is broken. The type `other` does not need it. */
const bank = { isBroken: true }

const worker = OrderWorker.layer(anyJsonObject).pipe(
  Layer.provide(
    OrderProcessor.layer(anyJsonObject, ({ type }) =>
      Effect.andThen(
        Effect.sleep(attemptMs),
        Effect.suspend(() =>
          type === "bank" && bank.isBroken
            ? new RetryableFailure({ reason: "the bank does not answer" })
            : Effect.void
        )
      )
    )
  ),
  Layer.provide(
    Layer.succeed(WorkerSettings, {
      ...WorkerSettings.defaultValue(),
      // The orders are stored without an announcement.
      pollInterval: Duration.millis(50),
      drainTimeout: Duration.seconds(1)
    })
  ),
  Layer.provide(PostgresWakeUp.layer)
)

describe(`a processor that fails all attempts of a type for ${brokenSeconds} s at 200 orders a second`, () => {
  it.live("costs less than 5 % of the orders their retries; another type runs at full speed meanwhile", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      const context = yield* Layer.build(storesOn(url, "public", 10))
      const { intake } = yield* allStores.pipe(Effect.provideContext(context))
      yield* Layer.build(worker).pipe(Effect.provideContext(context))

      // Each tenth of a second 20 orders of either type.
      const began = Date.now()
      for (let n = 0; n < brokenSeconds * 10; n++) {
        yield* Effect.sleep(Math.max(0, began + n * 100 - Date.now()))
        yield* intake.submit(
          Array.from({ length: (2 * perSecond) / 10 }, (_, i) =>
            newOrder({ type: i % 2 === 0 ? "bank" : "other", maxRetries: 3 })
          )
        )
      }
      const repaired = Date.now()
      bank.isBroken = false

      const count = Effect.fnUntraced(function* (type: string, status: string) {
        const [row] = yield* query(
          `SELECT count(*)::int AS n FROM orders WHERE type = '${type}' AND status = '${status}'`
        )
        return Number(row?.["n"])
      })
      const total = perSecond * brokenSeconds
      const failed = yield* count("bank", "FAILED")
      const [attempts] = yield* query(
        "SELECT count(*)::int AS n FROM order_events e JOIN orders o ON o.id = e.order_id WHERE e.event = 'started' AND o.type = 'bank'"
      )
      const [waits] = yield* query(
        `SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM e.at - o.created_at))::float8 * 1000 AS p99
         FROM orders o JOIN order_events e ON e.order_id = o.id AND e.event = 'completed' WHERE o.type = 'other'`
      )

      // Full speed: as many orders end within a second as the slots allow, or as this machine does with any type.
      let last = yield* count("bank", "PROCESSED")
      let fullAfter: number | null = null
      while ((yield* count("bank", "PENDING")) > 0) {
        yield* Effect.sleep("500 millis")
        const now = yield* count("bank", "PROCESSED")
        if (fullAfter === null && now - last >= perSecond) fullAfter = Date.now() - repaired
        last = now
        assert.isBelow(Date.now() - repaired, 120_000, "the backlog is processed")
      }
      const drainedAfter = Date.now() - repaired
      console.log(
        `${failed} of ${total} orders used up their retries (${((100 * failed) / total).toFixed(2)} %), ${Number(attempts?.["n"])} attempts while the bank was broken; ` +
          `the other type: p99 ${Number(waits?.["p99"]).toFixed(0)} ms from submit to completed; after the repair full speed after ${fullAfter} ms, backlog processed after ${drainedAfter} ms`
      )
      assert.isBelow(failed, 0.05 * total)
      assert.isNotNull(fullAfter)
      assert.isBelow(fullAfter ?? Infinity, 10_000)
      assert.strictEqual(yield* count("other", "PROCESSED"), total)
      assert.isBelow(Number(waits?.["p99"]), 1000)
    })
  )
})
