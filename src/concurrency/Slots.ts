import { Effect, Latch } from "effect"

/** A fixed number of slots. */
export interface Slots {
  /** Waits until a slot is free, then takes all that are free, up to `max`. One fiber at a time may call it. */
  readonly take: (max: number) => Effect.Effect<number>
  readonly release: (count: number) => void
  /** Waits until every slot is free. */
  readonly allFree: Effect.Effect<void>
}

/**
 * Slots that are taken in groups, because a claim requests as many orders as there are free slots. A
 * `Semaphore` would be simpler, but the number of permits to take must be known in advance, so slots would be
 * taken one by one: 0.45 µs for each slot instead of 0.02 µs.
 */
export const makeSlots = (capacity: number): Slots => {
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
    release: (count) => {
      free += count
      if (free > 0) someFree.openUnsafe()
      if (free === capacity) allFree.openUnsafe()
    },
    allFree: allFree.await
  }
}
