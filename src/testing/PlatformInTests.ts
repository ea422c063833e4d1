import { Duration, Layer } from "effect"
import { TestClock } from "effect/testing"
import { OrderPlatform } from "../application/OrderPlatform.ts"
import type { Stores } from "../application/ports/Stores.ts"
import type { WakeUp } from "../application/ports/WakeUp.ts"
import { OrderWorker } from "../application/work/OrderWorker.ts"
import type { ProcessorsOf } from "../application/ports/OrderProcessor.ts"
import { WorkerSettings } from "../application/work/WorkerSettings.ts"
import type { OrderTypes } from "../domain/OrderTypes.ts"
import { RetryPolicy } from "../domain/RetryPolicy.ts"
import * as Memory from "../infrastructure/memory/Memory.ts"

/** Settings that a test may change. */
export interface TestSettings {
  readonly worker?: Partial<WorkerSettings>
  readonly retry?: Partial<RetryPolicy>
}

/** What a test may use. */
export type TestServices<T> = OrderPlatform<T> | OrderWorker | Stores | WakeUp | TestClock.TestClock

/**
 * The whole platform with a worker for these types, in memory and in virtual time. `awaitStatus`, `drain` and `pass`
 * (VirtualTime.ts) advance the time; an hour of it takes milliseconds. Delays are without jitter, so that a
 * test can predict them, and a worker that stops does not wait for running attempts. Each call makes a
 * separate platform.
 */
export const layer = <T, E, R>(
  types: OrderTypes<T>,
  processors: Layer.Layer<ProcessorsOf<NoInfer<T>>, E, R>,
  { retry, worker }: TestSettings = {}
): Layer.Layer<TestServices<T>, E, Exclude<R, TestServices<T>>> => {
  const built: Layer.Layer<TestServices<T>, E, unknown> = OrderWorker.layer(types).pipe(
    Layer.provide(processors),
    Layer.provideMerge(OrderPlatform.layer(types)),
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
  // The compiler cannot compute what is left of `R` and the processors without knowing `T`.
  return built as Layer.Layer<TestServices<T>, E, Exclude<R, TestServices<T>>>
}
