import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { describe } from "vitest"
import { DatabaseSchema } from "../../src/infrastructure/postgres/client/DatabaseSchema.ts"
import {
  eventually,
  withOwnSchema,
  order,
  awaitStatus,
  ordersByStatus,
  type Serving,
  start,
  submit,
  timeline,
  type TimelineEvent
} from "./OrderPlatformProcess.ts"

const orderCount = 600
const clients = 32
const leaseMs = 1000

const settings = {
  ORDER_WORKER_LEASE_MS: leaseMs,
  ORDER_WORKER_PROCESSING_DELAY_MS: 5,
  ORDER_WORKER_FAILURE_PROBABILITY: 0.1,
  ORDER_WORKER_RETRY_DELAY_MS: 20,
  ORDER_WORKER_POLL_INTERVAL_MS: 100
}

interface StoredOrder {
  readonly status: string
  readonly retryCount: number
  readonly version: number
}
type Event = Pick<TimelineEvent, "event" | "from" | "to" | "version" | "attempt">

const failures = ["retried", "failed", "expired"]

/** The differences between a history and the order it must lead to; empty when they agree. */
const differences = (order: StoredOrder, history: ReadonlyArray<Event>): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  let status: string | null = null
  let retryCount = 0
  for (const [index, { attempt, event, from, to, version }] of history.entries()) {
    if (version !== index + 1) wrong.push(`version ${version} instead of ${index + 1}`)
    if (from !== status) wrong.push(`${event} leaves ${from}, but the order was ${status}`)
    // So an attempt has one outcome: only started enters PROCESSING, and the next event leaves it.
    if ((event === "started") !== (to === "PROCESSING")) wrong.push(`${event} leads to ${to}`)
    if (event === "reprocessed") retryCount = 0
    if (attempt !== retryCount + 1)
      wrong.push(`${event} says attempt ${attempt} after ${retryCount} failures`)
    if (failures.includes(event)) retryCount++
    status = to
  }
  if (history[0]?.event !== "created") wrong.push("it does not begin with created")
  if (status !== order.status) wrong.push(`it ends ${status}, but the order is ${order.status}`)
  if (history.length !== order.version)
    wrong.push(`it has ${history.length} events for version ${order.version}`)
  if (retryCount !== order.retryCount) wrong.push(`it has ${retryCount} failures of ${order.retryCount}`)
  return wrong
}

const histories = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const schema = yield* DatabaseSchema
  const rows = yield* sql<{
    readonly id: string
    readonly order: StoredOrder
    readonly history: ReadonlyArray<Event>
  }>`
    SELECT o.id,
      jsonb_build_object('status', o.status, 'retryCount', o.retry_count, 'version', o.version) AS order,
      jsonb_agg(jsonb_build_object('event', e.event, 'from', e.from_status, 'to', e.to_status,
        'version', e.version, 'attempt', e.attempt) ORDER BY e.version) AS history
    FROM ${sql(`${schema}.orders`)} o JOIN ${sql(`${schema}.order_events`)} e ON e.order_id = o.id GROUP BY o.id`
  return new Map(rows.map((row) => [row.id, row]))
})

describe("a process that is killed", { concurrent: true }, () => {
  it.live("every order answered 202 becomes final across a kill -9, and its history is complete", () =>
    Effect.gen(function* () {
      const answered: Array<string> = []
      let unanswered = 0
      const submitTo = (server: Serving, count: number) =>
        Effect.forEach(
          Array.from({ length: count }),
          () =>
            Effect.exit(submit(server)).pipe(
              Effect.map((exit) => (exit._tag === "Success" ? answered.push(exit.value) : unanswered++))
            ),
          { concurrency: clients, discard: true }
        )

      const first = yield* start(settings)
      // The process is stopped first, to check that attempts are running; if not, it continues until something has
      // happened.
      let checkedAt = orderCount / 2
      const kill = eventually(
        "half of the orders are in and some are being processed",
        Effect.gen(function* () {
          if (answered.length < checkedAt) return undefined
          first.kill("SIGSTOP")
          const { PROCESSED = 0, PROCESSING = 0 } = yield* ordersByStatus
          const attemptsAreRunning = PROCESSED > 0 && PROCESSING > 0
          first.kill(attemptsAreRunning ? "SIGKILL" : "SIGCONT")
          checkedAt = answered.length + 1
          return attemptsAreRunning ? true : undefined
        })
      )
      // Clients continue until the process has ended; then each has at most one order with an unknown outcome.
      yield* Effect.raceFirst(
        Effect.all([submitTo(first, orderCount), Effect.never]),
        Effect.andThen(kill, first.exit)
      )
      const second = yield* start(settings)
      yield* submitTo(second, orderCount - answered.length)
      assert.isAtLeast(answered.length, orderCount)
      yield* eventually(
        "all orders are final",
        Effect.map(ordersByStatus, ({ PENDING = 0, PROCESSING = 0 }) =>
          PENDING + PROCESSING === 0 ? true : undefined
        )
      )

      const stored = yield* histories
      assert.deepStrictEqual(
        answered.filter((id) => !stored.has(id)),
        [],
        "answered and lost"
      )
      assert.isAtMost(stored.size, answered.length + clients)
      const wrong = Array.from(stored.values()).flatMap(({ history, id, order }) =>
        differences(order, history).map((what) => `${id}: ${what}`)
      )
      assert.deepStrictEqual(wrong, [])
      const expired = Array.from(stored.values()).filter(({ history }) =>
        history.some(({ event }) => event === "expired")
      )
      assert.isAtLeast(expired.length, 1, "interrupted attempts count as a lost worker")

      const sample = [...expired.map(({ id }) => id), ...answered].slice(0, 20)
      for (const id of sample) {
        assert.deepStrictEqual(differences(yield* order(second, id), yield* timeline(second, id)), [])
      }
    }).pipe(withOwnSchema)
  )

  it.live("another process starts its order again within the lease plus two seconds", () =>
    Effect.gen(function* () {
      const steady = { ...settings, ORDER_WORKER_FAILURE_PROBABILITY: 0, ORDER_WORKER_POLL_INTERVAL_MS: 1000 }
      const lost = yield* start({ ...steady, ORDER_WORKER_PROCESSING_DELAY_MS: 600_000 })
      const id = yield* submit(lost)
      yield* awaitStatus("PROCESSING", lost, id)
      const survivor = yield* start(steady)
      lost.kill("SIGKILL")
      const { at: killed } = yield* lost.exit
      yield* awaitStatus("PROCESSED", survivor, id)
      const history = yield* timeline(survivor, id)
      assert.deepStrictEqual(
        history.map(({ event, reasonCode }) => (reasonCode === null ? event : `${event} ${reasonCode}`)),
        ["created", "started", "expired WORKER_LOST", "started", "completed"]
      )
      const startedAgain = Date.parse(history[3]?.at ?? "")
      assert.isAtMost(startedAgain - killed, leaseMs + 2000)
    }).pipe(withOwnSchema)
  )
})
