import { HttpApi, OpenApi } from "effect/http-api"
import type { OrderTypes } from "../domain/OrderTypes.ts"
import { AuditApi } from "./AuditEndpoints.ts"
import { DeadLettersApi } from "./DeadLettersEndpoints.ts"
import { FailureGroupsApi } from "./FailureGroupsEndpoints.ts"
import { GroupsApi } from "./GroupsEndpoints.ts"
import { HealthApi } from "./HealthEndpoints.ts"
import { describeEveryAnswer } from "./openapi/OpenApiDocument.ts"
import { makeOrdersApi } from "./OrdersEndpoints.ts"
import { StatsApi } from "./StatsEndpoints.ts"
import { WorkersApi } from "./WorkersEndpoints.ts"

/** The version of the HTTP contract: the version of the package. */
export const apiVersion = "0.1.0"

/** The HTTP contract for orders of these types: for typed clients and the OpenAPI document. */
export const makeOrderApi = <T>(types: OrderTypes<T>) =>
  HttpApi.make("order-platform")
    .add(
      makeOrdersApi(types),
      DeadLettersApi,
      FailureGroupsApi,
      WorkersApi,
      GroupsApi,
      AuditApi,
      StatsApi,
      HealthApi
    )
    .annotate(HttpApi.ParseOptions, { errors: "all" })
    .annotateMerge(
      OpenApi.annotations({
        title: "Order Platform",
        version: apiVersion,
        description:
          "Accepts orders, processes each at least once and records the outcome exactly once, retries with backoff, and keeps failed orders in a dead letter queue. Errors are problems (RFC 9457) with a stable `type`; every answer carries `X-Correlation-Id`.",
        transform: describeEveryAnswer
      })
    )

/** The HTTP contract for orders of these types. */
export type OrderApi<T> = ReturnType<typeof makeOrderApi<T>>
