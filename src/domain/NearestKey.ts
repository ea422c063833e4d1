const maxLength = 100

/**
 * The known key that an unknown key most likely stands for. This is the closest known key, if at most a
 * quarter of the characters (or one character) differ. Otherwise, if exactly one known key has the same name
 * after its last dot, it is that key: an unknown `worker.maxRetries` stands for `order.worker.maxRetries`.
 */
export const nearestKey = (wrong: string, keys: Iterable<string>): string | undefined => {
  if (wrong.length > maxLength) return undefined
  const known = [...keys]
  const maxDistance = Math.max(1, Math.floor(wrong.length / 4))
  const close = known
    // The distance is at least the difference in length, which is cheaper to compute.
    .filter((key) => Math.abs(plain(key).length - plain(wrong).length) <= maxDistance)
    .map((key) => ({ key, distance: distanceBetween(plain(wrong), plain(key)) }))
    .filter(({ distance }) => distance <= maxDistance)
    .sort((a, b) => a.distance - b.distance)
  if (close[0] !== undefined) return close[0].key
  const sameName = known.filter((key) => plain(lastName(key)) === plain(lastName(wrong)))
  return sameName.length === 1 ? sameName[0] : undefined
}

// max_retries and max-retries mean the same key.
const plain = (key: string) => key.toLowerCase().replaceAll(/[-_]/g, "")

const lastName = (key: string) => key.slice(key.lastIndexOf(".") + 1)

// Levenshtein (1966), one row at a time.
const distanceBetween = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1]
    for (const [column, other] of [...b].entries()) {
      const replaced = row[column]! + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, row[column + 1]! + 1, next[column]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
