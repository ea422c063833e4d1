import { assert, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import * as fs from "node:fs/promises"
import { describe } from "vitest"
import { openStream, type Received } from "../ServerSentEvents.ts"
import { countingProxy } from "./CountingProxy.ts"
import { withOwnSchema, type Process, type Serving, start, submit, timeline } from "./OrderPlatformProcess.ts"
import { isWholeForm } from "../WholeForm.ts"

const eventsOf = (server: Serving, id: string) => `${server.url}/orders/${id}/events`

/**
 * Follows an order until it is final, on connections that are closed after a random time or number of events and
 * resumed with the last id. Returns all events and the number of interruptions.
 */
const followWithCuts = Effect.fnUntraced(function* (server: Serving, id: string) {
  const all: Array<Received> = []
  let cuts = 0
  for (;;) {
    const last = all.at(-1)?.id
    let ended = false
    yield* Effect.scoped(
      Effect.gen(function* () {
        const stream = yield* openStream(
          eventsOf(server, id),
          last === undefined ? {} : { "last-event-id": last }
        )
        assert.strictEqual(stream.status, 200)
        const some = 1 + Math.floor(Math.random() * 4)
        const read = Effect.gen(function* () {
          for (let n = 0; n < some; n++) all.push(yield* Queue.take(stream.events))
        }).pipe(Effect.catch(() => Effect.sync(() => void (ended = stream.isComplete()))))
        yield* Effect.timeoutOption(read, Math.random() * 400)
      })
    )
    if (ended) return { all, cuts }
    cuts++
  }
})

/** Resident memory of a process, in bytes. */
const residentOf = ({ pid }: Process) =>
  Effect.promise(async () => {
    const status = await fs.readFile(`/proc/${pid}/status`, "utf8")
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  })

const failing = {
  ORDER_QUEUE: "postgres",
  ORDER_WORKER_FAILURE_PROBABILITY: 0.5,
  ORDER_WORKER_FAILURE_SEED: "streams",
  ORDER_WORKER_PROCESSING_DELAY_MS: 150,
  ORDER_WORKER_RETRY_DELAY_MS: 200,
  ORDER_WORKER_RETRY_BACKOFF: "fixed"
}

describe("event streams", () => {
  it.live(
    "a client that is disconnected again and again, and resumes, gets each transition exactly once",
    () =>
      withOwnSchema(
        Effect.gen(function* () {
          const database = yield* countingProxy
          const api = yield* start(
            { ORDER_QUEUE: "postgres", DATABASE_URL: database.url },
            { arguments: ["api"] }
          )
          yield* start(failing, { arguments: ["worker"] })
          const notBefore = new Date(Date.now() + 1000).toISOString()
          const ids = yield* Effect.forEach(
            Array.from({ length: 40 }),
            () => submit(api, { maxRetries: 6, notBefore }),
            { concurrency: 8 }
          )
          // The API loses its database connections in between; its streams continue.
          yield* Effect.forkScoped(
            Effect.andThen(Effect.sleep("700 millis"), Effect.sync(database.cut)).pipe(
              Effect.repeat({ times: 2 })
            )
          )
          const followed = yield* Effect.forEach(ids, (id) => followWithCuts(api, id), { concurrency: 40 })
          let cuts = 0
          for (const [index, id] of ids.entries()) {
            const { all = [], cuts: often = 0 } = followed[index] ?? {}
            cuts += often
            assert.deepStrictEqual(
              all.map(({ data }) => data),
              (yield* timeline(api, id)) as unknown as Array<Received["data"]>
            )
            for (const { data, event, id } of all)
              assert.deepStrictEqual([id, event], [String(data["version"]), data["event"]])
          }
          assert.isAbove(cuts, 80)
        })
      )
  )

  it.live.runIf(isWholeForm)(
    "500 open streams cost less than 50 MB and a few statements a second together",
    () =>
      withOwnSchema(
        Effect.gen(function* () {
          const database = yield* countingProxy
          // Only the memory of the streams is of interest, so Node's young generation, which may grow to 48 MB of
          // garbage, is kept small.
          const server = yield* start(
            { DATABASE_URL: database.url },
            { nodeOptions: ["--max-semi-space-size=2"] }
          )
          const notBefore = new Date(Date.now() + 600_000).toISOString()
          const ids = yield* Effect.forEach(
            Array.from({ length: 500 }),
            () => submit(server, { notBefore }),
            {
              concurrency: 16
            }
          )
          const openAll = Effect.forEach(
            ids,
            (id) => Effect.tap(openStream(eventsOf(server, id)), ({ events }) => Queue.take(events)),
            { concurrency: 32 }
          )
          // Warm up: a heap that has grown for 500 streams stays that large, whether they are open or not.
          yield* Effect.scoped(openAll)
          const before = yield* residentOf(server)
          yield* openAll
          const statementsBefore = database.statements()
          yield* Effect.sleep("3 seconds")
          const statements = database.statements() - statementsBefore
          const cost = ((yield* residentOf(server)) - before) / 1e6
          // Two reads a second for all of them, and the worker's own polls.
          assert.isBelow(statements, 20)
          assert.isBelow(cost, 50)
        })
      )
  )

  it.live("a stopped process ends its streams and exits in time", () =>
    withOwnSchema(
      Effect.gen(function* () {
        // A stream that the server waits for would last until after the drain deadline.
        const server = yield* start({ ORDER_WORKER_DRAIN_TIMEOUT_MS: 20_000 })
        const id = yield* submit(server, { notBefore: new Date(Date.now() + 600_000).toISOString() })
        const stream = yield* openStream(eventsOf(server, id))
        assert.strictEqual((yield* Queue.take(stream.events)).event, "created")
        const signalledAt = Date.now()
        server.kill("SIGTERM")
        yield* Queue.collect(stream.events)
        const { at, code } = yield* server.exit
        assert.strictEqual(code, 0)
        assert.isTrue(stream.isComplete())
        assert.isBelow(at - signalledAt, 10_000)
      })
    )
  )
})
