/** Deeper values become "…", so that the recursion cannot exhaust the stack. No stored payload is nested this deep. */
const maxDepth = 100

/**
 * JSON text that is the same for equal values: keys sorted, no white space, numbers and strings as JavaScript writes
 * them. Source: RFC 8785 (JCS).
 */
export const canonicalJson = (value: unknown, depth = 0): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  if (depth === maxDepth) return '"…"'
  if (Array.isArray(value)) return `[${value.map((element) => canonicalJson(element, depth + 1)).join(",")}]`
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, depth + 1)}`)
  return `{${members.join(",")}}`
}
