import { Effect, type Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { makeOrderApi } from "./OrderApi.ts"

/** The address of the server, and the key to use. */
export interface OrderClientOptions {
  readonly baseUrl: string | URL
  /** The secret of a key of that server; not needed if the server has no keys. */
  readonly key?: Redacted.Redacted
}

/**
 * A client for orders that carry `P`, made from the same contract as the server: a method for each endpoint, which
 * returns the decoded response and fails with the error that the handler failed with.
 */
const make = <P>(payload: OrderPayload<P>, { baseUrl, key }: OrderClientOptions) =>
  HttpApiClient.make(makeOrderApi(payload), {
    baseUrl,
    ...(key !== undefined && {
      transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(key))
    })
  })

/** A client for orders that carry `P`. */
export type OrderClient<P> = Effect.Success<ReturnType<typeof make<P>>>

/** Makes clients that use the `HttpClient` of their context, such as `FetchHttpClient.layer`. */
export const OrderClient = { make }
