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

/** The number of connections of the load generator. */
export const connections = 64

/** Sends orders for `ms` from a separate process, at the rate `perSecond` or else as fast as they are answered. */
export const load = async (
  url: string,
  ms: number,
  directory: string,
  extra: {
    readonly perSecond?: number
    readonly min?: number
    readonly bulk?: number
    readonly connections?: number
  } = {}
): Promise<LoadResult> => {
  const options = JSON.stringify({ url, ms, connections, ...extra })
  const output = await run({ command: ["bench/load.js", options], directory }, 10 * ms + 60_000)
  const result = JSON.parse(output) as LoadResult
  if (result.accepted === 0) throw new Error(`${url} accepted nothing: ${output}`)
  return result
}

/** The load of POST /orders/bulk. */
export const bulks = { bulk: 500, connections: 8 }

/** Sends load until the server's code is compiled, which depends on the number of requests. */
export const warmUp = (url: string, ms: number, directory: string): Promise<LoadResult> =>
  load(url, ms, directory, { min: 5000 })
