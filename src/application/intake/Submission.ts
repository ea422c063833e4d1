import { Context, type DateTime, Effect, Schema, SchemaIssue } from "effect"
import { SecureRandom } from "effect/crypto"
import type { NewOrder } from "../../domain/Order.ts"
import { Lane } from "../../domain/Lane.ts"
import { OrderId } from "../../domain/OrderId.ts"
import { type AnyOrderType, finder, type OrderTypes, type TypedPayload } from "../../domain/OrderTypes.ts"
import { SettingsOfTypes } from "../../domain/TypeSettings.ts"
import { validationIssues } from "../../domain/ValidationIssues.ts"

/** The `maxRetries` of an order for which neither its submission nor its type gives it. */
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

/** An order as a caller submits it: its payload, the name of its type, and these options. */
export type Submission<T> = TypedPayload<T> & SubmissionOptions

/** The options of a submission besides its type and payload. */
export interface SubmissionOptions {
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
   * ports/OrderProcessor.ts) does not count as failed. Resolved at submit and stored with the order: if absent, the
   * `maxRetries` of the type in `SettingsOfTypes`, else of the `OrderType`, else `DefaultMaxRetries`.
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

/**
 * Turns submissions into new orders: draws an id, resolves the defaults, encodes the payload by its type and checks its
 * size. The paths of a `SchemaError` begin at the submission.
 */
export const makeNewOrder = Effect.fnUntraced(function* <T>(types: OrderTypes<T>) {
  const random = yield* SecureRandom.SecureRandom
  const settings = yield* SettingsOfTypes
  const defaultMaxRetries = yield* DefaultMaxRetries
  const maxBytes = yield* MaxPayloadBytes
  const declaredType = finder(types, (declared) => ({ declared, encode: makeEncode(declared, maxBytes) }))

  const resolve = (
    submission: Submission<T>,
    type: string,
    payload: Schema.JsonObject,
    declared: AnyOrderType
  ) => {
    const { correlationId, group, maxRetries, metadata, notBefore, orderingKey, priority } = submission
    const withIds = (id: string, correlationId: string): NewOrder => ({
      id: OrderId.make(id),
      type,
      orderingKey: orderingKey ?? null,
      group: group ?? null,
      payload,
      payloadVersion: declared.version,
      priority: priority ?? 0,
      maxRetries:
        maxRetries ?? settings[type]?.maxRetries ?? declared.settings.maxRetries ?? defaultMaxRetries,
      metadata: metadata ?? {},
      correlationId,
      notBefore: notBefore ?? null
    })
    return correlationId === undefined
      ? Effect.zipWith(random.uuidV7(), random.uuidV4(), withIds)
      : Effect.map(random.uuidV7(), (id) => withIds(id, correlationId))
  }

  return (submission: Submission<T>): Effect.Effect<NewOrder, Schema.SchemaError> => {
    const type = submission.type ?? types.nameIfOmitted
    const found = type === null ? undefined : declaredType(type)
    if (type === null || found === undefined) return Effect.fail(notOneOf(types.names ?? []))
    const order = Effect.flatMap(found.encode(submission.payload), (payload) =>
      resolve(submission, type, payload, found.declared)
    )
    return hasLane(submission) ? Effect.andThen(checkLane(submission), order) : order
  }
})

type Encode = (payload: unknown) => Effect.Effect<Schema.JsonObject, Schema.SchemaError>

/** Encodes payloads of this type and checks their size. */
const makeEncode = ({ schema }: AnyOrderType, maxBytes: number): Encode => {
  const encode = Schema.encodeEffect(schema)
  const encodeAndCheck: Encode = (payload) =>
    Effect.flatMap(encode(payload), (encoded) => checkSize(encoded, maxBytes))
  const chosen = maxBytes === Infinity ? encode : encodeAndCheck
  return (payload) => Effect.mapError(chosen(payload), ({ issue }) => errorAt("payload", issue))
}

const hasLane = ({ group, orderingKey, type }: SubmissionOptions & { readonly type?: string }): boolean =>
  type !== undefined || orderingKey !== undefined || group !== undefined

const checkLane = Schema.decodeUnknownEffect(Lane, { errors: "all" })

const errorAt = (key: string, issue: SchemaIssue.Issue): Schema.SchemaError =>
  new Schema.SchemaError(new SchemaIssue.Pointer([key], issue))

const notOneOf = (names: ReadonlyArray<string>): Schema.SchemaError => {
  const message = `Expected one of the types ${names.join(", ")}`
  return errorAt("type", new SchemaIssue.InvalidValue({ message }))
}

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
