import { Context, type DateTime, Effect, Schema, SchemaIssue } from "effect"
import { SecureRandom } from "effect/crypto"
import type { NewOrder } from "../../domain/Order.ts"
import { Lane } from "../../domain/Lane.ts"
import { OrderId } from "../../domain/OrderId.ts"
import type { OrderPayload } from "../../domain/OrderPayload.ts"
import { defaultType } from "../../domain/TypeSettings.ts"
import { validationIssues } from "../../domain/ValidationIssues.ts"

/** The `maxRetries` of an order whose submission does not give it. */
export const DefaultMaxRetries = Context.Reference<number>(
  "order-platform/application/intake/DefaultMaxRetries",
  {
    defaultValue: () => 3
  }
)

/**
 * The largest payload of one order, in bytes of JSON; 1 MiB by default. `Infinity` disables the check; the
 * server does so, because it already limits the size of request bodies.
 */
export const MaxPayloadBytes = Context.Reference<number>(
  "order-platform/application/intake/MaxPayloadBytes",
  {
    defaultValue: () => 1_048_576
  }
)

/** An order as a caller submits it. */
export interface Submission<P> {
  readonly payload: P
  /** What kind of work the order is: 1 to 64 of the characters a-z 0-9 . _ - and "default" by default. */
  readonly type?: string
  /**
   * Orders of the same type and ordering key run one at a time, in the order in which they were submitted. 1 to 200
   * characters without control characters; none by default.
   */
  readonly orderingKey?: string
  /**
   * The group whose limits apply to the order, and that takes turns with other groups. 1 to 200 characters without
   * control characters; none by default.
   */
  readonly group?: string
  /** 0 to 9, higher first; 0 by default. */
  readonly priority?: number
  /** Not due before this time; a time in the past means now. */
  readonly notBefore?: DateTime.Utc
  /**
   * The number of failed attempts after which the order becomes FAILED; 0 is treated as 1, and HTTP allows 0
   * to 100. An attempt that was released (its worker stopped) or snoozed (see `Snooze` in
   * ports/OrderProcessor.ts) does not count as failed. `DefaultMaxRetries` by default, resolved at submit and
   * stored with the order.
   */
  readonly maxRetries?: number
  readonly metadata?: Readonly<Record<string, string>>
  /** Stored with the order and written in every log line about it; generated if absent. */
  readonly correlationId?: string
}

/** Why one submission of several was refused: its issues, with paths relative to that submission. */
export class SubmissionRefused extends Schema.TaggedError<SubmissionRefused>()("SubmissionRefused", {
  issues: Schema.Array(
    Schema.Struct({
      path: Schema.Array(Schema.Union([Schema.String, Schema.Int])),
      message: Schema.String
    })
  ),
  /** The number of further issues, which are not in `issues`. */
  unlisted: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    return this.issues.map(({ message, path }) => `${path.join(".")}: ${message}`).join("; ")
  }
}

/**
 * An entry of `submitMany` that was found invalid before the call, for example by the HTTP decoder. Its
 * refusal is returned at the index of the entry. `given` is the entry as sent, and is part of the idempotency
 * fingerprint.
 */
export interface WrongSubmission {
  readonly refused: SubmissionRefused
  readonly given: unknown
}

/** Turns submissions into new orders: an id, the defaults resolved, the payload encoded and its size checked. */
export const makeNewOrder = Effect.fnUntraced(function* <P>(payload: OrderPayload<P>) {
  const random = yield* SecureRandom.SecureRandom
  const defaultMaxRetries = yield* DefaultMaxRetries
  const encodeAny = Schema.encodeEffect(payload.schema)
  const maxBytes = yield* MaxPayloadBytes
  const encode =
    maxBytes === Infinity
      ? encodeAny
      : (value: P) => Effect.flatMap(encodeAny(value), (encoded) => checkSize(encoded, maxBytes))

  return (submission: Submission<P>): Effect.Effect<NewOrder, Schema.SchemaError> =>
    Effect.flatMap(inLane(submission, inPayload(encode(submission.payload))), (encoded) => {
      const { correlationId, group, maxRetries, metadata, notBefore, orderingKey, priority, type } =
        submission
      const withIds = (id: string, correlationId: string): NewOrder => ({
        id: OrderId.make(id),
        type: type ?? defaultType,
        orderingKey: orderingKey ?? null,
        group: group ?? null,
        payload: encoded,
        payloadVersion: payload.version,
        priority: priority ?? 0,
        maxRetries: maxRetries ?? defaultMaxRetries,
        metadata: metadata ?? {},
        correlationId,
        notBefore: notBefore ?? null
      })
      return correlationId === undefined
        ? Effect.zipWith(random.uuidV7(), random.uuidV4(), withIds)
        : Effect.map(random.uuidV7(), (id) => withIds(id, correlationId))
    })
})

const decodeLane = Schema.decodeUnknownEffect(Lane, { errors: "all" })

/** The effect, unless the type, the ordering key or the group of the submission is invalid. */
const inLane = <P, A>(submission: Submission<P>, effect: Effect.Effect<A, Schema.SchemaError>) =>
  submission.type === undefined && submission.orderingKey === undefined && submission.group === undefined
    ? effect
    : Effect.andThen(decodeLane(submission), effect)

/** The issues of a payload, with their path in the submission. */
const inPayload = <A>(encoding: Effect.Effect<A, Schema.SchemaError>) =>
  Effect.mapError(
    encoding,
    ({ issue }) => new Schema.SchemaError(new SchemaIssue.Pointer(["payload"], issue))
  )

/** The payload, if its JSON has at most `maxBytes` bytes. */
const checkSize = <A>(payload: A, maxBytes: number): Effect.Effect<A, Schema.SchemaError> => {
  const message = sizeIssue(payload, maxBytes)
  return message === null
    ? Effect.succeed(payload)
    : Effect.fail(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))
}

const sizeIssue = (payload: unknown, maxBytes: number): string | null => {
  try {
    const json = JSON.stringify(payload) ?? ""
    // A UTF-16 code unit takes at most three bytes in UTF-8, so most payloads are known to fit without being encoded.
    if (json.length * 3 <= maxBytes || new TextEncoder().encode(json).length <= maxBytes) return null
    return `Expected a payload of at most ${maxBytes} bytes as JSON`
  } catch (error) {
    return `Expected a payload that can be written as JSON: ${String(error)}`
  }
}

/** The refusal of a submission that is invalid, or whose payload could not be encoded. */
export const refusedFor = (error: Schema.SchemaError): SubmissionRefused =>
  new SubmissionRefused({ issues: validationIssues(error) })
