/** Several measurements of one figure: the median, with the lowest and highest. */
export interface Spread {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

export const spreadOf = (values: ReadonlyArray<number>): Spread | null => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [lowest, highest] = [sorted[0], sorted.at(-1)]
  if (lowest === undefined || highest === undefined) return null
  const upper = sorted[Math.floor(middle)] ?? highest
  const lower = sorted[Math.ceil(middle) - 1] ?? lowest
  return { median: (lower + upper) / 2, lowest, highest }
}

export const median = (values: ReadonlyArray<number>): number => spreadOf(values)?.median ?? NaN

/** A figure for display: 14 602, 52.1, 0.84. */
export const figure = (value: number): string => {
  if (!Number.isFinite(value)) return "-"
  const rounded =
    Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
  return rounded.replace(/\B(?=(\d{3})+(?!\d|\.))/g, " ")
}

export const withSpread = (spread: Spread | null): string =>
  spread === null
    ? "-"
    : spread.lowest === spread.highest
      ? figure(spread.median)
      : `${figure(spread.median)} (${figure(spread.lowest)}–${figure(spread.highest)})`
