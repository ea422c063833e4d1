import { once } from "node:events"
import { setImmediate } from "node:timers/promises"
import type { Share, ShareData } from "./Shares.ts"
import { simulate } from "./Simulation.ts"

/** The minimum of histories even on a slow machine, because with fewer, rare events may not occur. */
const minHistories = 75

// A child process of simulateAll: simulates every `step`-th seed from `from` to `to`, until the time is up.
const { from, step, to, until } = (await once(process, "message"))[0] as ShareData
const counts = new Map<string, number>()
const failed: Array<readonly [number, ReadonlyArray<string>]> = []
let histories = 0
let steps = 0
// The parent process has the result already, or has ended.
process.once("disconnect", () => process.exit())
for (let seed = from; seed <= to && (histories < minHistories || Date.now() < until); seed += step) {
  const verdict = simulate(seed)
  histories++
  steps += verdict.steps
  for (const [what, count] of verdict.counts) counts.set(what, (counts.get(what) ?? 0) + count)
  if (verdict.violations.length > 0) failed.push([seed, verdict.violations])
  await setImmediate()
}
process.send?.({ counts, failed, histories, steps } satisfies Share, () => process.disconnect())
