import { Effect, Result, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { maxSubmissions } from "../../domain/Order.ts"
import { OrderId } from "../../domain/OrderId.ts"
import type { OrderTypes } from "../../domain/OrderTypes.ts"
import { decodeKey, type Idempotency, IdempotencyTtl, makeFingerprint } from "./Idempotency.ts"
import {
  makeNewOrder,
  refusedFor,
  type Submission,
  SubmissionRefused,
  type WrongSubmission
} from "./Submission.ts"
import type { StoreOrders } from "./SubmitOrder.ts"

const checkCount = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Unknown).check(Schema.isMaxLength(maxSubmissions))
)

// The store keeps an answer as text.
const Answers = Schema.fromJsonString(Schema.Array(Schema.Union([OrderId, SubmissionRefused])))
const encodeAnswers = Schema.encodeEffect(Answers)
const decodeAnswers = Schema.decodeEffect(Answers)

/** `submitMany` of the platform for these types. */
export const makeSubmitOrders = Effect.fnUntraced(function* <T>(
  types: OrderTypes<T>,
  { storeOrders, storeOrdersOnce }: StoreOrders
) {
  const newOrder = yield* makeNewOrder(types)
  const fingerprint = yield* makeFingerprint
  const random = yield* SecureRandom.SecureRandom
  const keepFor = yield* IdempotencyTtl

  const resolve = (submission: Submission<T> | WrongSubmission) =>
    "refused" in submission
      ? Effect.succeed(Result.fail(submission.refused))
      : Effect.result(Effect.mapError(newOrder(submission), refusedFor))

  return Effect.fnUntraced(function* (
    submissions: ReadonlyArray<Submission<T> | WrongSubmission>,
    { idempotency }: { readonly idempotency?: Idempotency } = {}
  ) {
    yield* checkCount(submissions)
    const resolved = yield* Effect.forEach(submissions, resolve)
    const orders = resolved.filter(Result.isSuccess).map(({ success }) => success)
    const answer = resolved.map(Result.map(({ id }) => id))
    if (idempotency === undefined) {
      yield* storeOrders(orders)
      return { answer, replayed: false }
    }
    const { key, scope } = yield* decodeKey({ scope: "submitMany", ...idempotency })
    const stored = yield* storeOrdersOnce({
      scope,
      key,
      fingerprint: yield* fingerprint.ofMany(submissions, resolved),
      requestId: yield* random.uuidV7(),
      orders,
      answer: yield* Effect.orDie(encodeAnswers(answer.map(Result.merge))),
      keepFor
    })
    if (!stored.replayed) return { answer, replayed: false }
    const first = yield* Effect.orDie(decodeAnswers(stored.answer))
    return {
      answer: first.map((each) => (typeof each === "string" ? Result.succeed(each) : Result.fail(each))),
      replayed: true
    }
  })
})
