import * as http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { randomOf } from "./Random.ts"

/** What the clients were answered: the only source of what was promised to them. */
export interface ClientLog {
  /** Orders answered 202. */
  readonly answered: Array<{ readonly orderId: string; readonly at: number; readonly kills: boolean }>
  /** The number of reprocess calls answered 202, by order. */
  readonly reprocessed: Map<string, number>
  readonly statuses: Map<string, number>
  /** Answers that no client has to expect. */
  readonly wrong: Array<string>
  /** 503 answers without Retry-After. */
  withoutRetryAfter: number
  /** The longest time that a client waited for any answer. */
  slowestMs: number
  /** Orders given up after a minute without a 202. */
  gaveUp: number
}

export interface Load {
  readonly log: ClientLog
  readonly inFlight: () => number
  /** Stops new orders at once; those in flight are answered or given up. */
  readonly stop: () => Promise<void>
}

interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

const expected = new Set([202, 503, 409, 404])
const maxInFlight = 2000
const requestTimeoutMs = 30_000

/**
 * Submits `rate` orders a second to the APIs in turn, and reprocesses some dead letters. The seed decides their
 * content.
 */
export const startLoad = (urls: ReadonlyArray<string>, seed: string, rate: number): Load => {
  const log: ClientLog = {
    answered: [],
    reprocessed: new Map(),
    statuses: new Map(),
    wrong: [],
    withoutRetryAfter: 0,
    slowestMs: 0,
    gaveUp: 0
  }
  const random = randomOf(seed, "load")
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 })
  let running = true
  let inFlight = 0
  let turn = 0
  const nextUrl = () => urls[turn++ % urls.length] ?? ""

  const count = (what: string) => log.statuses.set(what, (log.statuses.get(what) ?? 0) + 1)

  const call = async (method: string, path: string, body: string | null): Promise<Answer | null> => {
    const began = Date.now()
    const answer = await new Promise<Answer | null>((resolve) => {
      const request = http.request(`${nextUrl()}${path}`, {
        agent,
        method,
        timeout: requestTimeoutMs,
        headers: body === null ? {} : { "content-type": "application/json" }
      })
      request.on("timeout", () => request.destroy(new Error("no answer in time")))
      request.on("error", () => resolve(null))
      request.on("response", (response) => {
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
      request.end(body ?? undefined)
    })
    log.slowestMs = Math.max(log.slowestMs, Date.now() - began)
    count(`${method} ${answer === null ? "no answer" : answer.status}`)
    if (answer === null) return null
    if (answer.status === 503 && answer.retryAfter === undefined) log.withoutRetryAfter++
    if (!expected.has(answer.status) && !(method === "GET" && answer.status === 200))
      log.wrong.push(`${method} ${path} ${answer.status} ${answer.body.slice(0, 200)}`)
    return answer
  }

  const randomOrder = (kills: boolean) => {
    const draw = random.next()
    const outcome =
      draw < 0.01
        ? "defect"
        : draw < 0.02
          ? "permanent"
          : draw < 0.05
            ? "snooze"
            : draw < 0.052
              ? "hang"
              : null
    return {
      payload: kills ? { kill: true } : { writes: random.next() < 0.7, ...(outcome !== null && { outcome }) },
      ...(random.next() < 0.5 && { priority: random.between(0, 9) }),
      ...(kills ? { maxRetries: 2 } : random.next() < 0.7 && { maxRetries: random.between(0, 4) }),
      // Relative until the order is sent, so that the seed alone decides it.
      notBeforeIn: random.next() < 0.3 ? random.between(0, 2000) : null
    }
  }

  const submit = async (kills: boolean) => {
    const { notBeforeIn, ...order } = randomOrder(kills)
    const giveUpAt = Date.now() + 60_000
    inFlight++
    try {
      // An order not answered 202 may or may not be stored; the client tries again with a new order.
      while (Date.now() < giveUpAt) {
        const notBefore =
          notBeforeIn === null ? {} : { notBefore: new Date(Date.now() + notBeforeIn).toISOString() }
        const answer = await call("POST", "/orders", JSON.stringify({ ...order, ...notBefore }))
        if (answer?.status === 202) {
          const { orderId } = JSON.parse(answer.body) as { orderId: string }
          log.answered.push({ orderId, at: Date.now(), kills })
          return
        }
        await sleep(200)
      }
      log.gaveUp++
    } finally {
      inFlight--
    }
  }

  const submitting = (async () => {
    const began = Date.now()
    let sent = 0
    let nextKill = random.between(8, 15)
    while (running) {
      const elapsed = (Date.now() - began) / 1000
      while (sent < elapsed * rate) {
        sent++
        if (inFlight >= maxInFlight) continue
        // By number, not by time, so that the seed alone decides which orders kill.
        const kills = sent > nextKill * rate
        if (kills) nextKill += random.between(20, 30)
        void submit(kills)
      }
      await sleep(5)
    }
  })()

  const reprocessing = (async () => {
    const reprocessRandom = randomOf(seed, "reprocess")
    while (running) {
      await sleep(reprocessRandom.between(200, 800))
      const answer = await call("GET", "/dlq?limit=200", null)
      if (answer?.status !== 200) continue
      const entries = JSON.parse(answer.body) as ReadonlyArray<{ orderId: string; reasonCode: string }>
      // An order that killed its workers would do so again.
      const candidates = entries.filter(({ reasonCode }) => reasonCode !== "WORKER_LOST")
      const entry = candidates[reprocessRandom.between(0, Math.max(0, candidates.length - 1))]
      if (entry === undefined) continue
      // To both APIs at the same time: at most one of the two may succeed.
      const times = reprocessRandom.next() < 0.3 ? 2 : 1
      const answers = await Promise.all(
        Array.from({ length: times }, () => call("POST", `/dlq/${entry.orderId}/reprocess`, null))
      )
      const accepted = answers.filter((answer) => answer?.status === 202).length
      log.reprocessed.set(entry.orderId, (log.reprocessed.get(entry.orderId) ?? 0) + accepted)
    }
  })()

  return {
    log,
    inFlight: () => inFlight,
    stop: async () => {
      running = false
      await Promise.all([submitting, reprocessing])
      const deadline = Date.now() + 60_000
      while (inFlight > 0 && Date.now() < deadline) await sleep(50)
      agent.destroy()
    }
  }
}
