/** The maximum result of `secondsToDrain`. */
const maxSeconds = 3600

/** The result of `secondsToDrain` if the rate is zero. */
const secondsWithoutRate = 60

/** The time to process `count` entries at this rate, in whole seconds: 1 to 3600, and 60 if the rate is zero. */
export const secondsToDrain = (count: number, perSecond: number): number =>
  perSecond > 0 ? Math.min(maxSeconds, Math.max(1, Math.ceil(count / perSecond))) : secondsWithoutRate

/** An average rate per second over the last ten seconds. `now` is in milliseconds. */
export const makeRate = () => {
  // A ring of ten counts. `seconds` has, for each count, the second of the clock in which it was recorded.
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
