import { assert, describe, it } from "@effect/vitest"
import { isWholeForm } from "../WholeForm.ts"
import { simulateAll } from "./Shares.ts"
import { faultKinds } from "./SimulatedWorld.ts"
import { simulate } from "./Simulation.ts"

/**
 * The number of histories, from seed 1 on. Without the setting, as many of 1000 (in whole form) or 80 as fit into 10
 * seconds.
 */
const historiesAtMost = Number(process.env.SIMULATION_HISTORIES ?? (isWholeForm ? 1000 : 80))
const secondsAtMost = process.env.SIMULATION_HISTORIES === undefined ? 10 : Infinity
const onlySeed = process.env.SIMULATION_SEED
const oneOnly = onlySeed !== undefined

/** Seeds that once found a bug, in the simulation or in the code under test. */
const regressions = [3, 10, 14, 17, 34, 55, 161]

const mustOccur = [
  ...faultKinds,
  "preemption",
  ..."created started completed retried failed expired released snoozed reprocessed discarded cancelled hastened"
    .split(" ")
    .map((event) => `event ${event}`),
  ..."PROCESSING_FAILED PERMANENT TIMEOUT WORKER_LOST DEFECT UNDECODABLE CANCELLED"
    .split(" ")
    .map((code) => `code ${code}`),
  ...["settled", "repeated", "stale"].map((result) => `result ${result}`),
  "cancel found"
]

const report = (seed: number, violations: ReadonlyArray<string>) =>
  [`Seed ${seed} (SIMULATION_SEED=${seed} npm test -- test/simulation):`, ...violations].join("\n  ")

describe("simulated histories", () => {
  it.runIf(oneOnly)("the history of SIMULATION_SEED keeps every promise", () => {
    const { trace, violations } = simulate(Number(onlySeed), true)
    if (violations.length > 0) console.log(trace.join("\n"))
    assert.deepStrictEqual(violations, [])
  })

  it.skipIf(oneOnly).each(regressions)("seed %i, which once found a bug, keeps every promise", (seed) => {
    assert.deepStrictEqual(simulate(seed).violations, [])
  })

  it.skipIf(oneOnly)("the same seed gives the same history, and another seed a different one", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const [first, second, other] = [simulate(seed, true), simulate(seed, true), simulate(seed + 1000, true)]
      assert.deepStrictEqual(second.trace, first.trace)
      assert.strictEqual(second.hash, first.hash)
      assert.notStrictEqual(other.hash, first.hash)
    }
  })

  it.runIf(isWholeForm && !oneOnly)("a seed gives the same history in another process", async () => {
    const seeds = [1, 2, 3, 4, 5]
    const { counts, steps } = await simulateAll({
      first: 1,
      histories: seeds.length,
      secondsAtMost: Infinity
    })
    const here = seeds.map((seed) => simulate(seed))
    const countedHere = new Map<string, number>()
    for (const [what, count] of here.flatMap((verdict) => Array.from(verdict.counts)))
      countedHere.set(what, (countedHere.get(what) ?? 0) + count)
    assert.strictEqual(
      steps,
      here.reduce((sum, verdict) => sum + verdict.steps, 0)
    )
    assert.deepStrictEqual(Array.from(counts).sort(), Array.from(countedHere).sort())
  })

  it.skipIf(oneOnly)(
    "every history keeps every promise, with processes crashed or frozen and messages lost, doubled or late",
    { timeout: 600_000 },
    async () => {
      const started = performance.now()
      const { counts, failed, histories, steps } = await simulateAll({
        first: 1,
        histories: historiesAtMost,
        secondsAtMost
      })
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      const occurred = mustOccur.map((what) => `${what} ${counts.get(what) ?? 0}`).join(", ")
      console.log(`${histories} histories of ${steps} port calls in ${seconds} s: ${occurred}`)
      assert.strictEqual(
        failed.length,
        0,
        failed
          .slice(0, 5)
          .map(([seed, violations]) => report(seed, violations))
          .join("\n")
      )
      assert.deepStrictEqual(
        mustOccur.filter((what) => !counts.has(what)),
        []
      )
    }
  )
})
