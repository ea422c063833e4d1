import { Effect, Result, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { maxSubmissions, type NewOrder } from "../../domain/Order.ts"
import { GroupOverloaded } from "../../domain/OrderErrors.ts"
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
const Answers = Schema.fromJsonString(
  Schema.Array(Schema.Union([OrderId, SubmissionRefused, GroupOverloaded]))
)
const encodeAnswers = Schema.encodeEffect(Answers)
const decodeAnswers = Schema.decodeEffect(Answers)

/** A submission as a new order, or why it is refused. */
type Resolved = Result.Result<NewOrder, SubmissionRefused | GroupOverloaded>

/** `submitMany` of the platform for these types. */
export const makeSubmitOrders = Effect.fnUntraced(function* <T>(
  types: OrderTypes<T>,
  { refusalOfGroup, storeOrders, storeOrdersOnce }: StoreOrders
) {
  const newOrder = yield* makeNewOrder(types)
  const fingerprint = yield* makeFingerprint
  const random = yield* SecureRandom.SecureRandom
  const keepFor = yield* IdempotencyTtl

  const resolve = (submission: Submission<T> | WrongSubmission) =>
    "refused" in submission
      ? Effect.succeed(Result.fail(submission.refused))
      : Effect.result(Effect.mapError(newOrder(submission), refusedFor))

  /** Refuses the orders of groups that are overloaded; the others are not affected. */
  const refuseByGroup = (resolved: Result.Result<NewOrder, SubmissionRefused>) =>
    Result.isFailure(resolved) || resolved.success.group === null
      ? Effect.succeed<Resolved>(resolved)
      : Effect.map(refusalOfGroup(resolved.success), (refusal): Resolved =>
          refusal === null ? resolved : Result.fail(refusal)
        )

  return Effect.fnUntraced(function* (
    submissions: ReadonlyArray<Submission<T> | WrongSubmission>,
    { idempotency }: { readonly idempotency?: Idempotency } = {}
  ) {
    yield* checkCount(submissions)
    const resolved = yield* Effect.forEach(submissions, resolve)
    const accepted = yield* Effect.forEach(resolved, refuseByGroup)
    const orders = accepted.filter(Result.isSuccess).map(({ success }) => success)
    const answer = accepted.map(Result.map(({ id }) => id))
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
