import { setTimeout as sleep } from "node:timers/promises"
import type { Client } from "./Client.ts"
import { randomKeyedKind, randomKind } from "./Kinds.ts"
import { type Random, randomOf } from "./Random.ts"

export interface Load {
  readonly inFlight: () => number
  /** Stops new orders at once; those in flight are answered or given up. */
  readonly stop: () => Promise<void>
}

const maxInFlight = 2000
const giveUpMs = 60_000

/** An order to submit. Its time is relative until it is sent, so that the seed alone decides it. */
interface Planned {
  readonly order: object
  readonly kills: boolean
  readonly notBeforeIn: number | null
}

const outcomeOf = (draw: number) => {
  if (draw < 0.01) return "defect"
  if (draw < 0.02) return "permanent"
  if (draw < 0.05) return "snooze"
  return draw < 0.052 ? "hang" : null
}

const notBeforeOf = (random: Random) => {
  const draw = random.next()
  // Some wait long enough for a `run` to matter.
  return draw < 0.05 ? random.between(5000, 20_000) : draw < 0.3 ? random.between(0, 2000) : null
}

/** `item`: its place in a bulk, where most orders have ordering keys; null if it is submitted alone. */
const planOrder = (random: Random, kills: boolean, item: number | null): Planned => {
  const outcome = outcomeOf(random.next())
  // Some attempts run long enough to be cancelled.
  const workMs = random.next() < 0.05 ? { workMs: random.between(200, 800) } : {}
  return {
    order: {
      ...(item !== null && random.next() < 0.9 ? randomKeyedKind(random) : randomKind(random)),
      // The orders of a bulk have one correlation id, so `item` tells them apart. In lists, `kills` marks the
      // orders that kill their workers.
      ...((item !== null || kills) && {
        metadata: { ...(item !== null && { item: String(item) }), ...(kills && { kills: "true" }) }
      }),
      payload: kills
        ? { kill: true }
        : { writes: random.next() < 0.7, ...workMs, ...(outcome !== null && { outcome }) },
      ...(random.next() < 0.5 && { priority: random.between(0, 9) }),
      ...(kills ? { maxRetries: 2 } : random.next() < 0.7 && { maxRetries: random.between(0, 4) })
    },
    kills,
    notBeforeIn: notBeforeOf(random)
  }
}

/** Submits orders, alone or in bulks, until they are answered 202 or given up. */
const submitterOf = (client: Client) => {
  let calls = 0
  const attempt = async (planned: ReadonlyArray<Planned>): Promise<boolean> => {
    const now = Date.now()
    const due = planned.map(({ notBeforeIn }) => (notBeforeIn === null ? null : now + notBeforeIn))
    const bodies = planned.map(({ order }, n) => {
      const at = due[n] ?? null
      return at === null ? order : { ...order, notBefore: new Date(at).toISOString() }
    })
    const alone = bodies.length === 1
    const answer = await (alone
      ? client.call("POST", "/orders", bodies[0])
      : client.call("POST", "/orders/bulk", { orders: bodies }))
    if (answer?.status !== 202) return false
    const body = JSON.parse(answer.body) as {
      readonly orderId?: string
      readonly results?: ReadonlyArray<{ readonly orderId?: string; readonly problem?: unknown }>
    }
    const call = ++calls
    const { answeredAt, sentAt } = answer
    for (const [item, { orderId, problem }] of (alone ? [body] : (body.results ?? []))
      .map((result) => ({ problem: undefined, ...result }))
      .entries()) {
      const plan = planned[item]
      if (orderId === undefined || plan === undefined)
        client.log.wrong.push(`item ${item} of a bulk: ${JSON.stringify(problem)}`)
      else {
        const { kills } = plan
        client.log.accepted.push({
          orderId,
          sentAt,
          answeredAt,
          call,
          item,
          kills,
          notBefore: due[item] ?? null
        })
      }
    }
    return true
  }
  // Orders not answered 202 may or may not be stored; the client tries again with new ones.
  return async (planned: ReadonlyArray<Planned>) => {
    const giveUpAt = Date.now() + giveUpMs
    while (Date.now() < giveUpAt) {
      if (await attempt(planned)) return
      await sleep(200)
    }
    client.log.gaveUp += planned.length
  }
}

/** Submits `rate` orders a second, and reprocesses some dead letters. The seed decides their content. */
export const startLoad = (client: Client, seed: string, rate: number): Load => {
  const random = randomOf(seed, "load")
  const submit = submitterOf(client)
  let running = true
  let inFlight = 0

  const send = (planned: ReadonlyArray<Planned>) => {
    inFlight += planned.length
    void submit(planned).finally(() => (inFlight -= planned.length))
  }

  const submitting = (async () => {
    const began = Date.now()
    let sent = 0
    let nextKill = random.between(8, 15)
    while (running) {
      const elapsed = (Date.now() - began) / 1000
      while (sent < elapsed * rate) {
        // Every hundredth call is a bulk with ordering keys; its items get their places in the sequence of the bulk.
        const size = random.next() < 0.01 ? random.between(2, 20) : 1
        sent += size
        // By number, not by time, so that the seed alone decides which orders kill.
        const kills = sent > nextKill * rate
        if (kills) nextKill += random.between(20, 30)
        const planned = Array.from({ length: size }, (_, n) =>
          planOrder(random, kills && n === 0, size > 1 ? n : null)
        )
        if (inFlight < maxInFlight) send(planned)
      }
      await sleep(5)
    }
  })()

  const reprocessing = reprocess(client, randomOf(seed, "reprocess"), () => running)

  return {
    inFlight: () => inFlight,
    stop: async () => {
      running = false
      await Promise.all([submitting, reprocessing])
      const deadline = Date.now() + giveUpMs
      while (inFlight > 0 && Date.now() < deadline) await sleep(50)
    }
  }
}

const reprocess = async ({ call, log }: Client, random: Random, running: () => boolean) => {
  while (running()) {
    await sleep(random.between(200, 800))
    const answer = await call("GET", "/dlq?limit=200")
    if (answer?.status !== 200) continue
    const entries = JSON.parse(answer.body) as ReadonlyArray<{ orderId: string; reasonCode: string }>
    // An order that killed its workers would do so again.
    const candidates = entries.filter(({ reasonCode }) => reasonCode !== "WORKER_LOST")
    const entry = candidates[random.between(0, Math.max(0, candidates.length - 1))]
    if (entry === undefined) continue
    // To both APIs at the same time: at most one of the two may succeed.
    const times = random.next() < 0.3 ? 2 : 1
    const answers = await Promise.all(
      Array.from({ length: times }, () => call("POST", `/dlq/${entry.orderId}/reprocess`))
    )
    for (const each of answers)
      if (each?.status === 202) log.reprocessed.push({ orderId: entry.orderId, ...each })
  }
}
