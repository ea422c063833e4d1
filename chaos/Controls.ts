import { setTimeout as sleep } from "node:timers/promises"
import type { Answer, Client } from "./Client.ts"
import { groupOf, type Limits, limitsOfGroups, types } from "./Kinds.ts"
import { type Random, randomOf } from "./Random.ts"

// What operators and clients change while orders run: cancel, run, pause, resume and limits of groups.

export interface Controls {
  /** Stops all changes, after the end of the current pause. */
  readonly stop: () => Promise<void>
}

/**
 * A call that was not answered, or answered 503, may still take effect when a held connection is released, at most this
 * much later. Until then nothing is changed that the call could undo.
 */
const lateEffectMs = 20_000

interface Persisted {
  readonly firstSentAt: number
  readonly last: Answer
  /** Whether an earlier try may take effect later. */
  readonly inDoubt: boolean
}

/** Repeats a call until it is answered 200; null if `running` ends first. */
const persist = async (
  { call }: Client,
  method: string,
  path: string,
  body: object | undefined,
  running: () => boolean
): Promise<Persisted | null> => {
  const firstSentAt = Date.now()
  for (let tries = 1; running() || tries === 1; tries++) {
    const answer = await call(method, path, body)
    if (answer?.status === 200) return { firstSentAt, last: answer, inDoubt: tries > 1 }
    await sleep(200)
  }
  return null
}

const forever = () => true

/** Sets the limits of all groups that have limits of their own, and logs them. */
export const setAllLimits = async (client: Client, seed: string): Promise<void> => {
  await Promise.all(limitsOfGroups(seed).map((limits) => setLimits(client, limits, forever)))
}

const setLimits = async (client: Client, limits: Limits, running: () => boolean) => {
  const { group, maxRunning, ratePerSecond } = limits
  const body = {
    ...(maxRunning !== null && { maxRunning }),
    ...(ratePerSecond !== null && { ratePerSecond })
  }
  const set = await persist(client, "PUT", `/groups/${encodeURIComponent(group)}`, body, running)
  // The limits may be in force from the first try on, even if it was not answered.
  client.log.limits.push({
    ...limits,
    sentAt: set?.firstSentAt ?? Date.now(),
    answeredAt: set?.last.answeredAt ?? Infinity
  })
}

/** Every few seconds one group gets another `maxRunning`, and keeps its rate. Each group has its turn once a round. */
const changeLimits = async (client: Client, seed: string, running: () => boolean) => {
  const random = randomOf(seed, "new limits")
  while (running())
    for (const limits of random.shuffle(limitsOfGroups(seed))) {
      await wait(random.between(4000, 9000), running)
      if (!running()) return
      if (limits.maxRunning !== null)
        await setLimits(client, { ...limits, maxRunning: random.between(1, 6) }, running)
    }
}

const wait = async (ms: number, running: () => boolean) => {
  const until = Date.now() + ms
  while (running() && Date.now() < until) await sleep(Math.min(50, until - Date.now()))
}

const scopeOf = (random: Random) => {
  const type = types[random.between(0, types.length - 1)] ?? "default"
  const draw = random.next()
  if (draw < 0.6) return { type }
  return draw < 0.8 ? { group: groupOf(random) } : { type, group: groupOf(random) }
}

/** Pauses a scope for a few seconds, until a resume or an earlier `resumeAt`. */
const pauseOnce = async (client: Client, random: Random, running: () => boolean) => {
  const scope = scopeOf(random)
  const forMs = random.between(2000, 6000)
  const resumeAt = random.next() < 0.3 ? Date.now() + random.between(2500, 5000) : null
  const paused = await persist(
    client,
    "POST",
    "/worker/pause",
    {
      ...scope,
      reason: "chaos",
      ...(resumeAt !== null && { resumeAt: new Date(resumeAt).toISOString() })
    },
    running
  )
  await wait(forMs, running)
  const resumeSentAt = Date.now()
  const resumed = await persist(client, "POST", "/worker/resume", scope, forever)
  if (paused !== null && resumed !== null)
    client.log.pauses.push({
      type: scope.type ?? null,
      group: scope.group ?? null,
      sentAt: paused.firstSentAt,
      answeredAt: paused.last.answeredAt,
      mayEndAt: Math.min(resumeSentAt, resumeAt ?? Infinity),
      endedAt: resumed.last.answeredAt
    })
  const inDoubt = paused === null || paused.inDoubt || resumed?.inDoubt === true
  await wait(inDoubt ? lateEffectMs : random.between(1000, 6000), running)
}

/** Ends every pause, including pauses that took effect late, and waits until there is none. */
export const endAllPauses = async (client: Client): Promise<void> => {
  const deadline = Date.now() + 60_000
  for (let clean = 0; clean < 2 && Date.now() < deadline;) {
    const answer = await client.call("GET", "/worker")
    if (answer?.status === 200) {
      const { pauses } = JSON.parse(answer.body) as {
        readonly pauses: ReadonlyArray<{ readonly type: string | null; readonly group: string | null }>
      }
      clean = pauses.length === 0 ? clean + 1 : 0
      for (const { group, type } of pauses)
        await client.call("POST", "/worker/resume", {
          ...(type !== null && { type }),
          ...(group !== null && { group })
        })
    }
    await sleep(1000)
  }
}

const cancelsPerSecond = 8

/**
 * Cancels orders: some while they run, some just after their submit, some later. Orders that kill their workers are not
 * cancelled, because the run must show that the platform gives them up.
 */
const cancelOrders = async (client: Client, random: Random, running: () => boolean) => {
  const { accepted, cancels } = client.log
  const cancel = async (orderId: string) => {
    const reason = random.next() < 0.5 ? { reason: "chaos, cancelled" } : {}
    const sentAt = Date.now()
    const answer = await client.call("POST", `/orders/${orderId}/cancel`, reason)
    const { answeredAt, status } = answer ?? { answeredAt: Date.now(), status: 0 }
    cancels.push({ orderId, sentAt, answeredAt, status })
  }
  const findRunning = async () => {
    const answer = await client.call("GET", "/orders?status=PROCESSING&limit=50")
    if (answer?.status !== 200) return []
    const { orders } = JSON.parse(answer.body) as {
      readonly orders: ReadonlyArray<{ readonly id: string; readonly metadata: { readonly kills?: string } }>
    }
    return orders.flatMap(({ id, metadata }) => (metadata.kills === undefined ? [id] : []))
  }
  const findAccepted = (recent: number) => {
    const order = accepted.at(-1 - random.between(0, Math.min(recent, Math.max(0, accepted.length - 1))))
    return order === undefined || order.kills ? [] : [order.orderId]
  }
  while (running()) {
    await sleep((random.next() * 2000) / cancelsPerSecond)
    const draw = random.next()
    const found = draw < 0.4 ? await findRunning() : findAccepted(draw < 0.7 ? 20 : 2000)
    const orderId = found[random.between(0, Math.max(0, found.length - 1))]
    if (orderId === undefined) continue
    // Sometimes to both APIs at the same time.
    for (let times = random.next() < 0.2 ? 2 : 1; times > 0; times--) void cancel(orderId)
  }
}

/** Runs some orders that are not due yet. */
const runOrders = async (client: Client, random: Random, running: () => boolean) => {
  while (running()) {
    await sleep(random.between(100, 900))
    const now = Date.now()
    const waiting = client.log.accepted
      .slice(-2000)
      .filter(({ notBefore }) => notBefore !== null && notBefore > now + 500)
    const order = waiting[random.between(0, Math.max(0, waiting.length - 1))]
    if (order === undefined) continue
    const answer = await client.call("POST", `/orders/${order.orderId}/run`)
    if (answer?.status === 202) client.log.runs.push({ orderId: order.orderId, ...answer })
  }
}

/** Cancels, runs, pauses and changes limits until it is stopped. The seed decides which and when, as far as it can. */
export const startControls = (client: Client, seed: string): Controls => {
  let isRunning = true
  const running = () => isRunning
  const all = [
    cancelOrders(client, randomOf(seed, "cancel"), running),
    runOrders(client, randomOf(seed, "run"), running),
    changeLimits(client, seed, running),
    (async () => {
      const random = randomOf(seed, "pause")
      while (running()) await pauseOnce(client, random, running)
    })()
  ]
  return {
    stop: async () => {
      isRunning = false
      await Promise.all(all)
    }
  }
}
