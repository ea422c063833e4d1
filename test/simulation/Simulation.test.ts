import { assert, describe, it } from "@effect/vitest"
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import { faultKinds } from "./SimulatedWorld.ts"
import { simulate } from "./Simulation.ts"

/** How many histories, from seed 1 on; without the setting as many of 2,000 as fit into 15 seconds. */
const histories = Number(process.env.SIMULATION_HISTORIES ?? 2000)
const secondsAtMost = process.env.SIMULATION_HISTORIES === undefined ? 15 : Infinity
const onlySeed = process.env.SIMULATION_SEED
const oneOnly = onlySeed !== undefined

/** Seeds that have found something once: in the simulation itself or in the code that it runs. */
const regressions = [3, 10, 14, 17, 34, 55, 161]

const mustOccur = [
  ...faultKinds,
  "preemption",
  ..."created started completed retried failed expired released snoozed reprocessed discarded"
    .split(" ")
    .map((event) => `event ${event}`),
  ..."PROCESSING_FAILED PERMANENT TIMEOUT WORKER_LOST DEFECT UNDECODABLE"
    .split(" ")
    .map((code) => `code ${code}`),
  ...["settled", "repeated", "stale"].map((result) => `result ${result}`)
]

interface Share {
  readonly counts: ReadonlyMap<string, number>
  readonly failed: ReadonlyArray<readonly [seed: number, violations: ReadonlyArray<string>]>
  readonly histories: number
  readonly steps: number
}

const share = (from: number, step: number): Promise<Share> =>
  new Promise((resolve, reject) => {
    const workerData = { from, to: histories, step, until: Date.now() + secondsAtMost * 1000 }
    const thread = new Worker(new URL("./SimulationThread.ts", import.meta.url), { workerData })
    thread.once("message", resolve)
    thread.once("error", reject)
  })

const report = (seed: number, violations: ReadonlyArray<string>) =>
  [`Seed ${seed} (SIMULATION_SEED=${seed} npm test -- test/simulation):`, ...violations].join("\n  ")

describe("Simulated histories", () => {
  it.runIf(oneOnly)("the history of SIMULATION_SEED keeps every promise", () => {
    const { trace, violations } = simulate(Number(onlySeed), true)
    if (violations.length > 0) console.log(trace.join("\n"))
    assert.deepStrictEqual(violations, [])
  })

  it.skipIf(oneOnly).each(regressions)("seed %i, which found something once, keeps every promise", (seed) => {
    assert.deepStrictEqual(simulate(seed).violations, [])
  })

  it.skipIf(oneOnly)("the same seed gives the same history, and another seed another", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const [first, second, other] = [simulate(seed, true), simulate(seed, true), simulate(seed + 1000)]
      assert.deepStrictEqual(second.trace, first.trace)
      assert.strictEqual(second.hash, first.hash)
      assert.notStrictEqual(other.hash, first.hash)
    }
  })

  it.skipIf(oneOnly)(
    "every history keeps every promise, whatever is crashed, frozen, lost, doubled or late",
    { timeout: 600_000 },
    async () => {
      const threads = Math.max(1, Math.min(4, availableParallelism()))
      const started = performance.now()
      const shares = await Promise.all(Array.from({ length: threads }, (_, n) => share(n + 1, threads)))
      const counts = new Map<string, number>()
      for (const share of shares)
        for (const [what, count] of share.counts) counts.set(what, (counts.get(what) ?? 0) + count)
      const sum = (of: (share: Share) => number) => shares.reduce((all, share) => all + of(share), 0)
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      const occurred = mustOccur.map((what) => `${what} ${counts.get(what) ?? 0}`).join(", ")
      console.log(
        `${sum(({ histories }) => histories)} histories of ${sum(({ steps }) => steps)} port calls in ${seconds} s: ${occurred}`
      )
      const failed = shares.flatMap(({ failed }) => failed).sort(([a], [b]) => a - b)
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
