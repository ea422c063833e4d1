import { Context, Schema } from "effect"

/** Limits of a group. Null: no limit. They hold over all processes together. */
export interface GroupLimits {
  /** The maximum number of concurrent attempts. */
  readonly maxRunning: number | null
  /** The maximum number of starts per second on average, with bursts of up to max(1, rate) starts. */
  readonly ratePerSecond: number | null
  /** The number of PENDING orders beyond which further orders of the group are refused. */
  readonly maxPending: number | null
}

/** The limits of a group that has none. */
export const noLimits: GroupLimits = { maxRunning: null, ratePerSecond: null, maxPending: null }

/** The limits of groups for which none were set; no limits by default. */
export const DefaultGroupLimits = Context.Reference<GroupLimits>("order-platform/domain/DefaultGroupLimits", {
  defaultValue: () => noLimits
})

/** The limits set for one group at run time. A limit that is null there has its default. */
export interface Group extends GroupLimits {
  readonly group: string
}

const limit = <S extends Schema.Constraint>(schema: S) => Schema.optional(Schema.NullOr(schema))

const count = (maximum: number, shown: string) =>
  Schema.Int.check(
    Schema.isBetween({ minimum: 1, maximum }, { expected: `a whole number from 1 to ${shown}` })
  )

/** Limits to set for a group, at least one. A limit that is absent or null has its default. */
export const LimitsToSet = Schema.Struct({
  maxRunning: limit(
    count(1_000_000, "1000000").annotate({ description: "The maximum number of concurrent attempts." })
  ),
  ratePerSecond: limit(
    Schema.Finite.check(
      Schema.isBetween({ minimum: 0.001, maximum: 100_000 }, { expected: "a number from 0.001 to 100000" })
    ).annotate({ description: "The maximum number of starts per second on average." })
  ),
  maxPending: limit(
    count(1_000_000_000, "1000000000").annotate({
      description: "The number of PENDING orders beyond which further orders of the group are refused."
    })
  )
}).check(
  Schema.makeFilter(
    ({ maxPending, maxRunning, ratePerSecond }) =>
      [maxRunning, ratePerSecond, maxPending].some((each) => typeof each === "number") ||
      "Expected at least one of maxRunning, ratePerSecond and maxPending"
  )
)
export type LimitsToSet = typeof LimitsToSet.Type

/** The number of starts that a group may make at once after a long pause. */
export const burstOf = (ratePerSecond: number): number => Math.max(1, ratePerSecond)

/** The longest name of a group, and the longest ordering key, in characters (Unicode code points). */
export const maxGroupLength = 200
