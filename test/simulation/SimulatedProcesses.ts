import { Context, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { OrderWorker } from "../../src/application/work/OrderWorker.ts"
import { OrderProcessor } from "../../src/application/ports/OrderProcessor.ts"
import { ControlStore } from "../../src/application/ports/ControlStore.ts"
import { DeadLetterStore } from "../../src/application/ports/DeadLetterStore.ts"
import { IntakeStore } from "../../src/application/ports/IntakeStore.ts"
import { OrderReads } from "../../src/application/ports/OrderReads.ts"
import type { Stores } from "../../src/application/ports/Stores.ts"
import { UpkeepStore } from "../../src/application/ports/UpkeepStore.ts"
import { WakeUp } from "../../src/application/ports/WakeUp.ts"
import { WorkStore } from "../../src/application/ports/WorkStore.ts"
import { makeBackpressure } from "../../src/application/intake/Backpressure.ts"
import { makeInsertBatcher } from "../../src/application/intake/InsertBatcher.ts"
import { WorkerSettings } from "../../src/application/work/WorkerSettings.ts"
import { RetryPolicy } from "../../src/domain/RetryPolicy.ts"
import * as MemoryWakeUp from "../../src/infrastructure/memory/wake-ups/MemoryWakeUp.ts"
import { figures } from "./Facts.ts"
import { payload } from "./Plans.ts"
import { simulatedStores, wakeUpOf } from "./SimulatedPorts.ts"
import { processOf } from "./SimulatedProcessor.ts"
import type { SimulatedProcess, SimulatedWorld } from "./SimulatedWorld.ts"

const portsOf = (world: SimulatedWorld, process: SimulatedProcess) => {
  const { control, deadLetters, intake, reads, upkeep, work } = simulatedStores(world, process)
  return process.references.pipe(
    Context.add(IntakeStore, intake),
    Context.add(WorkStore, work),
    Context.add(DeadLetterStore, deadLetters),
    Context.add(ControlStore, control),
    Context.add(OrderReads, reads),
    Context.add(UpkeepStore, upkeep),
    Context.add(WakeUp, wakeUpOf(world, process))
  )
}

/** Starts a worker process: the real OrderWorker with a MemoryWakeUp. */
export const startWorker = (world: SimulatedWorld, name: string): SimulatedProcess => {
  const process = world.start("worker", name)
  const context = portsOf(world, process).pipe(
    Context.add(OrderProcessor.service(payload), { process: processOf(world, process) }),
    Context.add(RetryPolicy, {
      backoff: "exponential",
      delay: Duration.millis(figures.retryDelayMs),
      maxDelay: Duration.millis(figures.retryMaxDelayMs),
      jitter: figures.retryJitter
    }),
    Context.add(WorkerSettings, {
      name,
      concurrency: figures.concurrency,
      writeConcurrency: 2,
      lease: Duration.millis(figures.leaseMs),
      attemptTimeout: Duration.millis(figures.attemptTimeoutMs),
      pollInterval: Duration.millis(figures.pollMs),
      drainTimeout: Duration.millis(figures.drainMs)
    })
  )
  process.building = Effect.runForkWith(context)(
    Effect.gen(function* () {
      yield* Effect.yieldNow
      const built = yield* Layer.buildWithScope(MemoryWakeUp.layer, process.scope)
      process.wakeUp = Context.get(built, WakeUp)
      const worker = yield* Layer.buildWithScope(OrderWorker.layer(payload), process.scope)
      process.inFlight = Context.get(worker, OrderWorker).inFlight
    })
  )
  return process
}

/** SIGTERM: interrupts the build of its layers, drains the worker, then ends the process. */
export const stopWorker = (world: SimulatedWorld, process: SimulatedProcess): void => {
  world.facts.push({ fact: "stopping", worker: process.name, at: world.time.now })
  const closing = Effect.yieldNow.pipe(
    Effect.andThen(process.building === null ? Effect.void : Fiber.interrupt(process.building)),
    Effect.andThen(Scope.close(process.scope, Exit.void))
  )
  Effect.runForkWith(process.references)(closing).addObserver(() => {
    world.note(`${process.name} has stopped`)
    world.facts.push({ fact: "stopped", worker: process.name, at: world.time.now })
    world.kill(process)
  })
}

/** An API process as its callers use it. */
export interface SimulatedApi {
  readonly process: SimulatedProcess
  readonly context: Context.Context<Stores | WakeUp>
  batcher: Effect.Success<ReturnType<typeof makeInsertBatcher>> | null
}

/** Starts an API process: the real InsertBatcher. */
export const startApi = (world: SimulatedWorld, name: string): SimulatedApi => {
  const process = world.start("api", name)
  const context = portsOf(world, process)
  const api: SimulatedApi = { process, context, batcher: null }
  Effect.runForkWith(context)(
    Effect.gen(function* () {
      yield* Effect.yieldNow
      const building = Effect.flatMap(makeBackpressure, makeInsertBatcher)
      api.batcher = yield* Scope.provide(building, process.scope)
    })
  )
  return api
}
