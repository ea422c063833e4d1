import { Array, Order } from "effect"

/** The key a person most likely meant by a wrong one, if one is close: a slip of the pen, or the section left out. */
export const nearestKey = (wrong: string, keys: Iterable<string>): string | undefined => {
  if (wrong.length > 100) return undefined
  const scored = [...keys].map((key) => ({ key, distance: distanceBetween(plain(wrong), plain(key)) }))
  const nearest = Array.sortBy(Order.mapInput(Order.Number, (it: { distance: number }) => it.distance))(
    scored
  )[0]
  if (nearest !== undefined && nearest.distance <= Math.max(1, Math.floor(wrong.length / 5)))
    return nearest.key
  const sameName = scored.filter(({ key }) => plain(lastName(key)) === plain(lastName(wrong)))
  return sameName.length === 1 ? sameName[0]?.key : undefined
}

// max_retries and max-retries are the same slip.
const plain = (key: string) => key.toLowerCase().replaceAll(/[-_]/g, "")

const lastName = (key: string) => key.slice(key.lastIndexOf(".") + 1)

// Levenshtein (1966), one row at a time.
const distanceBetween = (a: string, b: string): number => {
  let row = Array.makeBy(b.length + 1, (column) => column)
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1]
    for (const [column, other] of [...b].entries()) {
      const replaced = row[column]! + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, row[column + 1]! + 1, next[column]! + 1))
    }
    row = next as typeof row
  }
  return row[b.length]!
}
