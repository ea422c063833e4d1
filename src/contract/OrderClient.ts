import { Effect, type Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import type { OrderTypes } from "../domain/OrderTypes.ts"
import { makeOrderApi } from "./OrderApi.ts"

/** The address of the server, and the key to use. */
export interface OrderClientOptions {
  readonly baseUrl: string | URL
  /** The secret of a key of that server; not needed if the server has no keys. */
  readonly key?: Redacted.Redacted
}

/**
 * A client for orders of these types, made from the same contract as the server. It has a method for each endpoint,
 * which returns the decoded response or fails with the error of the handler.
 */
const make = <T>(types: OrderTypes<T>, { baseUrl, key }: OrderClientOptions) =>
  HttpApiClient.make(makeOrderApi(types), {
    baseUrl,
    ...(key !== undefined && {
      transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(key))
    })
  })

/** A client for orders of these types. */
export type OrderClient<T> = Effect.Success<ReturnType<typeof make<T>>>

/** Makes clients that use the `HttpClient` of their context, such as `FetchHttpClient.layer`. */
export const OrderClient = { make }
