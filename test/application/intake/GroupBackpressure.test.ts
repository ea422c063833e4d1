import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import type { SubmissionOptions } from "../../../src/application/intake/Submission.ts"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { IntakeStore } from "../../../src/application/ports/IntakeStore.ts"
import { DefaultGroupLimits, noLimits } from "../../../src/domain/Groups.ts"
import { OrdersUnavailable } from "../../../src/domain/OrderErrors.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"
import { pass } from "../../VirtualTime.ts"

/** A platform in memory without a worker; `counted` has the groups of each count. */
const platformWith = Effect.fnUntraced(function* (maxPending: number | null) {
  const counted: Array<ReadonlyArray<string>> = []
  const failing = { is: false }
  const memory = yield* Layer.build(Layer.fresh(Memory.layer))
  const intake = Context.get(memory, IntakeStore)
  const counting = IntakeStore.of({
    ...intake,
    countPendingOfGroups: (groups, defaultMax) =>
      Effect.suspend(() => {
        counted.push(groups)
        return failing.is
          ? Effect.fail(new OrdersUnavailable())
          : intake.countPendingOfGroups(groups, defaultMax)
      })
  })
  const built = yield* Layer.build(
    Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(
      Layer.provide([
        Layer.succeedContext(Context.add(memory, IntakeStore, counting)),
        Layer.succeed(DefaultGroupLimits, { ...noLimits, maxPending })
      ])
    )
  )
  const platform = Context.get(built, OrderPlatform.service(anyJsonObject))
  const { work } = storesOf(memory)
  return {
    counted,
    failing,
    platform,
    submit: (group?: string, parts: Partial<SubmissionOptions> = {}) =>
      platform.submit({ payload: {}, ...(group === undefined ? {} : { group }), ...parts }),
    complete: Effect.fnUntraced(function* (max: number) {
      const { orders } = yield* work.claim({ worker: "w", lease: Duration.hours(1), max })
      yield* work.settle(orders.map((order) => ({ order, outcome: { event: "completed" } })))
    })
  }
})

const refused = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert(error._tag === "GroupOverloaded", error._tag)
    return error as Extract<E, { readonly _tag: "GroupOverloaded" }>
  })

describe("The limit of pending orders of a group", () => {
  it.effect("refuses orders of that group only, until it has fewer", () =>
    Effect.gen(function* () {
      const { complete, submit } = yield* platformWith(3)
      for (let n = 0; n < 5; n++) yield* submit("acme")
      yield* pass("1 second")
      const error = yield* refused(submit("acme"))
      assert.deepInclude(error, {
        group: "acme",
        message: "The group acme has more than its 3 pending orders; this order was not stored.",
        retryAfterSeconds: 1
      })
      yield* submit("other")
      yield* submit()
      yield* pass("20 seconds")
      // The longer the group has been above its limit, the later the next try.
      assert.strictEqual((yield* refused(submit("acme"))).retryAfterSeconds, 20)
      yield* pass("45 seconds")
      assert.strictEqual((yield* refused(submit("acme"))).retryAfterSeconds, 60)
      yield* complete(5)
      yield* pass("1 second")
      yield* submit("acme")
    })
  )

  it.effect("is the one set for the group, else the default, and holds while the process runs", () =>
    Effect.gen(function* () {
      const { platform, submit } = yield* platformWith(null)
      for (let n = 0; n < 5; n++) yield* submit("acme")
      yield* pass("1 second")
      yield* submit("acme")
      yield* platform.setGroupLimits("acme", { maxPending: 2 })
      yield* submit("acme")
      yield* pass("1 second")
      yield* refused(submit("acme"))
      yield* platform.deleteGroupLimits("acme")
      yield* pass("1 second")
      yield* submit("acme")
    })
  )

  it.effect("refuses the orders of a bulk one by one", () =>
    Effect.gen(function* () {
      const { platform, submit } = yield* platformWith(1)
      yield* submit("acme")
      yield* submit("acme")
      yield* pass("1 second")
      const orders = [{ payload: {} }, { payload: {}, group: "acme" }, { payload: {}, group: "other" }]
      const options = { idempotency: { key: "k" } }
      const { answer } = yield* platform.submitMany(orders, options)
      const tags = answer.map((each) => (each._tag === "Success" ? "stored" : each.failure._tag))
      assert.deepStrictEqual(tags, ["stored", "GroupOverloaded", "stored"])
      const { entries } = yield* platform.list({ limit: 10, after: null }, { group: "acme" })
      assert.strictEqual(entries.length, 2)
      // The repetition has the same results, although by now other orders would be refused.
      assert.deepStrictEqual(yield* platform.submitMany(orders, options), { answer, replayed: true })
    })
  )

  it.effect("does not refuse the repetition of a request that was stored", () =>
    Effect.gen(function* () {
      const { platform, submit } = yield* platformWith(1)
      const once = (key: string) => platform.submit({ payload: {}, group: "acme" }, { idempotency: { key } })
      const first = yield* once("k")
      yield* submit("acme")
      yield* pass("1 second")
      assert.deepStrictEqual(yield* once("k"), { ...first, replayed: true })
      yield* refused(once("new"))
    })
  )

  it.effect("is counted at most once a second, for the groups that had orders, and not without any", () =>
    Effect.gen(function* () {
      const { counted, submit } = yield* platformWith(1000)
      for (let n = 0; n < 30; n++) {
        yield* submit(`g${n % 2}`)
        yield* submit()
        yield* pass("100 millis")
      }
      yield* pass("5 seconds")
      assert.isAtLeast(counted.length, 3)
      assert.isAtMost(counted.length, 5)
      assert.sameMembers([...new Set(counted.flat())], ["g0", "g1"])
      const { length } = counted
      yield* pass("5 seconds")
      assert.strictEqual(counted.length, length)
    })
  )

  it.effect("counts a bounded number of groups at once", () =>
    Effect.gen(function* () {
      const { counted, platform } = yield* platformWith(1000)
      for (let n = 0; n < 5; n++)
        yield* platform.submitMany(
          Array.from({ length: 1000 }, (_, k) => ({ payload: {}, group: `g${n}-${k}` }))
        )
      yield* pass("1 second")
      assert.isAtMost(Math.max(...counted.map((groups) => groups.length)), 2048)
      assert.isAbove(counted.length, 0)
    })
  )

  it.effect("stays as it was while the store does not answer, and is counted again", () =>
    Effect.gen(function* () {
      const { complete, counted, failing, submit } = yield* platformWith(1)
      for (let n = 0; n < 3; n++) yield* submit("acme")
      yield* pass("1 second")
      yield* refused(submit("acme"))
      failing.is = true
      yield* complete(3)
      const { length } = counted
      yield* pass("3 seconds")
      assert.isAbove(counted.length, length)
      yield* refused(submit("acme"))
      failing.is = false
      yield* pass("1 second")
      yield* submit("acme")
    })
  )
})
