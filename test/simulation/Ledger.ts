import { Context, Effect } from "effect"
import type { Writes } from "../../src/application/ports/OrderProcessor.ts"
import type { Settlement, SettleResult, WorkStore } from "../../src/application/ports/WorkStore.ts"
import type { Line } from "./Facts.ts"
import type { SimulatedWorld } from "./SimulatedWorld.ts"

/**
 * The transaction of the running writes; null outside of one, where a line is in the ledger as soon as it is written.
 */
export const Transaction = Context.Reference<Array<Line> | null>("test/simulation/Transaction", {
  defaultValue: () => null
})

/** Runs the store's `settleWithWrites` with writes whose lines count only if it commits. */
export const inTransaction = (
  world: SimulatedWorld,
  settleWithWrites: WorkStore["Service"]["settleWithWrites"],
  settlement: Settlement,
  writes: Writes["writes"],
  settled: (settlement: Settlement, result: SettleResult) => void
) => {
  const lines: Array<Line> = []
  return settleWithWrites(settlement, Effect.provideService(writes, Transaction, lines)).pipe(
    Effect.tap((result) =>
      Effect.sync(() => {
        world.ledger.push(...lines)
        settled(settlement, result)
      })
    ),
    Effect.exit
  )
}
