import { DateTime } from "effect"
import { burstOf, type GroupLimits, noLimits } from "../../../domain/Groups.ts"
import type { WhyWaiting } from "../../../domain/WhyWaiting.ts"

/** The tokens that a group had left at its last start. */
interface Bucket {
  readonly tokens: number
  readonly at: number
}

/** After this time without a start every rate has recovered. */
const idleMillis = 3_600_000

/** A token counts as whole if only rounding leaves it below one. */
const tolerance = 1e-6

/** Why a group may not start a further order now. */
export type LimitReached = Extract<WhyWaiting, { readonly why: "group is full" | "group has used its rate" }>

/** The limits set for groups, their token buckets, and the number of running attempts of each. */
export const makeGroupLimits = () => {
  const limits = new Map<string, GroupLimits>()
  const running = new Map<string, number>()
  const buckets = new Map<string, Bucket>()

  /** The limits set for the group; a limit that is null has its default. */
  const limitsOf = (group: string, defaults: GroupLimits = noLimits): GroupLimits => {
    const set = limits.get(group) ?? noLimits
    return {
      maxRunning: set.maxRunning ?? defaults.maxRunning,
      ratePerSecond: set.ratePerSecond ?? defaults.ratePerSecond,
      maxPending: set.maxPending ?? defaults.maxPending
    }
  }

  /** A bucket is full before the first start, and refills at the rate that the group has now. */
  const tokensOf = (group: string, ratePerSecond: number, at: DateTime.Utc): number => {
    const bucket = buckets.get(group)
    if (bucket === undefined) return burstOf(ratePerSecond)
    const millis = DateTime.toEpochMillis(at) - bucket.at
    return Math.min(burstOf(ratePerSecond), bucket.tokens + (millis * ratePerSecond) / 1000)
  }

  return {
    limits,
    limitsOf,
    /** Counts the attempt that a group starts (1) or ends (-1). */
    countRunning: (group: string | null, change: 1 | -1) => {
      if (group === null) return
      const count = (running.get(group) ?? 0) + change
      if (count === 0) running.delete(group)
      else running.set(group, count)
    },
    /** The limit that keeps the group from starting an order now; null if there is none. */
    limitReached: (
      group: string | null,
      defaults: GroupLimits | undefined,
      at: DateTime.Utc
    ): LimitReached | null => {
      if (group === null) return null
      const { maxRunning, ratePerSecond } = limitsOf(group, defaults)
      if (maxRunning !== null && (running.get(group) ?? 0) >= maxRunning)
        return { why: "group is full", running: maxRunning, maxRunning }
      if (ratePerSecond === null) return null
      const tokens = tokensOf(group, ratePerSecond, at)
      if (tokens >= 1 - tolerance) return null
      // Without the factor, rounding could make the wait a millisecond longer.
      const wait = Math.ceil((((1 - tokens) * 1000) / ratePerSecond) * 0.999999999)
      return {
        why: "group has used its rate",
        ratePerSecond,
        nextAt: DateTime.add(at, { milliseconds: wait })
      }
    },
    /** Deletes buckets that have been idle for an hour, of groups without limits of their own; returns their number. */
    deleteIdle: (max: number, at: DateTime.Utc): number => {
      const since = DateTime.toEpochMillis(at) - idleMillis
      const idle = Array.from(buckets)
        .filter(([group, bucket]) => bucket.at <= since && !limits.has(group))
        .slice(0, max)
      for (const [group] of idle) buckets.delete(group)
      return idle.length
    },
    /** Takes a token for a start, if the group has a rate. */
    takeToken: (group: string | null, defaults: GroupLimits | undefined, at: DateTime.Utc) => {
      if (group === null) return
      const { ratePerSecond } = limitsOf(group, defaults)
      if (ratePerSecond === null) return
      const tokens = tokensOf(group, ratePerSecond, at) - 1
      buckets.set(group, { tokens, at: DateTime.toEpochMillis(at) })
    }
  }
}
