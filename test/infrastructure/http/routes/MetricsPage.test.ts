import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Metric } from "effect"
import { metricsPage } from "../../../../src/infrastructure/http/routes/MetricsPage.ts"
import type { Pause } from "../../../../src/domain/Pauses.ts"
import * as MemoryWakeUp from "../../../../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import { pause } from "../FakePlatform.ts"

const fails = Effect.fail("the store does not answer")
const away = { backlog: fails, pauses: fails, typesWithoutWorker: fails }

describe("GET /metrics", () => {
  it.effect("has every counter at 0 and every histogram empty before anything has happened", () =>
    Effect.gen(function* () {
      const page = yield* metricsPage(away)
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

  it.effect("has the backlog, whether all orders are paused, and how many types no worker takes", () =>
    Effect.gen(function* () {
      const lines = Effect.fnUntraced(function* (pauses: ReadonlyArray<Pause>) {
        const page = yield* metricsPage({
          backlog: Effect.succeed({ pending: 3, processing: 2, oldestDueAge: Duration.seconds(4) }),
          pauses: Effect.succeed(pauses),
          typesWithoutWorker: Effect.succeed(["invoice", "refund"])
        })
        return page.split("\n")
      })
      assert.includeMembers(yield* lines([pause]), [
        'order_backlog{status="PENDING"} 3',
        'order_backlog{status="PROCESSING"} 2',
        "order_oldest_due_age_seconds 4",
        "order_worker_paused 0",
        "order_types_without_worker 2"
      ])
      assert.include(yield* lines([pause, { ...pause, group: null }]), "order_worker_paused 1")
      assert.include(yield* lines([]), "order_worker_paused 0")
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
