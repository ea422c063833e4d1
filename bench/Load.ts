import { run } from "./Children.ts"

interface Latencies {
  readonly accepted: number
  readonly p50: number
  readonly p99: number
}

export interface LoadResult extends Latencies {
  readonly refused: number
  readonly seconds: number
  readonly eachSecond: ReadonlyArray<Latencies>
}

/** Connections of the load generator. */
export const connections = 64

/** Sends orders for a while, from a process of its own; with `perSecond` at that rate, else as fast as they are answered. */
export const load = async (
  url: string,
  ms: number,
  directory: string,
  more: { readonly perSecond?: number; readonly least?: number } = {}
): Promise<LoadResult> => {
  const options = JSON.stringify({ url, ms, connections, ...more })
  const output = await run({ command: ["bench/load.js", options], directory }, 10 * ms + 60_000)
  const result = JSON.parse(output) as LoadResult
  if (result.accepted === 0) throw new Error(`${url} accepted nothing: ${output}`)
  return result
}

/** Load until the server's code is compiled: on a busy machine that takes requests, not seconds. */
export const warmUp = (url: string, ms: number, directory: string): Promise<LoadResult> =>
  load(url, ms, directory, { least: 5000 })
