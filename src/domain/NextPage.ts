import type { Listing } from "./OrderQueries.ts"

/**
 * The page of up to `limit` entries. One more entry than `limit` must have been read, which tells whether there is a
 * next page.
 */
export const makeListing = <A, At>(
  found: ReadonlyArray<A>,
  limit: number,
  positionOf: (entry: A) => At
): Listing<A, At> => {
  const entries = found.slice(0, limit)
  const last = entries.at(-1)
  return { entries, next: last === undefined || found.length <= limit ? null : positionOf(last) }
}
