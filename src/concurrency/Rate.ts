/** The longest wait that is ever answered, in seconds. */
const maxSeconds = 3600

/** The wait that is answered while the rate is zero, in seconds. */
const secondsWithoutRate = 60

/** How long it takes to work off `count` at this rate, in whole seconds: 1 to 3600, and 60 while the rate is zero. */
export const secondsToDrain = (count: number, perSecond: number): number =>
  perSecond > 0 ? Math.min(maxSeconds, Math.max(1, Math.ceil(count / perSecond))) : secondsWithoutRate

/** The average of the last ten seconds. Times are in milliseconds. */
export const makeRate = () => {
  // A ring of ten counts, and the second that each of them belongs to.
  const counts = Array.from({ length: 10 }, () => 0)
  const seconds = Array.from({ length: 10 }, () => -1)

  const record = (count: number, now: number): void => {
    const second = Math.floor(now / 1000)
    const index = second % 10
    if (seconds[index] !== second) {
      seconds[index] = second
      counts[index] = 0
    }
    counts[index] = (counts[index] ?? 0) + count
  }

  const perSecond = (now: number): number => {
    const second = Math.floor(now / 1000)
    let total = 0
    for (const [index, at] of seconds.entries())
      if (at > second - 10 && at <= second) total += counts[index] ?? 0
    return total / 10
  }

  return { record, perSecond }
}
