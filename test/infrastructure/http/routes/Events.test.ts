import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Latch, Layer, Queue, Redacted, Scope, Exit, Stream, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { MaxWatched } from "../../../../src/application/watch/WatchOrder.ts"
import type { AllStores } from "../../../../src/testing/AllStores.ts"
import type { Outcome } from "../../../../src/domain/Order.ts"
import { failure } from "../../../../src/domain/Failure.ts"
import type { OrderEvent } from "../../../../src/domain/OrderEvent.ts"
import { ApiKeys } from "../../../../src/infrastructure/http/edge/Caller.ts"
import { makeEventStreams } from "../../../../src/infrastructure/http/routes/EventStream.ts"
import { RequestTimeout } from "../../../../src/infrastructure/http/edge/RequestLimits.ts"
import { openStream, restOf } from "../../../ServerSentEvents.ts"
import { newOrder } from "../../../TestOrders.ts"
import { settled } from "../../../VirtualTime.ts"
import { failedHistory, idNumber } from "../FakePlatform.ts"
import { serveFake, serveMemoryWith } from "../TestServer.ts"

const completed: Outcome = { event: "completed" }
const failed: Outcome = { event: "failed", failure: failure("PERMANENT", "card\ndeclined") }

/** Starts the only due order and settles its attempt with this outcome. */
const attempt = Effect.fnUntraced(function* (stores: AllStores, outcome: Outcome) {
  const { orders } = yield* stores.work.claim({ worker: "w", lease: Duration.minutes(1), max: 1 })
  yield* stores.work.settle(orders.map((order) => ({ order, outcome })))
})

const served = (settings: Layer.Layer<never> = Layer.empty) =>
  Effect.gen(function* () {
    const server = yield* serveMemoryWith(settings)
    const order = newOrder()
    yield* server.stores.intake.submit([order])
    const path = `/orders/${order.id}/events`
    return { ...server, id: order.id, path, url: `http://127.0.0.1:${server.port}${path}` }
  })

/** Advances virtual time second by second, since nothing here happens in between. */
const pass = (seconds: number) =>
  Effect.andThen(TestClock.adjust("1 second"), settled).pipe(Effect.repeat({ times: seconds - 1 }))

describe("GET /orders/{id}/events", () => {
  it.live("sends the timeline so far, then each event as it happens, and ends with the final state", () =>
    Effect.gen(function* () {
      const { call, id, stores, url } = yield* served()
      const stream = yield* openStream(url)
      assert.strictEqual(stream.status, 200)
      assert.strictEqual(stream.headers["content-type"], "text/event-stream")
      assert.strictEqual(stream.headers["cache-control"], "no-cache, no-store")
      assert.strictEqual(stream.headers["x-accel-buffering"], "no")
      assert.isString(stream.headers["x-correlation-id"])
      const first = yield* Queue.take(stream.events)
      assert.deepStrictEqual([first.id, first.event], ["1", "created"])
      yield* attempt(stores, failed)
      const rest = yield* restOf(stream)
      const { events } = (yield* call(`/orders/${id}/timeline`)).json as { events: ReadonlyArray<unknown> }
      assert.deepStrictEqual(
        [first, ...rest].map(({ data }) => data),
        events
      )
      assert.deepStrictEqual(
        rest.map(({ event, id }) => [id, event]),
        [
          ["2", "started"],
          ["3", "failed"]
        ]
      )
      // The stream of a final order ends at once.
      assert.deepStrictEqual(yield* restOf(yield* openStream(url)), [first, ...rest])
    })
  )

  it.live("resumes after the event that Last-Event-ID names, and ends at once if there are no more", () =>
    Effect.gen(function* () {
      const { stores, url } = yield* served()
      yield* attempt(stores, completed)
      const ids = Effect.fnUntraced(function* (lastEventId: string) {
        const rest = yield* restOf(yield* openStream(url, { "last-event-id": lastEventId }))
        return rest.map(({ id }) => id)
      })
      assert.deepStrictEqual(yield* ids("0"), ["1", "2", "3"])
      assert.deepStrictEqual(yield* ids("1"), ["2", "3"])
      assert.deepStrictEqual(yield* ids("2"), ["3"])
      assert.deepStrictEqual(yield* ids("3"), [])
      assert.deepStrictEqual(yield* ids("99"), [])
    })
  )

  it.live("continues past a failure that was reprocessed", () =>
    Effect.gen(function* () {
      const { id, stores, url } = yield* served()
      yield* attempt(stores, failed)
      yield* stores.deadLetters.reprocess(id)
      const stream = yield* openStream(url)
      for (const event of ["created", "started", "failed", "reprocessed"])
        assert.strictEqual((yield* Queue.take(stream.events)).event, event)
      yield* attempt(stores, completed)
      assert.deepStrictEqual(
        (yield* restOf(stream)).map(({ event }) => event),
        ["started", "completed"]
      )
    })
  )

  it.live("an order that cannot be watched is a problem before the stream begins", () =>
    Effect.gen(function* () {
      const { call, path } = yield* served()
      for (const bad of ["", "x", "-1", "1.5", "01", "1, 2", "9999999999", "0x1"]) {
        const answer = yield* call(path, { headers: { "last-event-id": bad } })
        assert.strictEqual(answer.status, 400, bad)
        assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
        assert.include(answer.text, '"in":"header","path":["last-event-id"]')
      }
      const unknown = yield* call(`/orders/${newOrder().id}/events`)
      assert.deepStrictEqual(
        [unknown.status, unknown.headers.get("content-type")],
        [404, "application/problem+json"]
      )
      assert.strictEqual((yield* call("/orders/42/events")).status, 400)
      const wrong = yield* call(path, { method: "POST" })
      assert.deepStrictEqual([wrong.status, wrong.headers.get("allow")], [405, "GET, HEAD, OPTIONS"])
      const head = yield* call(path, { method: "HEAD" })
      assert.deepStrictEqual(
        [head.status, head.text, head.headers.get("content-type")],
        [200, "", "text/event-stream"]
      )
    })
  )

  it.live("the number of open streams in a process is limited, and a closed one frees its place", () =>
    Effect.gen(function* () {
      const { call, path, url } = yield* served(Layer.succeed(MaxWatched, 2))
      const first = yield* openStream(url)
      yield* openStream(url)
      const third = yield* call(path)
      assert.strictEqual(third.status, 503)
      assert.include(third.text, "urn:order-platform:overloaded")
      assert.isNotNull(third.headers.get("retry-after"))
      yield* first.cut
      let again = yield* openStream(url)
      for (let n = 0; n < 200 && again.status === 503; n++) {
        yield* Effect.sleep("10 millis")
        again = yield* openStream(url)
      }
      assert.strictEqual(again.status, 200)
      assert.strictEqual((yield* Queue.take(again.events)).event, "created")
    })
  )

  it.live("one caller can use at most half of them", () =>
    Effect.gen(function* () {
      const key = (name: string) => ({ name, secret: Redacted.make(`secret-of-${name}`) })
      const keys = { clients: [key("a"), key("b")], operators: [key("o")] }
      const { call, path, url } = yield* served(
        Layer.mergeAll(Layer.succeed(MaxWatched, 4), Layer.succeed(ApiKeys, keys))
      )
      const as = (name: string) => ({ authorization: `Bearer secret-of-${name}` })
      const first = yield* openStream(url, as("a"))
      const second = yield* openStream(url, as("a"))
      assert.strictEqual((yield* openStream(url, as("a"))).status, 503)
      assert.deepInclude((yield* call(path, { headers: as("a") })).json, {
        type: "urn:order-platform:overloaded",
        max: 2,
        detail: "You have the maximum number of event streams that one caller may have open. Close one first."
      })
      const others = [yield* openStream(url, as("b")), yield* openStream(url, as("o"))]
      assert.deepStrictEqual(
        [first, second, ...others].map(({ status }) => status),
        [200, 200, 200, 200]
      )
      assert.deepInclude((yield* call(path, { headers: as("b") })).json, { max: 4 })
      yield* second.cut
      let again = yield* openStream(url, as("a"))
      for (let n = 0; n < 200 && again.status === 503; n++) {
        yield* Effect.sleep("10 millis")
        again = yield* openStream(url, as("a"))
      }
      assert.strictEqual(again.status, 200)
    })
  )

  it.live("the time limit of requests does not end a stream", () =>
    Effect.gen(function* () {
      const { stores, url } = yield* served(Layer.succeed(RequestTimeout, Duration.millis(300)))
      const stream = yield* openStream(url)
      yield* Queue.take(stream.events)
      yield* Effect.sleep("600 millis")
      yield* attempt(stores, completed)
      assert.strictEqual((yield* restOf(stream)).length, 2)
    })
  )

  it.live("a server that closes ends its streams without waiting for them", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { url } = yield* Scope.provide(served(), scope)
      const streams = yield* Effect.forEach(Array.from({ length: 5 }), () => openStream(url))
      yield* Effect.forEach(streams, ({ events }) => Queue.take(events))
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.isBelow(Duration.toMillis(took), 500)
      for (const stream of streams) {
        assert.deepStrictEqual(yield* restOf(stream), [])
        // The response is complete, not broken off.
        assert.isTrue(stream.isComplete())
      }
    })
  )

  it.live("a defect while an event is encoded closes its stream, is logged once, and affects no other", () =>
    Effect.gen(function* () {
      const [created = assert.fail(), ...others] = failedHistory
      const wrong = { ...created, version: 2, attempt: "first" } as unknown as OrderEvent
      const happens = yield* Latch.make()
      const broken = Stream.concat(Stream.make(created), Stream.fromEffect(Effect.as(happens.await, wrong)))
      const server = yield* serveFake({
        watch: (id) => Effect.succeed(id === idNumber(1) ? broken : Stream.fromIterable(failedHistory))
      })
      const url = (n: number) => `http://127.0.0.1:${server.port}/orders/${idNumber(n)}/events`
      const stream = yield* openStream(url(1))
      assert.strictEqual((yield* Queue.take(stream.events)).id, "1")
      yield* happens.open
      assert.lengthOf(yield* restOf(stream), 0)
      // Unlike the end of the order: the client resumes with its last id.
      assert.isFalse(stream.isComplete())
      assert.deepStrictEqual(
        server.logs.map(({ level, message }) => [level, message]),
        [["Error", "An event stream failed"]]
      )
      const [{ annotations, cause } = assert.fail()] = server.logs
      assert.include(cause, "attempt")
      assert.strictEqual(annotations["correlationId"], stream.headers["x-correlation-id"])
      assert.lengthOf(yield* restOf(yield* openStream(url(2))), 1 + others.length)
      assert.strictEqual((yield* server.call("/health/live")).status, 200)
    })
  )

  it.effect("sends a keep-alive comment every 15 seconds", () =>
    Effect.gen(function* () {
      const closes = yield* Latch.make()
      const eventStream = yield* makeEventStreams(closes)
      const { body } = yield* eventStream(Stream.never)
      assert(body._tag === "Stream")
      const reading = yield* Effect.forkChild(
        Stream.runFold(
          Stream.decodeText(body.stream),
          () => "",
          (all, text) => all + text
        )
      )
      yield* settled
      yield* pass(44)
      yield* closes.open
      assert.strictEqual(yield* Fiber.join(reading), ": keep-alive\n\n".repeat(3))
    })
  )

  it.effect("each stream has its own keep-alive timer, which ends with it", () =>
    Effect.gen(function* () {
      const closes = yield* Latch.make()
      const eventStream = yield* makeEventStreams(closes)
      const log: Array<string> = []
      const now = Effect.map(Clock.currentTimeMillis, (millis) => `${millis / 1000} s`)
      const note = (what: string) => Effect.map(now, (at) => void log.push(`${at}: ${what}`))
      const open = Effect.fnUntraced(function* (name: string) {
        const waits = Stream.fromEffect(Effect.onInterrupt(Effect.never, () => note(`${name} gone`)))
        const { body } = yield* eventStream(waits)
        assert(body._tag === "Stream")
        return yield* Effect.forkChild(
          Stream.runForEach(Stream.decodeText(body.stream), (text) => note(`${name}${text.trimEnd()}`))
        )
      })
      const first = yield* open("first")
      yield* settled
      yield* pass(5)
      const second = yield* open("second")
      yield* settled
      yield* pass(20)
      yield* Fiber.interrupt(first)
      yield* pass(15)
      yield* closes.open
      yield* Fiber.join(second)
      assert.deepStrictEqual(log, [
        "0 s: first: keep-alive",
        "5 s: second: keep-alive",
        "15 s: first: keep-alive",
        "20 s: second: keep-alive",
        "25 s: first gone",
        "35 s: second: keep-alive",
        "40 s: second gone"
      ])
    })
  )
})
