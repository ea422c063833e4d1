import { fork } from "node:child_process"
import { availableParallelism } from "node:os"

/** Which seeds are simulated, and the time limit. */
export interface Range {
  readonly first: number
  readonly histories: number
  readonly secondsAtMost: number
}

/** The result of the histories of one process, or of all. */
export interface Share {
  readonly counts: ReadonlyMap<string, number>
  readonly failed: ReadonlyArray<readonly [seed: number, violations: ReadonlyArray<string>]>
  readonly histories: number
  readonly steps: number
}

/** The work of one process: every `step`-th seed from `from` to `to`, until the time is up. */
export interface ShareData {
  readonly from: number
  readonly to: number
  readonly step: number
  readonly until: number
}

// Processes instead of threads, because two of them were measured to be faster than two threads.
const share = (data: ShareData): Promise<Share> =>
  new Promise((resolve, reject) => {
    let share: Share | null = null
    const child = fork(new URL("./SimulationProcess.ts", import.meta.url), {
      // Sends Maps unchanged.
      serialization: "advanced",
      // The garbage of several histories fits into this young generation, so little of it is ever copied.
      execArgv: ["--max-semi-space-size=64"]
    })
    child.once("message", (message) => {
      share = message as Share
    })
    child.once("error", reject)
    child.once("exit", (code) => {
      if (share === null) reject(new Error(`A process of the simulation ended with ${code}.`))
      else resolve(share)
    })
    child.send(data)
  })

/** Simulates one history per seed, on all cores. */
export const simulateAll = async ({ first, histories, secondsAtMost }: Range): Promise<Share> => {
  const processes = Math.max(1, Math.min(4, availableParallelism()))
  const until = Date.now() + secondsAtMost * 1000
  const to = first + histories - 1
  const shares = await Promise.all(
    Array.from({ length: processes }, (_, n) => share({ from: first + n, to, step: processes, until }))
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
