import { DateTime } from "effect"
import { createHash } from "node:crypto"
import type { Failure, ReasonCode } from "../../../domain/Failure.ts"
import {
  type FailureGroup,
  type FailureGroupPosition,
  groupingText,
  groupMessageOf,
  maxGroupsOfType,
  maxGroupVersions,
  otherMessage,
  stateOf
} from "../../../domain/FailureGroup.ts"
import type { Page } from "../../../domain/OrderQueries.ts"
import type { RegisteredWorker } from "../../../domain/Workers.ts"

/** A group as it is stored. */
export interface StoredGroup extends Omit<FailureGroup, "sampleOrderId" | "state"> {
  readonly fixedAt: DateTime.Utc | null
  readonly fixedVersion: string | null
  readonly hasRegressed: boolean
}

const idleDays = 30

const identify = (type: string, reasonCode: ReasonCode | null, message: string) => ({
  type,
  reasonCode,
  message,
  fingerprint: createHash("sha256")
    .update(groupingText(type, reasonCode, message))
    .digest("hex")
    .slice(0, 16)
})

const largestFirst = (a: FailureGroupPosition, b: FailureGroupPosition) =>
  b.count - a.count || (a.fingerprint < b.fingerprint ? -1 : a.fingerprint > b.fingerprint ? 1 : 0)

/** Whether an entry of this worker shows that a group that is marked as fixed is not. */
const isRegression = ({ fixedAt, fixedVersion }: StoredGroup, worker: RegisteredWorker | undefined) => {
  if (fixedAt === null || worker === undefined) return false
  return fixedVersion === null
    ? DateTime.isGreaterThan(worker.startedAt, fixedAt)
    : worker.version === fixedVersion
}

/** The failure groups of the dead letters. */
export const makeFailureGroups = () => {
  const groups = new Map<string, StoredGroup>()

  const hasRoom = (type: string) =>
    Array.from(groups.values()).filter((group) => group.type === type && group.reasonCode !== null).length <
    maxGroupsOfType

  const update = (fingerprint: string, change: (group: StoredGroup) => StoredGroup) => {
    const group = groups.get(fingerprint)
    if (group !== undefined) groups.set(fingerprint, change(group))
    return groups.get(fingerprint)
  }

  return {
    /** Adds an entry by this worker to the group of the failure, and returns the fingerprint of the group. */
    add: (
      type: string,
      { reason, reasonCode }: Failure,
      worker: RegisteredWorker | undefined,
      at: DateTime.Utc
    ): string => {
      const wanted = identify(type, reasonCode, groupMessageOf(reason))
      const group =
        groups.has(wanted.fingerprint) || hasRoom(type) ? wanted : identify(type, null, otherMessage)
      const before = groups.get(group.fingerprint) ?? {
        ...group,
        count: 0,
        firstSeen: at,
        lastSeen: at,
        versions: [],
        fixedAt: null,
        fixedVersion: null,
        hasRegressed: false
      }
      const version = worker === undefined || worker.version === "" ? [] : [worker.version]
      groups.set(group.fingerprint, {
        ...before,
        count: before.count + 1,
        lastSeen: at,
        versions: Array.from(new Set([...version, ...before.versions])).slice(0, maxGroupVersions),
        hasRegressed: before.hasRegressed || isRegression(before, worker)
      })
      return group.fingerprint
    },
    /** Removes an entry from its group. */
    subtract: (fingerprint: string) => {
      update(fingerprint, (group) => ({ ...group, count: group.count - 1 }))
    },
    /** The groups that have entries, the largest first. */
    list: ({ after, limit }: Page<FailureGroupPosition>): ReadonlyArray<StoredGroup> =>
      Array.from(groups.values())
        .filter((group) => group.count > 0 && (after === null || largestFirst(group, after) > 0))
        .sort(largestFirst)
        .slice(0, limit),
    /** Marks a group as fixed, and returns it; undefined if there is none. */
    markFixed: (fingerprint: string, version: string | null, at: DateTime.Utc): StoredGroup | undefined =>
      update(fingerprint, (group) => ({ ...group, fixedAt: at, fixedVersion: version, hasRegressed: false })),
    /** Deletes groups without entries that were idle for 30 days, and returns their number. */
    deleteIdle: (max: number, at: DateTime.Utc): number => {
      const since = DateTime.subtract(at, { days: idleDays })
      const isOld = (time: DateTime.Utc | null) => time === null || DateTime.isLessThanOrEqualTo(time, since)
      const idle = Array.from(groups.values())
        .filter(({ count, fixedAt, lastSeen }) => count === 0 && isOld(lastSeen) && isOld(fixedAt))
        .slice(0, max)
      for (const { fingerprint } of idle) groups.delete(fingerprint)
      return idle.length
    }
  }
}

/** The group as callers see it. */
export const viewGroup = (
  group: StoredGroup,
  sampleOrderId: FailureGroup["sampleOrderId"],
  at: DateTime.Utc
): FailureGroup => ({
  fingerprint: group.fingerprint,
  reasonCode: group.reasonCode,
  type: group.type,
  message: group.message,
  count: group.count,
  firstSeen: group.firstSeen,
  lastSeen: group.lastSeen,
  sampleOrderId,
  versions: group.versions,
  state: stateOf(group, at)
})
