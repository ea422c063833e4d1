import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { WorkerExpired, type WorkStore } from "../../../src/application/ports/WorkStore.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { pass } from "../../VirtualTime.ts"
import { events, startWorker, store, storesWith, timeline } from "./Workers.ts"

const heartbeat = "3 seconds"
const lease = Duration.seconds(9)

describe("the worker in the registry", () => {
  it.effect(
    "reports itself at its start, with each heartbeat, and when it begins to stop, and leaves when it has stopped",
    () =>
      Effect.gen(function* () {
        const { control } = yield* allStores
        const registered = Effect.map(control.workers, ([worker]) => {
          if (worker === undefined) return null
          const { capacity, draining, host, id, inFlight, role, types, version } = worker
          return { capacity, draining, host, id, inFlight, role, types, version }
        })
        const { stop } = yield* startWorker(() => Effect.sleep("10 seconds"), {
          lease,
          concurrency: 7,
          drainTimeout: Duration.minutes(1),
          host: "h1",
          version: "1.2.3",
          role: "serve"
        })
        const report = { id: "w1", host: "h1", version: "1.2.3", role: "serve", types: null, capacity: 7 }
        yield* pass("10 millis")
        assert.deepStrictEqual(yield* registered, { ...report, inFlight: 0, draining: false })
        yield* store({})
        // The order is claimed at the end of a lease at the latest, and the next heartbeat reports it.
        yield* pass("13 seconds")
        assert.deepStrictEqual(yield* registered, { ...report, inFlight: 1, draining: false })
        const stopping = yield* Effect.forkChild(stop)
        yield* pass("10 millis")
        assert.deepStrictEqual(yield* registered, { ...report, inFlight: 1, draining: true })
        yield* pass("10 seconds")
        assert.isDefined(stopping.pollUnsafe())
        assert.isNull(yield* registered)
      }).pipe(Effect.provide(Memory.layer))
  )

  it.effect("that was expired interrupts its attempts and continues under a new id", () =>
    Effect.gen(function* () {
      const stores = yield* allStores
      let interrupted = 0
      const hang = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const ids = yield* store({}, {}, {})
      yield* startWorker(({ attempt }) => (attempt === 1 ? hang : Effect.void), { lease })
      yield* pass("1 second")
      // As after a freeze longer than its lease: another worker expires its first order.
      yield* stores.work.renew("w1", Duration.zero)
      assert.lengthOf(yield* stores.work.expire(1), 1)
      yield* pass(heartbeat)
      assert.strictEqual(interrupted, 3)
      yield* pass("10 seconds")
      for (const id of ids) {
        const workers = (yield* timeline(id)).map(({ event, worker }) => [event, worker])
        assert.deepStrictEqual(workers, [
          ["created", null],
          ["started", "w1"],
          ["expired", "w1"],
          ["started", "w1#2"],
          ["completed", "w1#2"]
        ])
      }
      const registered = yield* stores.control.workers
      assert.deepStrictEqual(
        registered.map(({ id }) => id),
        ["w1#2"]
      )
    }).pipe(Effect.provide(Memory.layer))
  )

  it.effect("counts its ids", () => {
    let refusals = 3
    const expiring = storesWith((work) => ({
      claim: (request) =>
        refusals-- > 0 ? new WorkerExpired({ worker: request.worker }) : work.claim(request)
    }))
    return Effect.gen(function* () {
      const [id] = yield* store({})
      yield* startWorker(() => Effect.void, { name: "host:12:ab#c" })
      yield* pass("1 second")
      assert.strictEqual((yield* timeline(id))[1]?.worker, "host:12:ab#c#4")
    }).pipe(Effect.provide(expiring))
  })
})

describe("an order without an attempt", () => {
  /** A claim under the id of the worker, which never gets the reply. */
  const lostClaim = Effect.flatMap(allStores, ({ work }) => work.claim({ worker: "w1", lease, max: 1 }))

  it.effect("is released by the next heartbeat if no claim is under way", () =>
    Effect.gen(function* () {
      yield* startWorker(() => Effect.void, { lease })
      yield* pass("1 second")
      const [id] = yield* store({})
      assert.lengthOf((yield* lostClaim).orders, 1)
      yield* pass(heartbeat)
      assert.deepStrictEqual(yield* events(id), ["created", "started", "released", "started", "completed"])
    }).pipe(Effect.provide(Memory.layer))
  )

  it.effect(
    "is released by the second heartbeat if claims are always under way, and an order of a slow claim never is",
    () => {
      let direct: WorkStore["Service"] | undefined
      // Each reply takes almost as long as a claim may take, which is the time between two heartbeats.
      const slow = storesWith((work) => {
        direct = work
        return {
          claim: (request) =>
            Effect.flatMap(work.claim(request), (claim) =>
              Effect.delay(Effect.succeed({ ...claim, isIncomplete: true }), "2900 millis")
            )
        }
      })
      return Effect.gen(function* () {
        const { stop } = yield* startWorker(() => Effect.void, { lease })
        yield* pass("1 second")
        const [lost] = yield* store({})
        assert.lengthOf((yield* direct!.claim({ worker: "w1", lease, max: 1 })).orders, 1)
        const others = yield* store({}, {}, {})
        yield* pass("6 seconds")
        assert.deepStrictEqual((yield* events(lost)).slice(0, 3), ["created", "started", "released"])
        yield* pass("10 seconds")
        assert.deepStrictEqual((yield* events(lost)).slice(3), ["started", "completed"])
        for (const id of others)
          assert.deepStrictEqual(yield* events(id), ["created", "started", "completed"])
        // A stopping worker waits for its running claim.
        yield* Effect.forkChild(stop)
        yield* pass("3 seconds")
      }).pipe(Effect.provide(slow))
    }
  )
})
