import { Effect, Result, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import {
  type Submission,
  SubmissionRefused,
  type WrongSubmission
} from "../../../application/intake/Submission.ts"
import type { RequestIssue } from "../../../contract/RequestErrors.ts"
import { maxSubmissions } from "../../../domain/Order.ts"
import type { OrderTypes } from "../../../domain/OrderTypes.ts"
import type { BodyReservation } from "./BodyBytes.ts"
import { readJson } from "./JsonBody.ts"
import { invalidRequest, listedIssues, roomForIssues } from "./RequestIssues.ts"
import { decodeStrictly } from "./StrictJson.ts"
import { decodeWholeOrder } from "./SubmitOrderDecoding.ts"

/**
 * The maximum size of the issues of all orders together, in bytes of JSON. The first issue of each order is always
 * listed.
 */
const roomInAll = 512 * 1024

/** The number of orders, or issues of orders, that are handled before other fibers may run. */
const atATime = 50

// The orders are left undecoded, because each is decoded separately.
const Envelope = Schema.Struct({
  orders: Schema.Array(Schema.Unknown).check(
    Schema.isMaxLength(maxSubmissions, { expected: `at most ${maxSubmissions} orders` })
  )
})
const decodeEnvelope = decodeStrictly(Envelope, { deep: false })

/**
 * Reads the body of `POST /orders/bulk`. The result has one entry for each order, in the sequence of the
 * body. The entry of an invalid order has its issues.
 */
export const decodeOrdersBody = <T>(
  types: OrderTypes<T>,
  { maxBulkBytes, maxBytes: largest }: { readonly maxBytes: number; readonly maxBulkBytes: number }
) => {
  const decode = decodeWholeOrder(types)

  return Effect.fnUntraced(function* (
    request: HttpServerRequest.HttpServerRequest,
    reservation: BodyReservation
  ) {
    const { bytes, json } = yield* readJson(request, maxBulkBytes, reservation)
    const { orders } = yield* Effect.mapError(decodeEnvelope(json), invalidRequest)
    const read: Array<Submission<T> | WrongSubmission> = []
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
        const { bytes, refused } = refusalOf(decoded.failure, Math.min(room, roomForIssues))
        room -= bytes
        read.push({ given, refused })
      }
    }
    return read
  })
}

/** The refusal of one order with as many of its issues as fit, and the size of these issues in bytes. */
const refusalOf = (all: ReadonlyArray<RequestIssue>, room: number) => {
  const { bytes, listed: issues } = listedIssues(
    all.map(({ message, path }) => ({ message, path })),
    room
  )
  const unlisted = all.length - issues.length
  return { bytes, refused: new SubmissionRefused({ issues, ...(unlisted > 0 && { unlisted }) }) }
}

const tooLargeFor = (maxBytes: number): ReadonlyArray<RequestIssue> => [
  { in: "body", path: [], message: `An order is at most ${maxBytes} bytes of JSON` }
]

/** The size of the shortest JSON of a value: `1e15` is four bytes, not sixteen. */
const bytesOf = (value: string | number | boolean | null) => {
  const bytes = Buffer.byteLength(JSON.stringify(value))
  return typeof value === "number" ? Math.min(bytes, value.toExponential().replace("+", "").length) : bytes
}

// Measures the shortest JSON, because the original text is not available. It stops as soon as the value is too large.
// It does not recurse, because deep nesting would overflow the stack.
const isLarger = (value: Schema.Json, maxBytes: number): boolean => {
  let left = maxBytes
  const open: Array<Schema.Json> = [value]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== "object" || next === null) {
      if (typeof next === "string" && next.length > left) return true
      left -= bytesOf(next)
    } else {
      const members = Object.entries(next)
      // The brackets of `next`, and a comma between two of its members.
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
