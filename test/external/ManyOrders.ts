import { Effect } from "effect"
import type { NewOrder } from "../../src/domain/Order.ts"
import { maxSubmissions } from "../../src/domain/Order.ts"
import type { AllStores } from "../../src/testing/AllStores.ts"

/** Whether tests with many orders use the full number (`npm run test:scale`), or a tenth or less. */
export const isFullScale = process.env["SCALE"] === "full"

/** Submits `count` orders through the store, in full batches. */
export const submitMany = ({ intake }: AllStores, count: number, orderOf: (n: number) => NewOrder) => {
  const batches = Array.from({ length: Math.ceil(count / maxSubmissions) }, (_, n) => n * maxSubmissions)
  return Effect.forEach(
    batches,
    (from) =>
      intake.submit(
        Array.from({ length: Math.min(maxSubmissions, count - from) }, (_, n) => orderOf(from + n))
      ),
    { concurrency: 3, discard: true }
  )
}

/** The value that this share of the values does not exceed. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)
