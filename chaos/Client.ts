import * as http from "node:http"

/** One call and its answer. Times are milliseconds since the epoch, from the machine of PostgreSQL. */
export interface Called {
  readonly orderId: string
  readonly sentAt: number
  readonly answeredAt: number
  readonly status: number
}

/** An order whose submit was answered 202. */
export interface Accepted {
  readonly orderId: string
  readonly sentAt: number
  readonly answeredAt: number
  /** The number of the call, and the place of the order in it: a bulk has several. */
  readonly call: number
  readonly item: number
  readonly kills: boolean
  /** The `notBefore` of the submit; null if it had none. */
  readonly notBefore: number | null
}

/** Limits that were set for a group: in force at some time after `sentAt`, at the latest at `answeredAt`. */
export interface LimitsSet {
  readonly group: string
  readonly maxRunning: number | null
  readonly ratePerSecond: number | null
  readonly sentAt: number
  readonly answeredAt: number
}

/** A pause that was answered, and its end. */
export interface Paused {
  readonly type: string | null
  readonly group: string | null
  readonly sentAt: number
  readonly answeredAt: number
  /** From then on it may have ended: the first resume was sent, or its `resumeAt` was reached. */
  readonly mayEndAt: number
  /** From then on it has certainly ended. */
  readonly endedAt: number
}

/** The answers that the clients got: the only record of what the platform promised them. */
export interface ClientLog {
  readonly accepted: Array<Accepted>
  /** Reprocess calls answered 202. */
  readonly reprocessed: Array<Called>
  /** All cancels; status 0: not answered. */
  readonly cancels: Array<Called>
  /** Calls of run answered 202. */
  readonly runs: Array<Called>
  readonly limits: Array<LimitsSet>
  readonly pauses: Array<Paused>
  readonly statuses: Map<string, number>
  /** Answers that no client should get. */
  readonly wrong: Array<string>
  /** 503 answers without Retry-After. */
  withoutRetryAfter: number
  /** The longest time that a client waited for any answer. */
  slowestMs: number
  /** Orders given up after a minute without a 202. */
  gaveUp: number
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly sentAt: number
  readonly answeredAt: number
}

/** Calls the APIs in turn, and keeps the log. Null: the call was not answered. */
export interface Client {
  readonly log: ClientLog
  readonly call: (method: string, path: string, body?: object) => Promise<Answer | null>
  readonly close: () => void
}

const requestTimeoutMs = 30_000

interface RawAnswer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

const request = (url: string, agent: http.Agent, method: string, body: object | undefined) =>
  new Promise<RawAnswer | null>((resolve) => {
    const sending = http.request(url, {
      agent,
      method,
      timeout: requestTimeoutMs,
      headers: body === undefined ? {} : { "content-type": "application/json" }
    })
    sending.on("timeout", () => sending.destroy(new Error("no answer in time")))
    sending.on("error", () => resolve(null))
    sending.on("response", (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
      response.on("error", () => resolve(null))
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: response.headers["retry-after"],
          body: text
        })
      )
    })
    sending.end(body === undefined ? undefined : JSON.stringify(body))
  })

// The expected answers. A pause, a resume and limits of a group are answered 200.
const expected = new Set([200, 202, 503, 409, 404])

/** The part of a path that identifies the endpoint, for the count of answers. */
const endpointOf = (path: string) =>
  path
    .replace(/\?.*/, "")
    .replace(/[0-9a-f-]{36}/, "…")
    .replace(/^\/groups\/.*/, "/groups/…")

export const clientOf = (urls: ReadonlyArray<string>): Client => {
  const log: ClientLog = {
    accepted: [],
    reprocessed: [],
    cancels: [],
    runs: [],
    limits: [],
    pauses: [],
    statuses: new Map(),
    wrong: [],
    withoutRetryAfter: 0,
    slowestMs: 0,
    gaveUp: 0
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 })
  let turn = 0

  return {
    log,
    call: async (method, path, body) => {
      const sentAt = Date.now()
      const answer = await request(`${urls[turn++ % urls.length]}${path}`, agent, method, body)
      const answeredAt = Date.now()
      log.slowestMs = Math.max(log.slowestMs, answeredAt - sentAt)
      const what = `${method} ${endpointOf(path)} ${answer === null ? "no answer" : answer.status}`
      log.statuses.set(what, (log.statuses.get(what) ?? 0) + 1)
      if (answer === null) return null
      const { body: text, retryAfter, status } = answer
      if (status === 503 && retryAfter === undefined) log.withoutRetryAfter++
      if (!expected.has(status)) log.wrong.push(`${method} ${path} ${status} ${text.slice(0, 200)}`)
      return { status, body: text, sentAt, answeredAt }
    },
    close: () => agent.destroy()
  }
}
