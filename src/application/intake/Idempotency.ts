import { Context, DateTime, Duration, Effect, Result, Schedule, Schema } from "effect"
import { Digest } from "effect/crypto"
import type { NewOrder } from "../../domain/Order.ts"
import { IdempotencyMismatch, OrdersUnavailable } from "../../domain/OrderErrors.ts"
import { defaultType } from "../../domain/TypeSettings.ts"
import type { KeyedOrders, StoredAnswer } from "../ports/IntakeStore.ts"
import type { Submission, SubmissionRefused, WrongSubmission } from "./Submission.ts"

/** The idempotency key of a call: a repetition with the same key gets the answer of the first call. */
export interface Idempotency {
  /** 1 to 255 printable ASCII characters, chosen by the caller: a new key for each operation. */
  readonly key: string
  /** The scope in which the key is unique, for example caller and operation; 1 to 255 printable ASCII characters. */
  readonly scope?: string
}

/** The answer to a call with a key, and whether it is the answer of an earlier call. */
export interface Replayable<A> {
  readonly answer: A
  readonly replayed: boolean
}

/**
 * How long the answer to a call with a key is kept for its repetitions; after this time the key is free
 * again. One day by default.
 */
export const IdempotencyTtl = Context.Reference<Duration.Duration>(
  "order-platform/application/intake/IdempotencyTtl",
  { defaultValue: () => Duration.days(1) }
)

const printable = Schema.String.check(Schema.isPattern(/^[\x20-\x7E]{1,255}$/))

/** The key and its scope, checked. */
export const decodeKey = Schema.decodeUnknownEffect(Schema.Struct({ key: printable, scope: printable }))

// The part of a request that must be equal in a repetition: everything except the correlation id. A value
// that equals its default is left out. `maxRetries`, whose default is a setting, is compared separately.
const requested = (order: NewOrder) => ({
  payload: order.payload,
  type: order.type === defaultType ? undefined : order.type,
  orderingKey: order.orderingKey ?? undefined,
  group: order.group ?? undefined,
  priority: order.priority === 0 ? undefined : order.priority,
  notBefore: order.notBefore === null ? undefined : DateTime.formatIso(order.notBefore),
  metadata: Object.keys(order.metadata).length === 0 ? undefined : order.metadata
})

/**
 * The fingerprint of a request: two digests, one with `maxRetries` as sent and one with `maxRetries` as
 * resolved at the time of the request, because the default may change while an answer is kept.
 */
export const makeFingerprint = Effect.map(Digest.Digest, (digest) => {
  const digestOf = (value: unknown) =>
    digest.digestHex(Digest.sha256, new TextEncoder().encode(canonicalJson(value)))
  const fingerprintOf = Effect.fnUntraced(function* (
    request: unknown,
    sent: ReadonlyArray<number | undefined>,
    resolved: ReadonlyArray<number | undefined>
  ) {
    // A request may be large, so it is hashed only once.
    const rest = yield* digestOf(request)
    return `${yield* digestOf([rest, sent])} ${yield* digestOf([rest, resolved])}`
  })
  return {
    ofOne: <P>(submission: Submission<P>, order: NewOrder) =>
      fingerprintOf(requested(order), [submission.maxRetries], [order.maxRetries]),
    ofMany: <P>(
      submissions: ReadonlyArray<Submission<P> | WrongSubmission>,
      resolved: ReadonlyArray<Result.Result<NewOrder, SubmissionRefused>>
    ) =>
      fingerprintOf(
        resolved.map((result, index) => {
          if (Result.isSuccess(result)) return requested(result.success)
          const submission = submissions[index]
          return { refused: submission !== undefined && "given" in submission ? submission.given : null }
        }),
        submissions.map((each) => ("refused" in each ? undefined : each.maxRetries)),
        resolved.map((each) => (Result.isSuccess(each) ? each.success.maxRetries : undefined))
      )
  }
})

// Two requests are the same if they are equal with `maxRetries` as sent, or equal with `maxRetries` as
// resolved.
const isSameRequest = (a: string, b: string): boolean => {
  const digests = b.split(" ")
  return a.split(" ").some((digest, index) => digest === digests[index])
}

/** Whether this call, and not an earlier one, took the key. */
export const hasTakenKey = (keyed: KeyedOrders, stored: StoredAnswer | null): boolean =>
  stored?.requestId === keyed.requestId

/** The stored answer, if it belongs to the same request; else fails with `IdempotencyMismatch`. */
export const replay = (
  keyed: KeyedOrders,
  stored: StoredAnswer
): Effect.Effect<Replayable<string>, IdempotencyMismatch> =>
  isSameRequest(stored.fingerprint, keyed.fingerprint)
    ? Effect.succeed({ answer: stored.answer, replayed: !hasTakenKey(keyed, stored) })
    : Effect.fail(new IdempotencyMismatch())

const keyInUse = new OrdersUnavailable({
  message: "Another call with the same idempotency key is still in progress; repeat this one later."
})

// Pauses of 5 to 200 ms, for ten seconds.
const retryUntilFree = Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("200 millis")]).pipe(
  Schedule.upTo({ duration: "10 seconds" })
)

/**
 * Repeats `submit` until it returns the stored answer of its key. `submit` returns null while another call,
 * in a transaction or in another process, is taking the key. No database connection is in use during the
 * pauses. Fails with `OrdersUnavailable` after ten seconds.
 */
export const awaitAnswer = <E>(
  submit: Effect.Effect<StoredAnswer | null, E>
): Effect.Effect<StoredAnswer, E | OrdersUnavailable> =>
  submit.pipe(
    Effect.repeat({ while: (stored) => stored === null, schedule: retryUntilFree }),
    Effect.filterOrFail(
      (stored) => stored !== null,
      () => keyInUse
    )
  )

/**
 * Values nested deeper than this become "…", so that the recursion cannot exhaust the stack. No stored
 * payload is nested this deep.
 */
const maxDepth = 100

/**
 * JSON text that is the same for equal values: keys sorted, no white space, numbers and strings as JavaScript writes
 * them. Source: RFC 8785 (JCS).
 */
const canonicalJson = (value: unknown, depth = 0): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  if (depth === maxDepth) return '"…"'
  if (Array.isArray(value)) return `[${value.map((element) => canonicalJson(element, depth + 1)).join(",")}]`
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, depth + 1)}`)
  return `{${members.join(",")}}`
}
