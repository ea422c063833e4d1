import { Duration, Effect, Exit, Layer, Scope } from "effect"
import {
  type Attempt,
  type AttemptError,
  OrderProcessor,
  type Writes
} from "../../../src/application/ports/OrderProcessor.ts"
import { WorkStore } from "../../../src/application/ports/WorkStore.ts"
import { OrderWorker } from "../../../src/application/work/OrderWorker.ts"
import { WorkerSettings } from "../../../src/application/work/WorkerSettings.ts"
import type { NewOrder } from "../../../src/domain/Order.ts"
import type { OrderId } from "../../../src/domain/OrderId.ts"
import { anyJsonObject } from "../../../src/domain/OrderPayload.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { allStores } from "../../../src/testing/AllStores.ts"
import { newOrder } from "../../TestOrders.ts"

// These workers poll once an hour, so that only announcements, due times and their own outcomes wake them.

type Process = (attempt: Attempt<unknown, string>) => Effect.Effect<void | Writes, AttemptError>

/** A worker on the surrounding stores, and the effect that stops it. */
export const startWorker = Effect.fnUntraced(function* (
  process: Process,
  settings: Partial<WorkerSettings> = {}
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const worker = OrderWorker.layer(anyJsonObject).pipe(
    Layer.provide(OrderProcessor.layer(anyJsonObject, process)),
    Layer.provide(
      Layer.succeed(WorkerSettings, {
        ...WorkerSettings.defaultValue(),
        name: "w1",
        pollInterval: Duration.hours(1),
        drainTimeout: Duration.zero,
        ...settings
      })
    )
  )
  yield* Layer.buildWithScope(Layer.fresh(worker), scope)
  return { stop: Scope.close(scope, Exit.void) }
})

/** The memory stores, with calls of the work store changed. */
export const storesWith = (change: (work: WorkStore["Service"]) => Partial<WorkStore["Service"]>) =>
  Layer.effect(
    WorkStore,
    Effect.map(WorkStore, (work) => WorkStore.of({ ...work, ...change(work) }))
  ).pipe(Layer.provideMerge(Memory.layer))

/** Stores orders without announcing them. */
export const store = Effect.fnUntraced(function* (...orders: ReadonlyArray<Partial<NewOrder>>) {
  const stores = yield* allStores
  const stored = orders.map(newOrder)
  yield* stores.intake.submit(stored)
  return stored.map(({ id }) => id)
})

/** The events of an order, and who ran it. */
export const timeline = Effect.fnUntraced(function* (id: OrderId | undefined) {
  if (id === undefined) throw new Error("no such order")
  return yield* (yield* allStores).reads.timeline(id)
})

export const events = (id: OrderId | undefined) =>
  Effect.map(timeline(id), (all) => all.map(({ event }) => event))
