import { DateTime } from "effect"
import type { Listing, Page, Position } from "../../domain/OrderQueries.ts"

const newestFirst = (a: Position, b: Position): number =>
  DateTime.Order(b.at, a.at) || (a.orderId === b.orderId ? 0 : a.orderId > b.orderId ? -1 : 1)

export const isWithin = (at: DateTime.Utc, from: DateTime.Utc | undefined, until: DateTime.Utc | undefined) =>
  (from === undefined || DateTime.isGreaterThanOrEqualTo(at, from)) &&
  (until === undefined || DateTime.isLessThan(at, until))

/** One page of these entries, newest first. */
export const pageOf = <A>(
  entries: ReadonlyArray<A>,
  positionOf: (entry: A) => Position,
  { after, limit }: Page
): Listing<A> => {
  const rest = entries
    .map((entry) => ({ entry, position: positionOf(entry) }))
    .filter(({ position }) => after === null || newestFirst(position, after) > 0)
    .sort((a, b) => newestFirst(a.position, b.position))
  const page = rest.slice(0, limit)
  return {
    entries: page.map(({ entry }) => entry),
    next: rest.length > limit ? (page.at(-1)?.position ?? null) : null
  }
}
