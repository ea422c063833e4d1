import { Effect, Result, Schema } from "effect"
import { HttpServerRequest } from "effect/http"
import {
  type Submission,
  SubmissionRefused,
  type WrongSubmission
} from "../../../application/intake/Submission.ts"
import type { RequestIssue } from "../../../contract/RequestErrors.ts"
import { submitOrderBody } from "../../../contract/SubmitOrderBody.ts"
import { maxSubmissions } from "../../../domain/Order.ts"
import type { OrderPayload } from "../../../domain/OrderPayload.ts"
import { MaxBodyBytes, MaxBulkBodyBytes } from "../edge/RequestLimits.ts"
import type { BodyPlace } from "./BodyBudget.ts"
import { decodeStrictly, readJson } from "./JsonBody.ts"
import { invalidRequest, listedIssues, roomForIssues } from "./RequestIssues.ts"

/** The most bytes that the issues of many orders take together, but for the first of each: that is always listed. */
const roomInAll = 512 * 1024

/** After so many orders, or things that are wrong with them, others have their turn. */
const atATime = 50

// Only what is around the orders: one that is wrong is wrong alone.
const Envelope = Schema.Struct({
  orders: Schema.Array(Schema.Unknown).check(
    Schema.isMaxLength(maxSubmissions, { expected: `at most ${maxSubmissions} orders` })
  )
})
const decodeEnvelope = decodeStrictly(Envelope, { deep: false })

/** Reads many orders: those that are wrong keep their place, with every issue. */
export const decodeOrdersBody = <P>(payload: OrderPayload<P>) => {
  const decode = decodeStrictly(submitOrderBody(payload))

  return Effect.fnUntraced(function* (place: BodyPlace) {
    const { bytes, json } = yield* readJson(
      yield* HttpServerRequest.HttpServerRequest,
      yield* MaxBulkBodyBytes,
      place
    )
    const { orders } = yield* Effect.mapError(decodeEnvelope(json), invalidRequest)
    const largest = yield* MaxBodyBytes
    const read: Array<Submission<P> | WrongSubmission> = []
    let room = roomInAll
    let turn = 0
    for (const given of orders) {
      if (turn >= atATime) {
        yield* Effect.yieldNow
        turn = 0
      }
      const tooLarge = bytes > largest && isLarger(given as Schema.Json, largest)
      const decoded = yield* Effect.result(tooLarge ? Effect.fail(tooLargeFor(largest)) : decode(given))
      turn += Result.isSuccess(decoded) ? 1 : decoded.failure.length
      if (Result.isSuccess(decoded)) {
        read.push(decoded.success)
      } else {
        const { bytes, listed } = listedIssues(
          decoded.failure.map(withoutPart),
          Math.min(room, roomForIssues)
        )
        room -= bytes
        const unlisted = decoded.failure.length - listed.length
        read.push({
          given,
          refused: new SubmissionRefused({ issues: listed, ...(unlisted > 0 && { unlisted }) })
        })
      }
    }
    return read
  })
}

const tooLargeFor = (most: number): ReadonlyArray<RequestIssue> => [
  { in: "body", path: [], message: `An order is at most ${most} bytes of JSON` }
]

/** Of the ways to write it the shortest: `1e15` is four bytes, and not sixteen. */
const bytesOf = (value: string | number | boolean | null) => {
  const bytes = Buffer.byteLength(JSON.stringify(value))
  return typeof value === "number" ? Math.min(bytes, value.toExponential().replace("+", "").length) : bytes
}

// By its shortest JSON, since how it was written is not known any more. Not by its text as a whole: what is nested deep
// would exhaust the stack, and what is far too large need not be counted to its end.
const isLarger = (value: Schema.Json, most: number): boolean => {
  let left = most
  const open: Array<Schema.Json> = [value]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== "object" || next === null) {
      if (typeof next === "string" && next.length > left) return true
      left -= bytesOf(next)
    } else {
      const members = Object.entries(next)
      // Its brackets, and a comma between two of its members.
      left -= 2 + Math.max(0, members.length - 1)
      for (const [key, member] of members) {
        if (!Array.isArray(next)) left -= bytesOf(key) + 1
        if (left < 0) return true
        open.push(member)
      }
    }
    if (left < 0) return true
  }
  return false
}

const withoutPart = ({ message, path }: Pick<RequestIssue, "message" | "path">) => ({ message, path })
