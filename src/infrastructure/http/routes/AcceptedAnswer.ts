import { HttpServerResponse } from "effect/http"
import type { OrderId } from "../../../domain/OrderId.ts"
import { replayedHeaderOf } from "./Idempotency.ts"

/**
 * The 202 of one order, as the contract says it and written as it is: on the path that everything waits for, encoding it
 * by its schema would cost as much as the rest of the handler. Tests hold it against the contract.
 */
export const acceptedAnswer = (orderId: OrderId, replayed: boolean): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`{"orderId":"${orderId}"}`, {
    status: 202,
    contentType: "application/json",
    headers: { location: `/orders/${orderId}`, ...replayedHeaderOf(replayed) }
  })
