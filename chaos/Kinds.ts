import { type Random, randomOf } from "./Random.ts"

// The kinds of orders of a run: 5 types, 200 ordering keys and 50 groups.

export const types = ["default", "email", "invoice", "shipment", "report.daily"] as const

/** The type with a `concurrency` of its own: its orders may wait although a worker has free slots. */
export const limitedType = "report.daily"

/** Settings of types, as JSON for ORDER_TYPES. */
export const settingsOfTypes = { [limitedType]: { concurrency: 5, maxRetries: 2 } }

const keys = 200
/** Half of the orders with a key have one of these, so that many wait behind others. */
const hotKeys = 20

const groups = Array.from({ length: 50 }, (_, n) => `group-${String(n).padStart(2, "0")}`)

/** Groups without limits of their own have this default, `order.groups.maxRunning`. */
export const defaultMaxRunning = 8
/** The number of groups with limits of their own. */
const withLimits = 40

export interface Limits {
  readonly group: string
  readonly maxRunning: number | null
  readonly ratePerSecond: number | null
}

/** The limits set at the start: `maxRunning` for most groups, and a rate for every fourth. */
export const limitsOfGroups = (seed: string): ReadonlyArray<Limits> => {
  const random = randomOf(seed, "limits")
  return groups.slice(0, withLimits).map((group, n) => ({
    group,
    maxRunning: n % 8 === 7 ? null : random.between(1, 6),
    ratePerSecond: n % 4 === 3 ? random.between(3, 12) : null
  }))
}

/** The groups that have only the default limits. */
export const groupsWithDefaults: ReadonlyArray<string> = groups.slice(withLimits)

export interface Kind {
  readonly type?: string
  readonly orderingKey?: string
  readonly group?: string
}

const keyOf = (random: Random): { readonly type?: string; readonly orderingKey: string } => {
  const n = random.next() < 0.5 ? random.between(0, hotKeys - 1) : random.between(0, keys - 1)
  // A tenth get another type, in which the same text is a different key.
  const type = types[(n + (random.next() < 0.1 ? 1 : 0)) % types.length]
  return { ...(type !== undefined && type !== "default" && { type }), orderingKey: `key ${n}` }
}

const typeOf = (random: Random) => {
  const type = types[random.between(0, types.length - 1)]
  return type === undefined || type === "default" ? {} : { type }
}

export const groupOf = (random: Random): string => groups[random.between(0, groups.length - 1)] ?? ""

/** The type, key and group of an order: two fifths have a key, three fifths a group. */
export const randomKind = (random: Random): Kind => ({
  ...(random.next() < 0.4 ? keyOf(random) : typeOf(random)),
  ...(random.next() < 0.6 && { group: groupOf(random) })
})

/** Like `randomKind`, with an ordering key. */
export const randomKeyedKind = (random: Random): Kind => ({
  ...keyOf(random),
  ...(random.next() < 0.3 && { group: groupOf(random) })
})
