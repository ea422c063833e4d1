import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Tracer } from "effect"
import { serveMemoryWith } from "../TestServer.ts"

describe("an app that installs a tracer", () => {
  it.live("gets a span for each request, as a child of the caller's, with the status", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
      const spanId = "00f067aa0ba902b7"
      yield* Effect.scoped(
        Effect.flatMap(serveMemoryWith(Layer.succeed(Tracer.Tracer, tracer)), ({ call }) =>
          call("/orders", { method: "POST", headers: { traceparent: `00-${traceId}-${spanId}-01` } })
        )
      )
      // The server is closed, so every request has ended.
      const requests = spans.filter(({ kind }) => kind === "server")
      assert.strictEqual(requests.length, 1)
      const [request] = requests
      assert(request !== undefined && request.status._tag === "Ended")
      assert.isTrue(Exit.isSuccess(request.status.exit))
      assert.strictEqual(request.traceId, traceId)
      assert.strictEqual(Option.getOrThrow(request.parent).spanId, spanId)
      assert.strictEqual(request.attributes.get("http.request.method"), "POST")
      assert.strictEqual(request.attributes.get("http.response.status_code"), 202)
    })
  )
})
