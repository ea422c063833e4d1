import { Deferred, type Duration, Effect, Latch } from "effect"

/** An entry of a batch queue. `size` is how much of the queue's capacity it takes. */
interface Sized {
  readonly size: number
}

/**
 * A FIFO queue of sized entries that are taken in batches. `capacity` limits the sum of the queued sizes.
 * Entries that do not fit wait in order of arrival, for at most `offerTimeout`. `capacity` limits the sum of
 * the waiting sizes, too. Effect has no such queue: `Queue.bounded` counts entries, and a `Semaphore` lets
 * small entries overtake a large one, which may then wait forever.
 */
export const makeBatchQueue = <A extends Sized>(capacity: number, offerTimeout: Duration.Duration) => {
  const someQueued = Latch.makeUnsafe(false)
  let queued: Array<A> = []
  let sizeQueued = 0
  const waiting: Array<{ readonly entry: A; readonly admitted: Deferred.Deferred<void> }> = []
  let sizeWaiting = 0

  const admit = (entry: A) => {
    queued.push(entry)
    sizeQueued += entry.size
    someQueued.openUnsafe()
  }

  // An empty queue accepts an entry of any size; otherwise an entry larger than the capacity could never be
  // added.
  const fits = ({ size }: A) => sizeQueued === 0 || sizeQueued + size <= capacity

  /** Adds the entry if it fits now and no other entry waits for capacity. */
  const offerUnsafe = (entry: A): boolean => {
    if (waiting.length > 0 || !fits(entry)) return false
    admit(entry)
    return true
  }

  /**
   * Adds the entry once it fits. Returns false after `offerTimeout`, or at once if the sizes of the waiting
   * entries, this one included, would exceed the capacity.
   */
  const offer = (entry: A): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (offerUnsafe(entry)) return Effect.succeed(true)
      if (sizeWaiting + entry.size > capacity) return Effect.succeed(false)
      const waiter = { entry, admitted: Deferred.makeUnsafe<void>() }
      waiting.push(waiter)
      sizeWaiting += entry.size
      return Deferred.await(waiter.admitted).pipe(
        Effect.timeoutOption(offerTimeout),
        Effect.map(() => Deferred.isDoneUnsafe(waiter.admitted)),
        Effect.ensuring(
          Effect.sync(() => {
            stopWaiting(waiter)
            admitWaiting()
          })
        )
      )
    })

  const stopWaiting = (waiter: (typeof waiting)[number]) => {
    const index = waiting.indexOf(waiter)
    if (index < 0) return
    waiting.splice(index, 1)
    sizeWaiting -= waiter.entry.size
  }

  const admitWaiting = () => {
    for (let next = waiting[0]; next !== undefined && fits(next.entry); next = waiting[0]) {
      stopWaiting(next)
      admit(next.entry)
      Deferred.doneUnsafe(next.admitted, Effect.void)
    }
  }

  /**
   * Waits for an entry, then takes entries until their sizes add up to `size` or more, or the queue is empty.
   * Returns an empty batch if all entries were removed before they could be taken.
   */
  const take = (size: number): Effect.Effect<ReadonlyArray<A>> =>
    // The yield lets entries offered at the same moment join the batch. For inserts this halves the number of SQL
    // statements, and it needs no timer.
    Effect.map(Effect.andThen(someQueued.await, Effect.yieldNow), () => {
      let taken = 0
      let count = 0
      for (; count < queued.length && taken < size; count++) taken += queued[count]?.size ?? 0
      const batch = count === queued.length ? queued : queued.slice(0, count)
      queued = count === queued.length ? [] : queued.slice(count)
      sizeQueued -= taken
      admitWaiting()
      if (queued.length === 0) someQueued.closeUnsafe()
      return batch
    })

  /** Removes a queued entry that was not taken yet, and frees its capacity. */
  const remove = (entry: A): void => {
    const index = queued.indexOf(entry)
    if (index < 0) return
    queued.splice(index, 1)
    sizeQueued -= entry.size
    admitWaiting()
    if (queued.length === 0) someQueued.closeUnsafe()
  }

  /**
   * Empties the queue and returns all entries, those that wait for capacity included. Each waiting `offer`
   * then returns true, so the caller of `close` must treat these entries like the queued ones, and must offer
   * no more.
   */
  const close = (): ReadonlyArray<A> => {
    const waiters = waiting.splice(0)
    const left = [...queued, ...waiters.map(({ entry }) => entry)]
    queued = []
    sizeQueued = 0
    sizeWaiting = 0
    for (const { admitted } of waiters) Deferred.doneUnsafe(admitted, Effect.void)
    return left
  }

  return { close, offer, offerUnsafe, remove, take, size: () => sizeQueued + sizeWaiting }
}
