/** A seeded random number generator (mulberry32, Tommy Ettinger, public domain). */
export interface Random {
  /** From 0 to 1. */
  readonly next: () => number
  /** An integer from `min` to `max`, both included. */
  readonly between: (min: number, max: number) => number
  /** The same items in another order. */
  readonly shuffle: <A>(items: ReadonlyArray<A>) => ReadonlyArray<A>
}

/** The generator for one part of a run. Each part has its own sequence, so that one cannot shift another's. */
export const randomOf = (seed: string, part: string): Random => {
  let state = 0x9e3779b9
  for (const char of `${seed}/${part}`)
    state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x85ebca6b) ^ (state >>> 13)
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const between = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  const shuffle = <A>(items: ReadonlyArray<A>) =>
    items
      .map((item) => ({ item, place: next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ item }) => item)
  return { next, between, shuffle }
}
