import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"

/** Which seeds are simulated, and for how long at most. */
export interface Range {
  readonly first: number
  readonly histories: number
  readonly secondsAtMost: number
}

/** What came of the histories of one thread, or of all. */
export interface Share {
  readonly counts: ReadonlyMap<string, number>
  readonly failed: ReadonlyArray<readonly [seed: number, violations: ReadonlyArray<string>]>
  readonly histories: number
  readonly steps: number
}

/** What one thread is given to do: every `step`-th seed from `from` on, until `to` or until time is up. */
export interface ShareData {
  readonly from: number
  readonly to: number
  readonly step: number
  readonly until: number
}

const share = (workerData: ShareData): Promise<Share> =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL("./SimulationThread.ts", import.meta.url), {
      workerData,
      // What a history makes is forgotten with it: with room for several, hardly any of it is ever copied.
      resourceLimits: { maxYoungGenerationSizeMb: 96 }
    })
    thread.once("message", resolve)
    thread.once("error", reject)
  })

/** Simulates one history a seed, on all cores. */
export const simulateAll = async ({ first, histories, secondsAtMost }: Range): Promise<Share> => {
  const threads = Math.max(1, Math.min(4, availableParallelism()))
  const until = Date.now() + secondsAtMost * 1000
  const to = first + histories - 1
  const shares = await Promise.all(
    Array.from({ length: threads }, (_, n) => share({ from: first + n, to, step: threads, until }))
  )
  const counts = new Map<string, number>()
  for (const share of shares)
    for (const [what, count] of share.counts) counts.set(what, (counts.get(what) ?? 0) + count)
  const sum = (of: (share: Share) => number) => shares.reduce((all, share) => all + of(share), 0)
  return {
    counts,
    failed: shares.flatMap(({ failed }) => failed).sort(([a], [b]) => a - b),
    histories: sum(({ histories }) => histories),
    steps: sum(({ steps }) => steps)
  }
}
