import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { metricsPage } from "../../../../src/infrastructure/http/routes/MetricsPage.ts"
import * as MemoryWakeUp from "../../../../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"

describe("GET /metrics", () => {
  it.effect("has every counter at 0 and every histogram empty before anything has happened", () =>
    Effect.gen(function* () {
      const page = yield* metricsPage(Effect.fail("the store does not answer"))
      for (const series of [
        "order_api_orders_created_total 0",
        'order_worker_attempts_total{outcome="completed"} 0',
        'order_worker_attempts_total{outcome="retried"} 0',
        "order_worker_stale_settles_total 0",
        "order_worker_leases_expired_total 0",
        'order_dlq_entries_total{reason_code="WORKER_LOST"} 0',
        "order_dlq_reprocessed_total 0",
        'order_queue_announced_total{queue="memory"} 0',
        'order_queue_announce_failed_total{queue="memory"} 0',
        "order_queue_listen_up 1",
        "order_api_create_seconds_count 0",
        "order_worker_processing_seconds_count 0",
        "order_wait_seconds_count 0",
        "order_end_to_end_seconds_count 0"
      ]) {
        assert.include(page.split("\n"), series)
      }
    }).pipe(Effect.provide(MemoryWakeUp.layer), Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
