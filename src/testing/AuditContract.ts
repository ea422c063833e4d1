import { assert, layer as describeLayer } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { AuditEntry } from "../domain/Audit.ts"
import { noLimits } from "../domain/Groups.ts"
import { allStores } from "./AllStores.ts"
import { newOrder } from "./NewOrders.ts"
import { type StoreContract, storeScenario } from "./StoreScenario.ts"

const ann = { by: "ann", correlationId: "c-1" }

/** What every implementation of `ControlStore` must write into the audit. */
export const auditContract: StoreContract = (name, layer, setStoreClock) => {
  describeLayer(layer)(`ControlStore: audit on ${name}`, (it) => {
    const { advance, failedOrder, fresh } = storeScenario(setStoreClock)

    const newest = Effect.fnUntraced(function* (limit = 1) {
      const { control } = yield* allStores
      return yield* control.audit({ limit, before: null })
    })
    /** The entries since a number, oldest first. */
    const since = Effect.fnUntraced(function* (number: number) {
      const entries = yield* newest(100)
      return entries.filter((entry) => entry.number > number).toReversed()
    })
    const lastNumber = Effect.map(newest(), ([entry]) => entry?.number ?? 0)

    it.effect("each change by an operator has an entry with who, when, what and why", () =>
      Effect.gen(function* () {
        const { control, deadLetters, intake } = yield* fresh
        const [one, two] = [yield* failedOrder, yield* failedOrder]
        const group = (yield* deadLetters.find(one)).fingerprint
        const later = newOrder({ notBefore: DateTime.add(yield* DateTime.now, { hours: 1 }) })
        yield* intake.submit([later])
        const before = yield* lastNumber
        const pause = { reason: "bank down", resumeAt: null }
        const changes = [
          deadLetters.reprocess(one, { operator: ann }),
          deadLetters.discard(two, { operator: ann, reason: "test data" }),
          control.run(later.id, ann),
          control.pause({ type: null, group: null, ...pause }, ann),
          control.pause({ type: "invoice", group: null, ...pause }, ann),
          control.pause({ type: null, group: "acme", ...pause }, ann),
          control.pause({ type: "invoice", group: "acme", ...pause }),
          control.resume({ type: "invoice", group: "acme" }, ann),
          control.setGroupLimits("acme", { ...noLimits, maxRunning: 5 }, ann),
          control.deleteGroupLimits("acme", { by: null, correlationId: "c-2" }),
          deadLetters.markFixed(group, { operator: ann, reason: "new terminal" }),
          deadLetters.markFixed(group, { operator: ann, version: "1.2.3" })
        ]
        const start = yield* DateTime.now
        for (const change of changes) {
          yield* advance("1 second")
          yield* change as Effect.Effect<unknown, unknown>
        }
        const scope = "type invoice in group acme"
        const expected = [
          ["reprocess", one, null, ann],
          ["discard", two, "test data", ann],
          ["run", later.id, null, ann],
          ["pause", "everything", "bank down", ann],
          ["pause", "type invoice", "bank down", ann],
          ["pause", "group acme", "bank down", ann],
          ["pause", scope, "bank down", { by: null, correlationId: null }],
          ["resume", scope, null, ann],
          ["set group limits", "group acme", null, ann],
          ["delete group limits", "group acme", null, { by: null, correlationId: "c-2" }],
          ["mark fixed", `failure group ${group}`, "new terminal", ann],
          ["mark fixed", `failure group ${group} in version 1.2.3`, null, ann]
        ] as const
        const entries = yield* since(before)
        assert.deepStrictEqual(
          entries,
          expected.map(([action, subject, reason, operator], n) => ({
            number: entries[n]?.number ?? 0,
            at: DateTime.add(start, { seconds: n + 1 }),
            action,
            subject,
            reason,
            ...operator
          }))
        )
      })
    )

    it.effect("a change that fails or that changes nothing has no entry", () =>
      Effect.gen(function* () {
        const { control, deadLetters, intake } = yield* fresh
        const dead = yield* failedOrder
        const order = newOrder()
        yield* intake.submit([order])
        const scope = { type: "ended", group: null }
        const resumeAt = DateTime.add(yield* DateTime.now, { seconds: 1 })
        yield* control.pause({ ...scope, reason: "for a second", resumeAt })
        yield* advance("1 second")
        const before = yield* lastNumber
        const calls = [
          deadLetters.reprocess(order.id),
          deadLetters.discard(order.id),
          deadLetters.reprocess(dead, { ifVersion: 9 }),
          control.run(order.id),
          control.resume({ type: "none", group: null }),
          control.resume(scope),
          control.deleteGroupLimits("none"),
          deadLetters.markFixed("0123456789abcdef")
        ]
        for (const call of calls) yield* Effect.exit(call as Effect.Effect<unknown, unknown>)
        assert.deepStrictEqual(yield* since(before), [])
      })
    )

    it.effect("entries are read newest first, in pages", () =>
      Effect.gen(function* () {
        const { control } = yield* fresh
        const before = yield* lastNumber
        for (let n = 0; n < 5; n++) yield* control.setGroupLimits(`g${n}`, noLimits)
        const numbers: Array<number> = []
        const subjects: Array<string> = []
        let after: number | null = null
        do {
          const page: ReadonlyArray<AuditEntry> = yield* control.audit({ limit: 2, before: after })
          numbers.push(...page.map(({ number }) => number))
          subjects.push(...page.map(({ subject }) => subject))
          after = page.at(-1)?.number ?? null
        } while (after !== null && after > before)
        assert.deepStrictEqual(
          subjects.slice(0, 5),
          ["g4", "g3", "g2", "g1", "g0"].map((g) => `group ${g}`)
        )
        assert.deepStrictEqual(
          numbers,
          [...new Set(numbers)].sort((a, b) => b - a)
        )
      })
    )
  })
}
