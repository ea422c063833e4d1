import { Cause, Context, Duration, Effect, Layer, Logger, References } from "effect"
import { OrderPlatform, type OrderPlatform as Platform } from "../../../src/application/OrderPlatform.ts"
import { storesOf } from "../../../src/testing/AllStores.ts"
import { failure } from "../../../src/domain/Failure.ts"
import type { NewOrder } from "../../../src/domain/Order.ts"
import * as OrderPayload from "../../../src/domain/OrderPayload.ts"
import type { OrderTypes } from "../../../src/domain/OrderTypes.ts"
import { Readiness } from "../../../src/infrastructure/http/routes/Readiness.ts"
import { BoundAddress, OrderHttpServer } from "../../../src/infrastructure/http/server/HttpServer.ts"
import { OrderRoutes } from "../../../src/infrastructure/http/routes/OrderRoutes.ts"
import * as Memory from "../../../src/infrastructure/memory/Memory.ts"
import { newOrder } from "../../TestOrders.ts"
import { fakePlatform } from "./FakePlatform.ts"

/** A log line of the server. */
export interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly cause: string
}

/** A response with its body, parsed if it is JSON. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: unknown
}

/** Serves the platform on 127.0.0.1 until the test's scope ends. */
export const serve = Effect.fnUntraced(function* <T>(
  types: OrderTypes<T>,
  platform: Platform<T>,
  settings: Layer.Layer<never> = Layer.empty
) {
  const logs: Array<Logged> = []
  const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
    logs.push({
      level: logLevel,
      message: String(message),
      annotations: fiber.getRef(References.CurrentLogAnnotations),
      cause: Cause.pretty(cause)
    })
  })
  const services = yield* Layer.build(
    OrderHttpServer.layer(OrderRoutes.layer(types), {
      host: "127.0.0.1",
      port: 0,
      gracefulShutdownTimeout: "1 second"
    }).pipe(
      Layer.provideMerge(Readiness.layer),
      Layer.provide(Layer.succeed(OrderPlatform.service(types), platform)),
      Layer.provide(settings),
      Layer.provide(Logger.layer([logger]))
    )
  )
  const address = Context.get(services, BoundAddress)
  const port = "port" in address ? address.port : 0
  const call = (path: string, init?: RequestInit) =>
    Effect.promise(async (signal): Promise<Answer> => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal, ...init })
      const text = await response.text()
      const isJson = (response.headers.get("content-type") ?? "").includes("json")
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: isJson && text !== "" ? (JSON.parse(text) as unknown) : undefined
      }
    })
  return { call, logs, port, drain: Context.get(services, Readiness).drain }
})

/** Serves a fake platform for any JSON payload. */
export const serveFake = (
  overrides: Partial<Platform<typeof OrderPayload.anyJsonObject.Payloads>> = {},
  settings?: Layer.Layer<never>
) => {
  const { keys, platform, submitted } = fakePlatform(overrides)
  return Effect.map(serve(OrderPayload.anyJsonObject, platform, settings), (server) => ({
    ...server,
    keys,
    submitted
  }))
}

/** Serves the real platform on memory stores, which the test can also use directly. */
export const serveMemoryWith = Effect.fnUntraced(function* (settings: Layer.Layer<never>) {
  const payload = OrderPayload.anyJsonObject
  const services = yield* Layer.build(
    OrderPlatform.layer(payload).pipe(Layer.provideMerge(Memory.layer), Layer.provide(settings))
  )
  const stores = storesOf(services)
  const server = yield* serve(payload, Context.get(services, OrderPlatform.service(payload)), settings)
  /** Stores an order that failed permanently in its only attempt. */
  const failOne = Effect.fnUntraced(function* (parts: Partial<NewOrder> = {}, reason = "card declined") {
    yield* stores.intake.submit([newOrder({ priority: 9, ...parts })])
    const { orders } = yield* stores.work.claim({ worker: "w", lease: Duration.minutes(1), max: 1 })
    const outcome = { event: "failed", failure: failure("PERMANENT", reason) } as const
    yield* stores.work.settle(orders.map((order) => ({ order, outcome })))
    return orders[0]?.id ?? ""
  })
  return { ...server, stores, failOne, failed: failOne() }
})

/** The same with default settings. */
export const serveMemory = Effect.suspend(() => serveMemoryWith(Layer.empty))
