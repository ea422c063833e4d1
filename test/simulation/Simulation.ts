import { Effect } from "effect"
import { cancelOrder } from "../../src/application/control/CancelOrder.ts"
import { runOrder } from "../../src/application/control/RunOrder.ts"
import { reprocessOrder } from "../../src/application/dead-letters/ReprocessOrder.ts"
import { DeadLetterStore } from "../../src/application/ports/DeadLetterStore.ts"
import type { Stores } from "../../src/application/ports/Stores.ts"
import type { WakeUp } from "../../src/application/ports/WakeUp.ts"
import type { OrderId } from "../../src/domain/OrderId.ts"
import { figures } from "./Facts.ts"
import { plan } from "./Plans.ts"
import { runOne, type Seed } from "./SeededScheduler.ts"
import { type SimulatedApi, startApi, startWorker, stopWorker } from "./SimulatedProcesses.ts"
import { faultKinds, type FaultKind, type SimulatedProcess, SimulatedWorld } from "./SimulatedWorld.ts"
import { conclude, leastSteps, type Verdict } from "./Verdict.ts"

/** Every history has its own fault rates, some of them zero, so that frequent faults do not hide rare ones. */
const rates = (seed: Seed): Readonly<Record<FaultKind, number>> => {
  const most: Record<FaultKind, number> = {
    crash: 0.02,
    "crash of the api": 0.02,
    "lost reply": 0.25,
    // Applies only to the few claims that are interrupted on their way.
    "late claim": 3,
    "failed before": 0.2,
    delay: 0.1,
    "announcement lost": 1,
    "announcement doubled": 0.5,
    freeze: 0.05,
    "clock jump": 0.03,
    "clean stop": 0.05,
    cancel: 0.1,
    "poison row": 0.3
  }
  return Object.fromEntries(
    faultKinds.map((kind) => [kind, seed.chance(0.6) ? seed.next() * most[kind] : 0])
  ) as Record<FaultKind, number>
}

/** Runs the real application code in a world with faults; the seed alone decides the history. */
export const simulate = (number: number, traced = false): Verdict => {
  // Faults make thousands of errors, whose stack traces are never read.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return run(number, traced)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

const run = (number: number, traced: boolean): Verdict => {
  const world = new SimulatedWorld(number, rates, traced)
  const { seed, time } = world
  let names = 0
  let api: SimulatedApi = startApi(world, "api0")
  const workers = seed.pick([2, 2, 3])
  for (let n = 0; n < workers; n++) startWorker(world, `w${names++}`)
  world.onDeath = ({ kind }) =>
    time.at(time.now + (world.faultsOver ? 0 : seed.between(0, 4000)), () => {
      if (kind === "worker") startWorker(world, `w${names++}`)
      else api = startApi(world, `api${names++}`)
    })

  const submit = (id: OrderId) => {
    const submitted = world.plans.get(id)
    const { batcher, process } = api
    if (submitted === undefined || batcher === null || process.scheduler.dead) return
    const request = batcher.insert([submitted.order])
    Effect.runForkWith(process.references)(
      Effect.yieldNow.pipe(
        Effect.andThen(Effect.firstSuccessOf([request, request, request])),
        Effect.andThen(Effect.sync(() => void world.facts.push({ fact: "answered", id }))),
        Effect.ignore,
        Effect.catchDefect(() => Effect.sync(() => void world.facts.push({ fact: "refused", id })))
      )
    )
  }
  // An order that makes the store refuse its batch.
  const submitPoison = () => {
    const { order } = plan(seed, world.poison.size + 100, time.now)
    const { batcher, process } = api
    if (batcher === null || process.scheduler.dead) return
    world.poison.add(order.id)
    world.injected("poison row", order.id)
    const request = Effect.andThen(Effect.yieldNow, Effect.ignore(batcher.insert([order])))
    Effect.runForkWith(process.references)(Effect.catchDefect(request, () => Effect.void))
  }
  const ask = (request: Effect.Effect<unknown, unknown, Stores | WakeUp>) => {
    const { context, process } = api
    if (!process.scheduler.dead)
      Effect.runForkWith(context)(Effect.ignore(Effect.andThen(Effect.yieldNow, request)))
  }
  const operate = (id: OrderId) => {
    const request = seed.chance(0.25)
      ? Effect.flatMap(DeadLetterStore, (store) => store.discard(id, { reason: "simulated" }))
      : Effect.tap(reprocessOrder(id), () =>
          Effect.sync(() => void world.facts.push({ fact: "reprocess answered", id }))
        )
    ask(request)
  }

  const statusOf = (id: OrderId) => {
    const found = world.statementExit(world.stores.reads.find(id))
    return found._tag === "Success" ? found.value.status : null
  }

  const orders = seed.between(10, 11)
  // The faults last for this number of port calls; the rest takes as many again.
  const least = seed.between(30, leastSteps)
  const act = () => {
    const ids = Array.from(world.plans.keys())
    const living = world.living("worker").filter(({ scheduler }) => !scheduler.frozen)
    if (world.injects("freeze") && living.length > 0)
      world.freeze(seed.pick(living), seed.between(1000, 12_000))
    if (world.injects("clean stop") && living.length > 0) {
      const worker = seed.pick(living)
      const isStopping = world.facts.some((fact) => fact.fact === "stopping" && fact.worker === worker.name)
      if (!isStopping) {
        world.injected("clean stop", worker.name)
        stopWorker(world, worker)
      }
    }
    if (world.injects("clock jump")) {
      const millis = seed.between(500, 10_000)
      world.injected("clock jump", `${millis} ms`)
      for (const worker of world.living("worker")) world.disturb(worker, millis)
      time.advanceTo(time.now + millis)
    }
    if (ids.length < orders && api.batcher !== null) {
      for (let n = seed.between(1, 4); n > 0 && world.plans.size < orders; n--) {
        const submitted = plan(seed, world.plans.size, time.now)
        world.plans.set(submitted.order.id, submitted)
        submit(submitted.order.id)
        if (world.injects("poison row")) submitPoison()
      }
    } else if (ids.length > 0 && seed.chance(0.1)) submit(seed.pick(ids))
    if (ids.length > 0 && seed.chance(0.5)) {
      const id = seed.pick(ids)
      // Mostly for FAILED orders, where it may succeed, and sometimes for any order, which must change nothing.
      if (statusOf(id) === "FAILED" || seed.chance(0.15)) operate(id)
    }
    if (ids.length > 0 && world.injects("cancel")) {
      // Mostly cancels a running order, whose attempt must then be interrupted.
      const running = ids.filter((id) => statusOf(id) === "PROCESSING")
      const id = seed.pick(running.length > 0 && seed.chance(0.7) ? running : ids)
      world.injected("cancel", id)
      ask(cancelOrder(id, { reason: "simulated" }))
    }
    if (ids.length > 0 && seed.chance(0.1)) ask(runOrder(seed.pick(ids)))
  }

  // While there are faults, everything interleaves: tasks, the director's actions and, when no task can run, time.
  while (world.steps < least || world.plans.size < orders || seed.chance(0.97)) {
    if (seed.chance(0.02)) act()
    if (runOne(world.schedulers, seed)) continue
    if (seed.chance(0.3)) act()
    const { next } = time
    if (next !== null) time.advanceTo(next)
  }
  world.faultsOver = true
  world.note("the faults are over")
  for (const process of world.processes) world.thaw(process)
  // Callers repeat their submit until it is answered.
  const submitAll = () => {
    if (api.batcher === null || api.process.scheduler.dead) return time.at(time.now + 100, submitAll)
    const answered = new Set(world.facts.map((fact) => (fact.fact === "answered" ? fact.id : null)))
    for (const id of world.plans.keys()) if (!answered.has(id)) submit(id)
  }
  submitAll()

  const isStored = () =>
    Array.from(world.plans.keys()).every(
      (id) => world.statementExit(world.stores.reads.find(id))._tag === "Success"
    )

  const isIdle = ({ freeSlots, inFlight }: SimulatedProcess) =>
    freeSlots === figures.concurrency && world.statement(inFlight) === 0

  // Now every order must become final without help, and then every worker idle by its next poll, which may follow a
  // delayed reply and the pause after a claim timeout.
  const idleWithin = figures.claimTimeoutMs + 500 + figures.pollMs + 1
  const giveUpAt = time.now + 180_000
  let idleUntil: number | null = null
  const isOver = () => idleUntil !== null && time.now >= idleUntil && world.steps >= leastSteps
  while (time.now < giveUpAt && !isOver()) {
    if (runOne(world.schedulers, seed)) continue
    // Checked until the end, because a delayed reprocess may still arrive.
    const { pending, processing } = world.statement(Effect.orDie(world.stores.reads.backlog))
    if (pending + processing > 0) idleUntil = null
    else if (idleUntil === null && isStored()) idleUntil = time.now + idleWithin
    if (idleUntil !== null && world.steps >= leastSteps && world.living("worker").every(isIdle)) break
    const { next } = time
    if (next === null) break
    time.advanceTo(next)
  }
  const verdict = conclude(world, number)
  time.close()
  return verdict
}
