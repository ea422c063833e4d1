import * as http from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { randomOf } from "./Random.ts"

/** What the clients know: the only source about what was promised to them. */
export interface ClientLog {
  /** Orders answered 202. */
  readonly answered: Array<{ readonly orderId: string; readonly at: number; readonly kills: boolean }>
  /** Reprocessings answered 202, by order. */
  readonly reprocessed: Map<string, number>
  readonly statuses: Map<string, number>
  /** Answers that are neither 202 nor one that a client has to expect, as they came. */
  readonly wrong: Array<string>
  /** 503 answers without Retry-After. */
  withoutRetryAfter: number
  /** Longest time that a client waited for an answer, whatever it was. */
  slowestMs: number
  /** Orders that were given up because no 202 came for a minute. */
  gaveUp: number
}

export interface Load {
  readonly log: ClientLog
  readonly inFlight: () => number
  /** Takes effect at once for new orders; those in flight are answered or given up. */
  readonly stop: () => Promise<void>
}

interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

const expected = new Set([202, 503, 409, 404])
const mostInFlight = 2000
const requestTimeoutMs = 30_000

/** Submits `rate` orders a second to all APIs in turn, and now and then reprocesses dead letters. The seed decides what is in them. */
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

  const ask = async (method: string, path: string, body: string | null): Promise<Answer | null> => {
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

  const contents = (kills: boolean) => {
    const trouble = random.next()
    const outcome =
      trouble < 0.01
        ? "defect"
        : trouble < 0.02
          ? "permanent"
          : trouble < 0.05
            ? "snooze"
            : trouble < 0.052
              ? "hang"
              : null
    return {
      payload: kills ? { kill: true } : { writes: random.next() < 0.7, ...(outcome !== null && { outcome }) },
      ...(random.next() < 0.5 && { priority: random.between(0, 9) }),
      ...(kills ? { maxRetries: 2 } : random.next() < 0.7 && { maxRetries: random.between(0, 4) }),
      // Relative until it is sent, so that the seed alone decides it.
      notBeforeIn: random.next() < 0.3 ? random.between(0, 2000) : null
    }
  }

  const submit = async (kills: boolean) => {
    const { notBeforeIn, ...order } = contents(kills)
    const giveUpAt = Date.now() + 60_000
    inFlight++
    try {
      // What was not answered 202 may or may not be stored; the client tries again with a new order.
      while (Date.now() < giveUpAt) {
        const notBefore =
          notBeforeIn === null ? {} : { notBefore: new Date(Date.now() + notBeforeIn).toISOString() }
        const answer = await ask("POST", "/orders", JSON.stringify({ ...order, ...notBefore }))
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
        if (inFlight >= mostInFlight) continue
        // By number, not by time, so that the seed alone decides which orders kill.
        const kills = sent > nextKill * rate
        if (kills) nextKill += random.between(20, 30)
        void submit(kills)
      }
      await sleep(5)
    }
  })()

  const reprocessing = (async () => {
    const dice = randomOf(seed, "reprocess")
    while (running) {
      await sleep(dice.between(200, 800))
      const answer = await ask("GET", "/dlq?limit=200", null)
      if (answer?.status !== 200) continue
      const entries = JSON.parse(answer.body) as ReadonlyArray<{ orderId: string; reasonCode: string }>
      // An order that killed its workers would only do so again.
      const candidates = entries.filter(({ reasonCode }) => reasonCode !== "WORKER_LOST")
      const entry = candidates[dice.between(0, Math.max(0, candidates.length - 1))]
      if (entry === undefined) continue
      // At both APIs at the same time: at most one of the two may get it.
      const times = dice.next() < 0.3 ? 2 : 1
      const answers = await Promise.all(
        Array.from({ length: times }, () => ask("POST", `/dlq/${entry.orderId}/reprocess`, null))
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
