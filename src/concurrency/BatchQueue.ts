import { Deferred, type Duration, Effect, Latch } from "effect"

/** Something that waits to be stored, and how many orders it is. */
export interface Sized {
  readonly size: number
}

/**
 * What came in and is not stored yet, in the order of its arrival. There is room for so many orders; what does not fit
 * waits for room, in the order of its arrival too, for so long and as many orders again at most.
 */
export const makeIntake = <A extends Sized>(room: number, patience: Duration.Duration) => {
  const arrived = Latch.makeUnsafe(false)
  let inside: Array<A> = []
  let sizeInside = 0
  const outside: Array<{ readonly entry: A; readonly admitted: Deferred.Deferred<void> }> = []
  let sizeOutside = 0

  const admit = (entry: A) => {
    inside.push(entry)
    sizeInside += entry.size
    arrived.openUnsafe()
  }

  // Alone it fits whatever its size, so that nothing waits for ever.
  const fits = ({ size }: A) => sizeInside === 0 || sizeInside + size <= room

  /** Takes it in if there is room now, and nobody who waits for room before it. */
  const offerUnsafe = (entry: A): boolean => {
    if (outside.length > 0 || !fits(entry)) return false
    admit(entry)
    return true
  }

  /** Takes it in once there is room; false if there was none in time. */
  const offer = (entry: A): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (offerUnsafe(entry)) return Effect.succeed(true)
      if (sizeOutside + entry.size > room) return Effect.succeed(false)
      const waiting = { entry, admitted: Deferred.makeUnsafe<void>() }
      outside.push(waiting)
      sizeOutside += entry.size
      return Deferred.await(waiting.admitted).pipe(
        Effect.timeoutOption(patience),
        Effect.map(() => Deferred.isDoneUnsafe(waiting.admitted)),
        Effect.ensuring(Effect.sync(() => leave(waiting)))
      )
    })

  const leave = (waiting: (typeof outside)[number]) => {
    const place = outside.indexOf(waiting)
    if (place < 0) return
    outside.splice(place, 1)
    sizeOutside -= waiting.entry.size
  }

  /** Waits until something is there, and takes what came first: `orders` of them, and the rest of the last group. */
  const take = (orders: number): Effect.Effect<ReadonlyArray<A>> =>
    // The yield lets everyone who came in the same moment join the batch: half the statements, and no timer.
    Effect.map(Effect.andThen(arrived.await, Effect.yieldNow), () => {
      let taken = 0
      let count = 0
      for (; count < inside.length && taken < orders; count++) taken += inside[count]?.size ?? 0
      const batch = count === inside.length ? inside : inside.slice(0, count)
      inside = count === inside.length ? [] : inside.slice(count)
      sizeInside -= taken
      for (let next = outside[0]; next !== undefined && fits(next.entry); next = outside[0]) {
        leave(next)
        admit(next.entry)
        Deferred.doneUnsafe(next.admitted, Effect.void)
      }
      if (inside.length === 0) arrived.closeUnsafe()
      return batch
    })

  /** Gives back all that waits, since nobody will take it any more. */
  const close = (): ReadonlyArray<A> => {
    const waiting = outside.splice(0)
    const left = [...inside, ...waiting.map(({ entry }) => entry)]
    inside = []
    sizeInside = 0
    sizeOutside = 0
    for (const { admitted } of waiting) Deferred.doneUnsafe(admitted, Effect.void)
    return left
  }

  return { close, offer, offerUnsafe, take, size: () => sizeInside + sizeOutside }
}
