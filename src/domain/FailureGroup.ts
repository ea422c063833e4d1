import { DateTime, Schema } from "effect"
import { cutText, ReasonCode } from "./Failure.ts"
import { OrderId } from "./OrderId.ts"

/**
 * What a dead letter is grouped by: the first 16 hexadecimal digits of the SHA-256 of {@link groupingText}, in lower
 * case. Each adapter computes it, because the domain also runs in browsers.
 */
export const Fingerprint = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{16}$/, { expected: "16 hexadecimal digits in lower case" })
)

/**
 * `new`: seen for the first time within the last 24 hours; `known`: longer ago. `fixed`: marked as fixed by an
 * operator, whenever it was first seen. `regressed`: marked as fixed, and a new entry was added after the mark by a
 * process that should have the fix.
 */
export const FailureGroupState = Schema.Literals(["new", "known", "fixed", "regressed"])
export type FailureGroupState = typeof FailureGroupState.Type

/** Dead letters of one order type that failed with the same code and the same message, apart from ids and numbers. */
export const FailureGroup = Schema.Struct({
  fingerprint: Fingerprint,
  reasonCode: Schema.NullOr(ReasonCode).annotate({
    description: "Null for the group `other` of a type, which has entries with several codes."
  }),
  type: Schema.String,
  message: Schema.String.annotate({
    description:
      'The reason with each id, number and hexadecimal text replaced by # and each quoted part by "…", cut at 200 characters; `other` for the failures of a type that has 1000 groups already.'
  }),
  count: Schema.Int.annotate({ description: "The number of its entries in the dead letter queue now." }),
  firstSeen: Schema.DateTimeUtcFromString.annotate({ description: "When its first entry was added." }),
  lastSeen: Schema.DateTimeUtcFromString.annotate({ description: "When its last entry was added." }),
  sampleOrderId: Schema.NullOr(OrderId).annotate({
    description: "The order of its newest entry; null if it has no entry now."
  }),
  versions: Schema.Array(Schema.String).annotate({
    description: "The last 10 versions of processes that added entries, the one seen last first."
  }),
  state: FailureGroupState
}).annotate({ identifier: "FailureGroup" })
export interface FailureGroup {
  readonly fingerprint: string
  readonly reasonCode: ReasonCode | null
  readonly type: string
  readonly message: string
  readonly count: number
  readonly firstSeen: DateTime.Utc
  readonly lastSeen: DateTime.Utc
  readonly sampleOrderId: OrderId | null
  readonly versions: ReadonlyArray<string>
  readonly state: FailureGroupState
}

/** A position in the list of failure groups, which is sorted by count, the largest first, then by fingerprint. */
export type FailureGroupPosition = Pick<FailureGroup, "count" | "fingerprint">

/** The maximum number of groups of one order type, without its group `other`. */
export const maxGroupsOfType = 1000

/** The message of the group of a type to which its failures beyond {@link maxGroupsOfType} belong. */
export const otherMessage = "other"

/** The number of versions that a group keeps. */
export const maxGroupVersions = 10

/** The longest message of a group, in characters (Unicode code points). */
const maxMessageLength = 200

// Each of these takes time proportional to the length of the reason, because a reason may quote what a client sent.
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi
/** Parts in quotation marks. A single one inside a word is an apostrophe. */
const quoted = /"[^"]*"|`[^`]*`|(?<![\p{L}\p{N}])'(?:[^']|(?<=\p{L})'(?=\p{L}))*'(?![\p{L}\p{N}])/gu
/** A word that has a digit, such as a number, a key or a hash; or that is eight or more hexadecimal letters. */
const opaque = /(?<![\p{L}\p{N}_])(?:[\p{L}_]*\p{N}[\p{L}\p{N}_]*|[a-f]{8,}(?![\p{L}\p{N}_]))/giu
/** Numbers with a sign, decimals, dates, times and addresses: several placeholders that are one value. */
const compound = /(?<![\p{L}\p{N}])[-+]?#(?:[-+.,:/]#)*/gu

/**
 * The message of the group of a failure: its reason with each id, number and hexadecimal text replaced by `#`, each
 * quoted part by `"…"` and all white space by single spaces, cut at 200 characters. A change of this function puts
 * further failures into other groups than those before.
 */
export const groupMessageOf = (reason: string): string =>
  cutText(
    reason
      .replace(quoted, '"…"')
      .replace(uuid, "#")
      .replace(opaque, "#")
      .replace(compound, "#")
      .replace(/\s+/gu, " ")
      .trim(),
    maxMessageLength
  )

/** The text whose hash is the fingerprint. The code is null for the group `other`. No part but the last has newlines. */
export const groupingText = (type: string, reasonCode: ReasonCode | null, message: string): string =>
  [type, ...(reasonCode === null ? [] : [reasonCode]), message].join("\n")

/** What the audit names as changed by a mark: the group, and the version that has the fix. */
export const markName = (fingerprint: string, version: string | null): string =>
  `failure group ${fingerprint}${version === null ? "" : ` in version ${version}`}`

/** What the state of a group depends on. */
interface Marks {
  readonly firstSeen: DateTime.Utc
  readonly fixedAt: DateTime.Utc | null
  readonly hasRegressed: boolean
}

/** The state of a group at this time. */
export const stateOf = ({ firstSeen, fixedAt, hasRegressed }: Marks, at: DateTime.Utc): FailureGroupState => {
  if (fixedAt !== null) return hasRegressed ? "regressed" : "fixed"
  return DateTime.isGreaterThan(firstSeen, DateTime.subtract(at, { hours: 24 })) ? "new" : "known"
}
