import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Called, ClientLog } from "../../chaos/Client.ts"
import { judge } from "../../chaos/Oracle.ts"
import { connect, type Sql } from "../../chaos/Sql.ts"
import { run } from "../processes/OrderPlatformProcess.ts"
import { ownServer } from "./OwnServer.ts"

// A run without findings proves something only if the oracle finds planted violations.

const began = Date.parse("2026-01-01T00:00:00Z")

const edges: Readonly<Record<string, readonly [from: string | null, to: string]>> = {
  created: [null, "PENDING"],
  started: ["PENDING", "PROCESSING"],
  completed: ["PROCESSING", "PROCESSED"],
  retried: ["PROCESSING", "PENDING"],
  failed: ["PROCESSING", "FAILED"],
  "cancelled waiting": ["PENDING", "FAILED"],
  "cancelled running": ["PROCESSING", "FAILED"],
  hastened: ["PENDING", "PENDING"]
}

/** An order by its history: events with their times in milliseconds. */
interface Planted {
  readonly type?: string
  readonly key?: string
  readonly group?: string
  readonly history: ReadonlyArray<readonly [event: string, at: number]>
}

const idOf = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`
const quoted = (value: string | null) => (value === null ? "NULL" : `'${value}'`)
const timeOf = (at: number) => `to_timestamp(${(began + at) / 1000})`

/** Writes a final order with its history and its row in order_final. */
const plant = async (sql: Sql, n: number, { group = "", history, key = "", type = "default" }: Planted) => {
  const id = idOf(n)
  const [last = "created", lastAt = 0] = history.at(-1) ?? []
  const status = edges[last]?.[1] ?? ""
  const cancelled = last.startsWith("cancelled")
  const retries = history.filter(([event]) => event === "retried" || event === "failed").length
  const reason = cancelled ? "Cancelled." : retries > 0 ? "x" : null
  const code = cancelled ? "CANCELLED" : retries > 0 ? "PERMANENT" : null
  await sql.query(`INSERT INTO orders (id, status, version, retry_count, max_retries, priority, type, ordering_key, group_name, place, due_at,
      created_at, updated_at, discarded_at, failure_reason, reason_code, correlation_id, payload_version, payload, metadata)
    VALUES ('${id}', '${status}', ${history.length}, ${retries}, 9, 0, '${type}', '${key}', '${group}', ${key === "" ? "NULL" : n}, NULL,
      ${timeOf(0)}, ${timeOf(lastAt)}, ${cancelled ? timeOf(lastAt) : "NULL"}, ${quoted(reason)}, ${quoted(code)}, '${n}', 1, '{}', '{}')`)
  let attempt = 1
  for (const [index, [event, at]] of history.entries()) {
    const [from = null, to = ""] = edges[event] ?? []
    const worker = from === "PROCESSING" || event === "started" ? "w" : null
    await sql.query(`INSERT INTO order_events (order_id, version, event, from_status, to_status, at, attempt, worker, reason_code)
      VALUES ('${id}', ${index + 1}, '${event.split(" ")[0]}', ${quoted(from)}, '${to}', ${timeOf(at)}, ${attempt}, ${quoted(worker)},
        ${quoted(event.startsWith("cancelled") ? "CANCELLED" : null)})`)
    if (event === "retried") attempt++
  }
  await sql.query(
    `INSERT INTO order_final (status, created_at, order_id, final_at) VALUES ('${status}', ${timeOf(0)}, '${id}', ${timeOf(lastAt)})`
  )
  if (status === "FAILED" && !cancelled) {
    await sql.query(
      `INSERT INTO dead_letters (order_id, reason, reason_code, retry_count, failed_at, fingerprint) VALUES ('${id}', 'x', 'PERMANENT', ${retries}, ${timeOf(lastAt)}, '0')`
    )
    await sql.query(
      `INSERT INTO order_failure_groups AS g (fingerprint, type, reason_code, message, count, first_seen, last_seen, versions)
       VALUES ('0', 'default', 'PERMANENT', 'x', 1, now(), now(), '{}') ON CONFLICT (fingerprint) DO UPDATE SET count = g.count + 1`
    )
  }
}

const whole = (from: number, to: number) =>
  [
    ["created", 0],
    ["started", from],
    ["completed", to]
  ] as const

const called = (n: number, status: number, sentAt: number, answeredAt: number): Called => ({
  orderId: idOf(n),
  status,
  sentAt: began + sentAt,
  answeredAt: began + answeredAt
})

const accepted = (n: number, sentAt: number, answeredAt: number) => ({
  orderId: idOf(n),
  sentAt: began + sentAt,
  answeredAt: began + answeredAt,
  call: n,
  item: 0,
  kills: false,
  notBefore: null
})

const limit = (maxRunning: number | null, ratePerSecond: number | null) => ({
  group: "g",
  maxRunning,
  ratePerSecond,
  sentAt: began - 1000,
  answeredAt: began - 500
})

const pause = {
  type: "email",
  group: null,
  sentAt: began + 100,
  answeredAt: began + 200,
  mayEndAt: began + 9000,
  endedAt: began + 9500
}

interface Case {
  readonly what: string
  /** The findings that are not zero, with their figures. */
  readonly finds: Readonly<Record<string, number>>
  readonly orders: ReadonlyArray<Planted>
  readonly log?: Partial<ClientLog>
  readonly more?: (sql: Sql) => Promise<unknown>
}

const cases: ReadonlyArray<Case> = [
  {
    what: "nothing",
    finds: {},
    orders: [
      { key: "k", history: whole(10, 20) },
      { key: "k", history: whole(20, 30) },
      { key: "k", type: "email", history: whole(10, 30) },
      { group: "g", history: whole(10, 20) },
      { group: "g", history: whole(20, 20) },
      { group: "g", history: whole(20, 40) },
      { type: "email", history: whole(2000, 2500) },
      {
        history: [
          ["created", 0],
          ["cancelled waiting", 50]
        ]
      },
      {
        history: [
          ["created", 0],
          ["hastened", 5],
          ["started", 10],
          ["cancelled running", 60]
        ]
      }
    ],
    log: {
      accepted: [accepted(1, 0, 2), accepted(2, 3, 4)],
      limits: [limit(1, null)],
      pauses: [pause],
      cancels: [
        called(8, 202, 40, 51),
        called(9, 202, 20, 30),
        called(9, 202, 61, 62),
        called(1, 409, 21, 22),
        called(1, 0, 1, 2)
      ],
      runs: [called(9, 202, 4, 6)]
    }
  },
  {
    what: "an overlap within a key",
    finds: { "overlaps within an ordering key": 1 },
    orders: [
      { key: "k", history: whole(10, 30) },
      { key: "k", history: whole(29, 40) }
    ]
  },
  {
    what: "an inversion within a key, without an overlap",
    finds: { "inversions within an ordering key": 1 },
    orders: [
      {
        key: "k",
        history: [
          ["created", 0],
          ["started", 10],
          ["retried", 20],
          ["started", 50],
          ["completed", 60]
        ]
      },
      { key: "k", history: whole(30, 40) }
    ],
    log: { accepted: [accepted(1, 0, 2), accepted(2, 3, 4)] }
  },
  {
    what: "two running in a group of maxRunning 1",
    finds: { "moments above a group's maxRunning": 1 },
    orders: [
      { group: "g", history: whole(10, 30) },
      { group: "g", history: whole(29, 40) }
    ],
    log: { limits: [limit(1, null)] }
  },
  {
    what: "three starts in half a second at a rate of one",
    finds: { "groups that started more than their rate": 1 },
    orders: [0, 1000, 1500].map((at) => ({ group: "g", history: whole(10 + at, 20 + at) })),
    log: { limits: [limit(null, 1)] }
  },
  {
    what: "a start three seconds after a pause",
    finds: { "starts of a paused type or group later than 2 s after the pause": 1 },
    orders: [{ type: "email", history: whole(3300, 3400) }],
    log: { pauses: [pause] }
  },
  {
    what: "a retry after the cancel was answered",
    finds: { "orders that went on after their cancel was answered 202": 2 },
    orders: [
      {
        history: [
          ["created", 0],
          ["started", 10],
          ["retried", 60],
          ["started", 70],
          ["completed", 80]
        ]
      }
    ],
    log: { cancels: [called(1, 202, 20, 30)] }
  },
  {
    what: "a cancelled order that failed with a dead letter",
    finds: {
      "orders that went on after their cancel was answered 202": 1,
      "cancels answered 202 of orders that are neither CANCELLED nor PROCESSED, or have a dead letter": 1
    },
    orders: [
      {
        history: [
          ["created", 0],
          ["started", 10],
          ["failed", 60]
        ]
      }
    ],
    log: { cancels: [called(1, 202, 20, 30)] }
  },
  {
    what: "a 409 for an order that still ran and for one that was cancelled, and a 404",
    finds: {
      "cancels answered 409 of orders that were not final, or were cancelled": 2,
      "cancels of an accepted order answered 404": 1
    },
    orders: [
      { history: whole(10, 60) },
      {
        history: [
          ["created", 0],
          ["cancelled waiting", 10]
        ]
      }
    ],
    log: {
      cancels: [called(1, 409, 20, 30), called(1, 404, 20, 30), called(2, 202, 5, 11), called(2, 409, 20, 30)]
    }
  },
  {
    what: "a cancel by nobody",
    finds: { "cancelled orders that nobody cancelled, or cancelled twice": 1 },
    orders: [
      {
        history: [
          ["created", 0],
          ["cancelled waiting", 10]
        ]
      }
    ]
  },
  {
    what: "a run that did nothing",
    finds: { "calls of run answered 202 but not in the history": 1 },
    orders: [{ history: whole(10, 20) }],
    log: { runs: [called(1, 202, 1, 2)] }
  },
  {
    what: "side tables that keep a final order",
    finds: {
      "orders that are not in the side tables of their status": 1,
      "keys with a wrong head, and orders that may run past their key": 1
    },
    orders: [{ key: "k", history: whole(10, 20) }],
    more: async (sql) => {
      await sql.query(`INSERT INTO order_key_heads VALUES ('default', 'k', '${idOf(1)}')`)
      await sql.query(
        `INSERT INTO order_running (worker, order_id, type, group_name) VALUES ('w', '${idOf(1)}', 'default', '')`
      )
    }
  },
  {
    what: "a failure group that counts an entry too many",
    finds: { "failure groups whose count is not the number of their entries": 1 },
    orders: [{ history: whole(10, 20) }],
    more: (sql) =>
      sql.query(
        `INSERT INTO order_failure_groups (fingerprint, type, reason_code, message, count, first_seen, last_seen, versions)
         VALUES ('1', 'default', 'PERMANENT', 'x', 1, now(), now(), '{}')`
      )
  }
]

const emptyLog: ClientLog = {
  accepted: [],
  reprocessed: [],
  cancels: [],
  runs: [],
  limits: [],
  pauses: [],
  statuses: new Map(),
  wrong: [],
  withoutRetryAfter: 0,
  slowestMs: 0,
  gaveUp: 0
}

describe("the oracle of chaos", () => {
  it.live("finds each violation of keys, groups, pauses and cancels that is planted, and nothing else", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      yield* query("CREATE DATABASE base")
      const of = (name: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href
      const migrated = yield* run({ arguments: ["migrate"], environment: { DATABASE_URL: of("base") } })
      assert.strictEqual((yield* migrated.exit).code, 0)
      for (const [index, { finds, log, more, orders, what }] of cases.entries()) {
        yield* query(`CREATE DATABASE case${index} TEMPLATE base`)
        const sql = yield* Effect.acquireRelease(
          Effect.sync(() => connect(of(`case${index}`))),
          ({ close }) => Effect.promise(close)
        )
        const found = yield* Effect.promise(async () => {
          await sql.query("CREATE TABLE chaos_ledger (order_id uuid, attempt int, token text)")
          await sql.query(`ALTER DATABASE case${index} SET session_replication_role = replica`)
          const planter = connect(of(`case${index}`))
          for (const [n, order] of orders.entries()) await plant(planter, n + 1, order)
          await more?.(planter)
          await planter.close()
          const findings = await judge(sql, {
            log: { ...emptyLog, ...log },
            crashes: [],
            expirableTimes: [],
            availableMs: () => 0,
            leaseMs: 3000,
            maxRestartMs: 5000
          })
          return Object.fromEntries(
            findings.flatMap(({ figure, max, what }) =>
              max === 0 && figure > 0 ? [[what, figure] as const] : []
            )
          )
        })
        assert.deepStrictEqual(found, finds, what)
      }
    }).pipe(Effect.scoped)
  )
})
