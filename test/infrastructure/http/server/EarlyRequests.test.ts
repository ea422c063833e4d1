import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { Readiness } from "../../../../src/infrastructure/http/routes/Readiness.ts"
import { OrderHttpServer } from "../../../../src/infrastructure/http/server/HttpServer.ts"
import { freePort } from "../../../examples/ExampleProcess.ts"
import { raw } from "../../../RawHttp.ts"

describe("a request that arrives before the routes are ready", () => {
  it.live("is answered once they are ready", () =>
    Effect.gen(function* () {
      const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const port = yield* Effect.promise(freePort)
      // The server listens before its routes are built.
      const routes = Layer.effectDiscard(
        Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gate))
      )
      const options = { host: "127.0.0.1", port, gracefulShutdownTimeout: "1 second" } as const
      const serving = yield* Effect.forkChild(
        Layer.build(OrderHttpServer.layer(routes, options).pipe(Layer.provide(Readiness.layer)))
      )
      yield* Deferred.await(begun)
      const ask = raw(port, "GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
      const early = yield* Effect.forkChild(Effect.all([ask, ask], { concurrency: 2 }))
      // The requests have arrived, but are not handled yet.
      yield* Effect.sleep("100 millis")
      assert.isUndefined(early.pollUnsafe())
      const alive = yield* raw(
        port,
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
      )
      assert.match(alive, /^HTTP\/1\.1 200 [^]*\{"status":"up"\}/)
      assert.match(alive, /^x-correlation-id: [0-9a-f-]{36}\r$/im)
      assert.isUndefined(early.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(serving)
      for (const answer of [...(yield* Fiber.join(early)), yield* ask])
        assert.match(answer, /^HTTP\/1\.1 404 /)
    })
  )

  it.live("is answered 503 after a timeout, with its own correlation id", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      yield* Layer.build(
        OrderHttpServer.layerListening({ host: "127.0.0.1", port, gracefulShutdownTimeout: "1 second" })
      )
      const head = (path: string, id: string) =>
        `GET ${path} HTTP/1.1\r\nhost: localhost\r\nx-correlation-id: ${id}\r\nconnection: close\r\n\r\n`
      const waited = yield* raw(port, head("/orders", "mine"))
      assert.match(waited, /^HTTP\/1\.1 503 [^]*urn:order-platform:unavailable/)
      assert.match(waited, /^retry-after: 1\r$/im)
      assert.match(waited, /^x-correlation-id: mine\r$/im)
      const alive = yield* raw(port, head("/health/live", "mine"))
      assert.match(alive, /^x-correlation-id: mine\r$/im)
      const refused = yield* raw(port, head("/health/live", "x".repeat(129)))
      assert.match(refused, /^x-correlation-id: [0-9a-f-]{36}\r$/im)
    })
  )
})
