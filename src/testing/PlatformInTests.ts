import { Duration, Layer } from "effect"
import { TestClock } from "effect/testing"
import { OrderPlatform } from "../application/OrderPlatform.ts"
import { OrderWorker } from "../application/work/OrderWorker.ts"
import type { OrderProcessor } from "../application/ports/OrderProcessor.ts"
import { WorkerSettings } from "../application/work/WorkerSettings.ts"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { RetryPolicy } from "../domain/RetryPolicy.ts"
import * as Memory from "../infrastructure/memory/Memory.ts"

/** What a test may want otherwise. */
export interface TestSettings {
  readonly worker?: Partial<WorkerSettings>
  readonly retry?: Partial<RetryPolicy>
}

/**
 * The whole platform with a worker, in memory and in virtual time: nothing happens by itself, and hours pass in
 * milliseconds. Time is moved by `awaitStatus`, `drain` and `pass`. Delays are without jitter, so that a test can
 * name them, and a worker that stops waits for nobody. Each call is a platform of its own.
 */
export const layer = <P, E, R>(
  payload: OrderPayload<P>,
  processor: Layer.Layer<OrderProcessor<P>, E, R>,
  { retry, worker }: TestSettings = {}
) =>
  OrderWorker.layer(payload).pipe(
    Layer.provide(processor),
    Layer.provideMerge(OrderPlatform.layer(payload)),
    Layer.provideMerge(Layer.fresh(Memory.layer)),
    Layer.provide([
      Layer.succeed(RetryPolicy, { ...RetryPolicy.defaultValue(), jitter: 0, ...retry }),
      Layer.succeed(WorkerSettings, {
        ...WorkerSettings.defaultValue(),
        concurrency: 10,
        drainTimeout: Duration.zero,
        ...worker
      })
    ]),
    Layer.provideMerge(TestClock.layer())
  )
