import { Effect, type Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import type { OrderPayload } from "../domain/OrderPayload.ts"
import { makeOrderApi } from "./OrderApi.ts"

/** Where the server is, and by which key to come in. */
export interface OrderClientOptions {
  readonly baseUrl: string | URL
  /** The secret of a key of that server; none where it is open. */
  readonly key?: Redacted.Redacted
}

/**
 * A client for orders that carry `P`, from the very contract that the server serves: a call for each endpoint, with
 * its answers decoded and its problems as the errors that they are.
 */
const make = <P>(payload: OrderPayload<P>, { baseUrl, key }: OrderClientOptions) =>
  HttpApiClient.make(makeOrderApi(payload), {
    baseUrl,
    ...(key !== undefined && {
      transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(key))
    })
  })

/** The type of such a client. */
export type OrderClient<P> = Effect.Success<ReturnType<typeof make<P>>>

/** Makes clients; they speak by the `HttpClient` given, such as `FetchHttpClient.layer`. */
export const OrderClient = { make }
