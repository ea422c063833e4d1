/** The longest time that anybody is told to wait, in seconds. */
const longest = 3600

/** What somebody is told where nothing drained lately, so that nothing is known: seconds. */
const whenNothingDrains = 60

/**
 * How long it takes until so many orders are gone, at the rate at which they went lately: the seconds in `Retry-After`,
 * 1 to 3600; 60 where none went.
 */
export const secondsToDrain = (orders: number, perSecond: number): number =>
  perSecond > 0 ? Math.min(longest, Math.max(1, Math.ceil(orders / perSecond))) : whenNothingDrains

/** Counts what goes through, to tell its rate over the last ten seconds. Times are in milliseconds. */
export const makeDrainRate = () => {
  // Ten counts of a second each, and the second that each is about.
  const counts = Array.from({ length: 10 }, () => 0)
  const seconds = Array.from({ length: 10 }, () => -1)

  const note = (count: number, now: number): void => {
    const second = Math.floor(now / 1000)
    const slot = second % 10
    if (seconds[slot] !== second) {
      seconds[slot] = second
      counts[slot] = 0
    }
    counts[slot] = (counts[slot] ?? 0) + count
  }

  const perSecond = (now: number): number => {
    const second = Math.floor(now / 1000)
    let total = 0
    for (const [slot, at] of seconds.entries())
      if (at > second - 10 && at <= second) total += counts[slot] ?? 0
    return total / 10
  }

  return { note, perSecond }
}
