import { parentPort, workerData } from "node:worker_threads"
import type { ShareData } from "./Shares.ts"
import { simulate } from "./Simulation.ts"

/** So many at least, however slow the machine is at the moment: with fewer, rare events may be missing. */
const atLeast = 75

// One of the threads that share the histories of a run: every `step`-th seed from `from` on, until `to` or until time is up.
const { from, step, to, until } = workerData as ShareData
const counts = new Map<string, number>()
const failed: Array<readonly [number, ReadonlyArray<string>]> = []
let histories = 0
let steps = 0
for (let seed = from; seed <= to && (histories < atLeast || Date.now() < until); seed += step) {
  const verdict = simulate(seed)
  histories++
  steps += verdict.steps
  for (const [what, count] of verdict.counts) counts.set(what, (counts.get(what) ?? 0) + count)
  if (verdict.violations.length > 0) failed.push([seed, verdict.violations])
}
parentPort?.postMessage({ counts, failed, histories, steps })
