import { Effect, Latch } from "effect"

/** How many more attempts a worker can run at the moment. */
export interface Hands {
  /** Waits for a free one, and takes as many as are free, at most so many. For one taker at a time. */
  readonly take: (max: number) => Effect.Effect<number>
  readonly giveBack: (count: number) => void
  /** Waits until none is taken. */
  readonly allFree: Effect.Effect<void>
}

/** So many hands, all free: a count, since nothing tells one from another. */
export const makeHands = (capacity: number): Hands => {
  const someFree = Latch.makeUnsafe(true)
  const allFree = Latch.makeUnsafe(true)
  let free = capacity
  return {
    take: (max) =>
      Effect.map(someFree.await, () => {
        const taken = Math.min(free, max)
        free -= taken
        allFree.closeUnsafe()
        if (free === 0) someFree.closeUnsafe()
        return taken
      }),
    giveBack: (count) => {
      free += count
      if (free > 0) someFree.openUnsafe()
      if (free === capacity) allFree.openUnsafe()
    },
    allFree: allFree.await
  }
}
