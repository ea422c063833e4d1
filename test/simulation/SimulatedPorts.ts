import { DateTime, Effect, Exit } from "effect"
import { ControlStore } from "../../src/application/ports/ControlStore.ts"
import { DeadLetterStore } from "../../src/application/ports/DeadLetterStore.ts"
import { IntakeStore } from "../../src/application/ports/IntakeStore.ts"
import { WakeUp } from "../../src/application/ports/WakeUp.ts"
import {
  type Claim,
  type Settlement,
  type SettleResult,
  WorkStore
} from "../../src/application/ports/WorkStore.ts"
import type { AllStores } from "../../src/testing/AllStores.ts"
import type { Order } from "../../src/domain/Order.ts"
import { OrdersUnavailable } from "../../src/domain/OrderErrors.ts"
import { figures } from "./Facts.ts"
import { inTransaction } from "./Ledger.ts"
import type { SimulatedProcess, SimulatedWorld } from "./SimulatedWorld.ts"

/** Yields to other fibers; the seed may crash or delay the process here. */
export const pause = (world: SimulatedWorld, process: SimulatedProcess, where: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (process.scheduler.dead) return Effect.never
    if (world.injects(process.kind === "worker" ? "crash" : "crash of the api")) {
      world.crash(process, where)
      return Effect.never
    }
    if (!world.injects("delay")) return Effect.yieldNow
    const millis = world.seed.between(1, 4000)
    world.injected("delay", `${process.name} ${where} ${millis} ms`)
    if (/renew|settle/.test(where)) world.disturb(process, millis)
    return Effect.sleep(millis)
  })

// One error for all faults: the caller cannot tell them apart, and the trace names them.
const refused = new OrdersUnavailable({ message: "simulated" })

/** A port call: it yields before and after its effect, and the seed may inject a fault at both points. */
const call = <A, E>(
  world: SimulatedWorld,
  process: SimulatedProcess,
  name: string,
  effect: Effect.Effect<Exit.Exit<A, E | OrdersUnavailable>>,
  delivered: () => void = () => {}
): Effect.Effect<A, E | OrdersUnavailable> =>
  Effect.gen(function* () {
    yield* pause(world, process, `before ${name}`)
    if (world.injects("failed before")) {
      world.injected("failed before", `${process.name} ${name}`)
      if (name === "renew") world.disturb(process, 0)
      return yield* refused
    }
    // A check for cancels does not advance any order.
    if (name !== "findCancelRequests") world.steps++
    world.count(`step ${name}`)
    world.note(`${process.name} ${name}`)
    const exit = yield* effect
    yield* pause(world, process, `after ${name}`)
    if (world.injects("lost reply")) {
      world.injected("lost reply", `${process.name} ${name}`)
      return yield* refused
    }
    // Nothing runs in between: the caller has the reply now.
    if (Exit.isSuccess(exit)) delivered()
    return yield* exit
  })

/** The stores as one process reaches them. */
export const simulatedStores = (world: SimulatedWorld, process: SimulatedProcess): AllStores => {
  const { facts, seed, stores, time } = world
  const statement = <A, E>(
    name: string,
    effect: Effect.Effect<A, E>,
    done: (value: A) => void = () => {},
    delivered?: () => void
  ): Effect.Effect<A, E | OrdersUnavailable> => {
    const run = Effect.sync(() => {
      const exit = world.statementExit(effect)
      if (Exit.isSuccess(exit)) done(exit.value)
      return exit
    })
    return call(world, process, name, run, delivered)
  }

  const settled = ({ order, outcome }: Settlement, result: SettleResult) => {
    const { id, version, worker } = order
    const found = world.statementExit(stores.reads.find(id))
    const isFinal = Exit.isSuccess(found) && !["PENDING", "PROCESSING"].includes(found.value.status)
    facts.push({ fact: "settled", id, version, worker, event: outcome.event, result, isFinal })
    world.note(`${result} ${id} ${version} ${outcome.event}`)
    world.count(`result ${result}`)
  }
  const expired = ({ id, status, version }: Order) =>
    void facts.push({ fact: "expired", at: time.now, id, version, status })
  const countRefused = Effect.sync(() => world.count("worker refused"))
  const alive = (worker: string, call: "claim" | "renew") =>
    void facts.push({ fact: "alive", at: time.now, worker, call })

  const intake = IntakeStore.of({
    ...stores.intake,
    submit: (orders, keyed) =>
      statement(
        "submit",
        orders.some(({ id }) => world.poison.has(id))
          ? Effect.die("a row that the store refuses")
          : stores.intake.submit(orders, keyed),
        () => {
          process.stored += orders.length
          for (const { id } of orders) {
            if (!world.placed.has(id)) facts.push({ fact: "placed", id })
            world.placed.add(id)
          }
        }
      )
  })
  const work = WorkStore.of({
    claim: (request) =>
      Effect.suspend(() => {
        const reply = { delivered: Infinity }
        const calledAt = time.now
        process.freeSlots = request.max
        let isExecuted = false
        const execute = Effect.suspend(() => {
          isExecuted = true
          return stores.work.claim(request)
        })
        const done = ({ orders }: Claim) => {
          alive(request.worker, "claim")
          for (const { dueAt, id, version, worker } of orders) {
            world.note(`claimed ${id} ${version}`)
            const due = DateTime.toEpochMillis(dueAt)
            facts.push({ fact: "claimed", at: time.now, worker, id, version, dueAt: due, reply })
          }
        }
        // A claim that was interrupted on its way to the store may still be executed there, without a reply.
        const executeLate = () => {
          if (isExecuted || process.scheduler.dead || !world.injects("late claim")) return
          world.injected("late claim", process.name)
          time.at(time.now + seed.between(0, 3000), () => {
            const exit = world.statementExit(execute)
            if (Exit.isSuccess(exit)) done(exit.value)
            // If the worker stops before its next heartbeat, these orders are not released.
            world.disturb(process, 0)
          })
        }
        return statement("claim", execute, done, () => {
          // A reply after the claim's time limit is dropped, because its caller has given up.
          if (time.now - calledAt < figures.claimTimeoutMs) reply.delivered = facts.length
        }).pipe(
          Effect.tapErrorTag("WorkerExpired", () => countRefused),
          Effect.onInterrupt(() => Effect.sync(executeLate))
        )
      }),
    settle: (settlements) =>
      statement("settle", stores.work.settle(settlements), (results) =>
        results.forEach((result, n) => settled(settlements[n] as Settlement, result))
      ),
    settleWithWrites: (settlement, writes) =>
      call(
        world,
        process,
        "settleWithWrites",
        Effect.callback((resume) => {
          // Runs on a connection of the store, which outlives a crash of the worker just long enough to roll back.
          const transaction = inTransaction(world, stores.work.settleWithWrites, settlement, writes, settled)
          const fiber = Effect.runForkWith(process.connectionReferences)(
            Effect.andThen(Effect.yieldNow, transaction)
          )
          const rollback = () => fiber.interruptUnsafe()
          process.transactions.add(rollback)
          fiber.addObserver((exit) => {
            process.transactions.delete(rollback)
            // Otherwise it was rolled back, because its caller has given up.
            if (Exit.isSuccess(exit)) process.scheduler.scheduleTask(() => resume(Effect.succeed(exit.value)))
          })
          return Effect.sync(rollback)
        })
      ),
    renew: (worker, lease, report) =>
      statement("renew", stores.work.renew(worker, lease, report), () => alive(worker, "renew")).pipe(
        Effect.tapErrorTag("WorkerExpired", () => countRefused)
      ),
    findCancelRequests: (worker) =>
      statement("findCancelRequests", stores.work.findCancelRequests(worker), (ids) =>
        world.count("cancel found", ids.length)
      ),
    deregister: (worker) => statement("deregister", stores.work.deregister(worker)),
    // Often expires only one order, as if the others were locked for a while, so that their worker is refused while it
    // still holds orders.
    expire: (max) =>
      Effect.suspend(() => {
        if (time.now < world.lockedUntil) return statement("expire", Effect.succeed([]))
        const isPart = !world.faultsOver && seed.chance(0.5)
        return statement("expire", stores.work.expire(isPart ? 1 : max), (orders) => {
          if (isPart) world.lockedUntil = time.now + seed.between(0, 3000)
          orders.forEach(expired)
        })
      })
  })
  const deadLetters = DeadLetterStore.of({
    ...stores.deadLetters,
    reprocess: (id, options) =>
      statement("reprocess", stores.deadLetters.reprocess(id, options), () => {
        process.stored++
        facts.push({ fact: "placed", id })
      }),
    discard: (id, options) => statement("discard", stores.deadLetters.discard(id, options))
  })
  const control = ControlStore.of({
    ...stores.control,
    cancel: (id, options) =>
      statement("cancel", stores.control.cancel(id, options), ({ status, version }) => {
        process.stored++
        facts.push({ fact: "cancel stored", id, version, status })
      }),
    run: (id, operator) => statement("run", stores.control.run(id, operator), () => void process.stored++)
  })
  return { ...stores, intake, work, deadLetters, control }
}

/** Announcements of one process: they reach one worker, or all twice, or none. */
export const wakeUpOf = (world: SimulatedWorld, process: SimulatedProcess): WakeUp["Service"] => {
  const deliver = (count: number) => {
    process.announced += count
    // A worker announces room, not orders that it has stored.
    const isStored = process.kind === "worker" || process.announced <= process.stored
    world.facts.push({ fact: "announced", process: process.name, isStored })
    const workers = world.living("worker")
    const wake = (worker: SimulatedProcess) => {
      if (worker.wakeUp === null) return
      Effect.runForkWith(worker.references)(Effect.andThen(Effect.yieldNow, worker.wakeUp.announce(count)))
    }
    if (world.injects("announcement lost")) return world.injected("announcement lost", process.name)
    if (workers.length === 0) return
    if (world.injects("announcement doubled")) {
      world.injected("announcement doubled", process.name)
      for (const worker of [...workers, ...workers]) wake(worker)
    } else wake(world.seed.pick(workers))
  }
  return WakeUp.of({
    announce: (count) =>
      pause(world, process, "before announce").pipe(
        Effect.andThen(Effect.sync(() => deliver(count))),
        Effect.andThen(pause(world, process, "after announce"))
      ),
    awaitAnnouncement: Effect.suspend(() => process.wakeUp?.awaitAnnouncement ?? Effect.never)
  })
}
