import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Layer } from "effect"
import { OrderPlatform } from "../../../src/application/OrderPlatform.ts"
import { ControlStore } from "../../../src/application/ports/ControlStore.ts"
import { WakeUp } from "../../../src/application/ports/WakeUp.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"

const operator = { by: "ann", correlationId: "c-1" }

/** A platform in memory without a worker. `announced` counts the announcements after a commit. */
const made = Effect.gen(function* () {
  const memory = yield* Layer.build(Layer.fresh(Memory.layer))
  const control = Context.get(memory, ControlStore)
  const announced = { count: 0, afterCommits: 0 }
  const built = yield* Layer.build(
    Layer.fresh(OrderPlatform.layer(anyJsonObject)).pipe(
      Layer.provide(
        Layer.succeedContext(
          memory.pipe(
            Context.add(WakeUp, {
              announce: () => Effect.sync(() => void announced.count++),
              awaitAnnouncement: Effect.never
            }),
            Context.add(ControlStore, {
              ...control,
              afterCommit: (effect) =>
                Effect.andThen(
                  Effect.sync(() => void announced.afterCommits++),
                  effect
                )
            })
          )
        )
      )
    )
  )
  const platform = Context.get(built, OrderPlatform.service(anyJsonObject))
  /** Runs the effect and returns how many announcements it made after a commit. */
  const announcements = Effect.fnUntraced(function* <E>(effect: Effect.Effect<unknown, E>) {
    const { afterCommits, count } = announced
    yield* effect
    assert.strictEqual(announced.afterCommits - afterCommits, announced.count - count)
    return announced.count - count
  })
  const { work } = storesOf(memory)
  const claimOne = Effect.map(
    work.claim({ worker: "w", lease: Duration.minutes(1), max: 1 }),
    ({ orders }) => orders[0] ?? assert.fail("no order was due")
  )
  return { announcements, claimOne, platform, work }
})

const inAnHour = Effect.map(DateTime.now, DateTime.add({ hours: 1 }))

describe("cancel", () => {
  it.effect("ends a waiting order at once, with its reason, and not as a dead letter", () =>
    Effect.gen(function* () {
      const { announcements, platform } = yield* made
      const id = yield* platform.submit({ payload: {} })
      assert.strictEqual(yield* announcements(platform.cancel(id, { reason: "fraud\u0000" })), 1)
      const order = yield* platform.find(id)
      assert.deepInclude(order, { status: "FAILED", failureReason: "fraud\uFFFD", retryCount: 0 })
      const { explanation } = yield* platform.explain(id)
      assert.strictEqual(explanation, "cancelled: fraud\uFFFD")
      assert.deepStrictEqual((yield* platform.deadLetters({ limit: 10, after: null })).entries, [])
      assert.deepStrictEqual(yield* platform.cancel(id), order)
    })
  )

  it.effect("of a running order is a request, kept as first made, and wakes the workers", () =>
    Effect.gen(function* () {
      const { announcements, claimOne, platform, work } = yield* made
      const id = yield* platform.submit({ payload: {} })
      const order = yield* claimOne
      assert.strictEqual(yield* announcements(platform.cancel(id, { reason: "  " })), 1)
      assert.deepInclude(yield* platform.cancel(id, { reason: "second" }), {
        status: "PROCESSING",
        cancelRequested: "Cancelled."
      })
      assert.include(
        (yield* platform.explain(id)).explanation,
        "a cancel was requested, so it is cancelled unless"
      )
      yield* work.settle([{ order, outcome: { event: "released", detail: "stopping" } }])
      assert.strictEqual((yield* platform.explain(id)).explanation, "cancelled")
    })
  )

  it.effect("with another version changes nothing and announces nothing", () =>
    Effect.gen(function* () {
      const { announcements, platform } = yield* made
      const id = yield* platform.submit({ payload: {} })
      const refused = Effect.flip(platform.cancel(id, { ifVersion: 2 }))
      assert.strictEqual(yield* announcements(refused), 0)
      assert.strictEqual((yield* refused)._tag, "OrderVersionMismatch")
      assert.strictEqual((yield* platform.cancel(id, { ifVersion: 1 })).status, "FAILED")
    })
  )
})

describe("run", () => {
  it.effect("makes a scheduled order due, announces it and is recorded", () =>
    Effect.gen(function* () {
      const { announcements, claimOne, platform } = yield* made
      const id = yield* platform.submit({ payload: {}, notBefore: yield* inAnHour })
      assert.strictEqual(yield* announcements(platform.run(id, operator)), 1)
      assert.strictEqual((yield* claimOne).id, id)
      assert.strictEqual((yield* Effect.flip(platform.run(id)))._tag, "OrderStateConflict")
      const { entries } = yield* platform.audit({ limit: 10, after: null })
      assert.strictEqual(entries.length, 1)
      assert.deepInclude(entries[0], { action: "run", subject: id, ...operator })
    })
  )
})

describe("pause and resume", () => {
  it.effect("hold for exactly their scope, and only a resume announces", () =>
    Effect.gen(function* () {
      const { announcements, platform } = yield* made
      const resumeAt = yield* inAnHour
      const pauses = Effect.map(platform.pauses, (all) => all.map(({ group, type }) => [type, group]))
      assert.strictEqual(yield* announcements(platform.pause({ reason: "bank down" }, operator)), 0)
      yield* platform.pause({ reason: `no ink\u0000${"x".repeat(3000)}`, type: "invoice", resumeAt })
      yield* platform.pause({ reason: "moving", type: "invoice", group: "acme" })
      const [, second] = yield* platform.pauses
      assert.deepInclude(second, { by: null, resumeAt })
      assert.strictEqual(second?.reason.length, 2000)
      assert.notInclude(second?.reason ?? "", "\u0000")
      yield* platform.resume({ group: "acme" })
      assert.deepStrictEqual(yield* pauses, [
        [null, null],
        ["invoice", null],
        ["invoice", "acme"]
      ])
      assert.strictEqual(yield* announcements(platform.resume()), 1)
      yield* platform.resume({ type: "invoice" })
      assert.deepStrictEqual(yield* pauses, [["invoice", "acme"]])
    })
  )

  it.effect("refuse a type or group that no order can have", () =>
    Effect.gen(function* () {
      const { platform } = yield* made
      for (const effect of [
        platform.pause({ reason: "r", type: "Invoice" }),
        platform.pause({ reason: "r", group: "" }),
        platform.resume({ group: "a\u0000" })
      ])
        assert.strictEqual((yield* Effect.flip(effect))._tag, "SchemaError")
    })
  )
})

describe("the limits of groups", () => {
  it.effect("are replaced as a whole, listed by name in pages, and deleted; each change announces", () =>
    Effect.gen(function* () {
      const { announcements, platform } = yield* made
      const set = platform.setGroupLimits("b", { maxRunning: 5, maxPending: 10 }, operator)
      assert.strictEqual(yield* announcements(set), 1)
      assert.deepStrictEqual(yield* platform.setGroupLimits("b", { ratePerSecond: 2 }), {
        group: "b",
        maxRunning: null,
        ratePerSecond: 2,
        maxPending: null
      })
      for (const group of ["c", "a"]) yield* platform.setGroupLimits(group, { maxRunning: 1 })
      const first = yield* platform.groups({ limit: 2, after: null })
      assert.deepStrictEqual([first.entries.map(({ group }) => group), first.next], [["a", "b"], "b"])
      const second = yield* platform.groups({ limit: 2, after: "b" })
      assert.deepStrictEqual([second.entries.map(({ group }) => group), second.next], [["c"], null])
      assert.strictEqual(yield* announcements(platform.deleteGroupLimits("c", operator)), 1)
      const missing = Effect.flip(platform.deleteGroupLimits("c"))
      assert.strictEqual(yield* announcements(missing), 0)
      assert.deepInclude(yield* missing, { _tag: "GroupNotFound", group: "c" })
    })
  )

  it.effect("must be in their ranges", () =>
    Effect.gen(function* () {
      const { platform } = yield* made
      for (const [group, limits] of [
        ["acme", {}],
        ["acme", { maxRunning: 0 }],
        ["", { maxRunning: 1 }]
      ] as const)
        assert.strictEqual((yield* Effect.flip(platform.setGroupLimits(group, limits)))._tag, "SchemaError")
      assert.deepStrictEqual((yield* platform.groups({ limit: 10, after: null })).entries, [])
    })
  )
})

describe("the audit", () => {
  it.effect("has every change by an operator, newest first, in pages", () =>
    Effect.gen(function* () {
      const { claimOne, platform, work } = yield* made
      const failed = Effect.gen(function* () {
        const id = yield* platform.submit({ payload: {} })
        const failure = { reasonCode: "PERMANENT", reason: "broken" } as const
        yield* work.settle([{ order: yield* claimOne, outcome: { event: "failed", failure } }])
        return id
      })
      const [first, second] = [yield* failed, yield* failed]
      yield* platform.discard(second, { reason: "test data", operator })
      yield* platform.reprocess(first, { operator })
      yield* platform.pause({ reason: "bank down" }, operator)
      yield* platform.resume({}, operator)
      yield* platform.setGroupLimits("acme", { maxRunning: 1 }, operator)
      yield* platform.deleteGroupLimits("acme", operator)
      const newest = yield* platform.audit({ limit: 4, after: null })
      const rest = yield* platform.audit({ limit: 4, after: newest.next })
      assert.isNull(rest.next)
      const entries = [...newest.entries, ...rest.entries]
      for (const { by, correlationId } of entries) assert.deepStrictEqual({ by, correlationId }, operator)
      assert.deepStrictEqual(
        entries.map(({ action, reason, subject }) => [action, subject, reason]),
        [
          ["delete group limits", "group acme", null],
          ["set group limits", "group acme", null],
          ["resume", "everything", null],
          ["pause", "everything", "bank down"],
          ["reprocess", first, null],
          ["discard", second, "test data"]
        ]
      )
    })
  )
})
