import { Effect, Result, Schema, SchemaIssue } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { canonicalJson } from "../../domain/CanonicalJson.ts"
import { maxSubmissions, type NewOrder } from "../../domain/Order.ts"
import { OrderId } from "../../domain/OrderId.ts"
import type { OrderPayload } from "../../domain/OrderPayload.ts"
import { fingerprint, type Idempotency, IdempotencyTtl } from "./Idempotency.ts"
import {
  askedFor,
  DefaultMaxRetries,
  type Submission,
  SubmissionRefused,
  type WrongSubmission
} from "./Submission.ts"
import { SubmitOrder } from "./SubmitOrder.ts"

const Key = Schema.Struct({
  key: Schema.String.check(Schema.isPattern(/^[\x20-\x7E]{1,255}$/)),
  scope: Schema.String.check(Schema.isPattern(/^[\x20-\x7E]{1,255}$/))
})
const decodeKey = Schema.decodeUnknownEffect(Key)
const checkNumber = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Unknown).check(Schema.isMaxLength(maxSubmissions))
)

// What is kept with a key, in the words of the store: text.
const Answers = Schema.fromJsonString(Schema.Array(Schema.Union([OrderId, SubmissionRefused])))
const encodeAnswers = Schema.encodeEffect(Answers)
const decodeAnswers = Schema.decodeEffect(Answers)

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()
const segment = (key: PropertyKey | { readonly key: PropertyKey }): string | number => {
  const plain = typeof key === "object" ? key.key : key
  return typeof plain === "number" ? plain : String(plain)
}
const refusalOf = ({ issue }: Schema.SchemaError): SubmissionRefused =>
  new SubmissionRefused({
    issues: issuesOf(issue).issues.map(({ message, path = [] }) => ({
      path: ["payload", ...path.map(segment)],
      message
    }))
  })

/**
 * Turns what submitters say into new orders and has them stored: an id of our own, defaults resolved, the payload
 * encoded; and where a key makes the call safe to repeat, what the call is known by and what its repetitions get.
 */
export const takeSubmissions = Effect.fnUntraced(function* <P>(payload: OrderPayload<P>) {
  const submitOrder = yield* SubmitOrder
  const random = yield* SecureRandom.SecureRandom
  const digest = yield* Digest.Digest
  const defaultMaxRetries = yield* DefaultMaxRetries
  const keepFor = yield* IdempotencyTtl
  const encode = Schema.encodeEffect(payload.schema)

  const newOrder = (submission: Submission<P>): Effect.Effect<NewOrder, Schema.SchemaError> =>
    Effect.flatMap(encode(submission.payload), (encoded) => {
      const { correlationId, maxRetries, metadata, notBefore, priority } = submission
      const withId = (id: string, correlationId: string): NewOrder => ({
        id: OrderId.make(id),
        payload: encoded,
        payloadVersion: payload.version,
        priority: priority ?? 0,
        maxRetries: maxRetries ?? defaultMaxRetries,
        metadata: metadata ?? {},
        correlationId,
        notBefore: notBefore ?? null
      })
      return correlationId === undefined
        ? Effect.zipWith(random.uuidV7(), random.uuidV4(), withId)
        : Effect.map(random.uuidV7(), (id) => withId(id, correlationId))
    })

  const digestOf = (request: unknown) =>
    digest.digestHex(Digest.sha256, new TextEncoder().encode(canonicalJson(request)))
  // The request is read once, however large it is.
  const fingerprintOf = Effect.fnUntraced(function* (
    request: unknown,
    sent: ReadonlyArray<number | undefined>,
    resolved: ReadonlyArray<number | undefined>
  ) {
    const rest = yield* digestOf(request)
    return fingerprint(yield* digestOf([rest, sent]), yield* digestOf([rest, resolved]))
  })

  const submit = (submission: Submission<P>) =>
    Effect.flatMap(newOrder(submission), (order) => Effect.as(submitOrder.submit(order), order.id))

  const submitOnce = Effect.fnUntraced(function* (submission: Submission<P>, idempotency: Idempotency) {
    const { key, scope } = yield* decodeKey({ scope: "submit", ...idempotency })
    const order = yield* newOrder(submission)
    const { answer, replayed } = yield* submitOrder.submitOnce({
      scope,
      key,
      fingerprint: yield* fingerprintOf(askedFor(order), [submission.maxRetries], [order.maxRetries]),
      requestId: order.id,
      orders: [order],
      answer: order.id,
      keepFor
    })
    return { answer: OrderId.make(answer), replayed }
  })

  const submitMany = Effect.fnUntraced(function* (
    submissions: ReadonlyArray<Submission<P> | WrongSubmission>,
    idempotency?: Idempotency
  ) {
    yield* checkNumber(submissions)
    const taken = yield* Effect.forEach(submissions, (submission) =>
      "refused" in submission
        ? Effect.succeed(Result.fail(submission.refused))
        : Effect.result(Effect.mapError(newOrder(submission), refusalOf))
    )
    const orders = taken.filter(Result.isSuccess).map(({ success }) => success)
    const answer = taken.map(Result.map(({ id }) => id))
    if (idempotency === undefined) {
      yield* submitOrder.submitMany(orders)
      return { answer, replayed: false }
    }
    const { key, scope } = yield* decodeKey({ scope: "submitMany", ...idempotency })
    const request = taken.map((result, place) => {
      if (Result.isSuccess(result)) return askedFor(result.success)
      const submission = submissions[place]
      return { refused: submission !== undefined && "given" in submission ? submission.given : null }
    })
    const sent = submissions.map((each) => ("refused" in each ? undefined : each.maxRetries))
    const resolved = taken.map((each) => (Result.isSuccess(each) ? each.success.maxRetries : undefined))
    const kept = yield* submitOrder.submitOnce({
      scope,
      key,
      fingerprint: yield* fingerprintOf(request, sent, resolved),
      requestId: yield* random.uuidV7(),
      orders,
      answer: yield* Effect.orDie(encodeAnswers(answer.map(Result.merge))),
      keepFor
    })
    if (!kept.replayed) return { answer, replayed: false }
    const first = yield* Effect.orDie(decodeAnswers(kept.answer))
    return {
      answer: first.map((each) => (typeof each === "string" ? Result.succeed(each) : Result.fail(each))),
      replayed: true
    }
  })

  return { submit, submitOnce, submitMany }
})
