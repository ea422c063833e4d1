import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import { DefaultMaxRetries } from "../../src/application/intake/Submission.ts"
import { OrderPlatform } from "../../src/application/OrderPlatform.ts"
import { OrderProcessor, RetryableFailure } from "../../src/application/ports/OrderProcessor.ts"
import { OrderReads } from "../../src/application/ports/OrderReads.ts"
import { type ClaimRequest, WorkStore } from "../../src/application/ports/WorkStore.ts"
import { OrderWorker } from "../../src/application/work/OrderWorker.ts"
import { anyJsonObject } from "../../src/domain/OrderPayload.ts"
import { OrderType } from "../../src/domain/OrderType.ts"
import { OrderTypes } from "../../src/domain/OrderTypes.ts"
import { SettingsOfTypes, type TypeSettings } from "../../src/domain/TypeSettings.ts"
import * as Memory from "../../src/infrastructure/memory/Memory.ts"
import * as Testing from "../../src/testing.ts"
import { pass } from "../VirtualTime.ts"

const invoice = OrderType.make("invoice", Schema.Struct({ cents: Schema.Int }), {
  version: 7,
  maxRetries: 5,
  retryPolicy: { backoff: "fixed", delay: Duration.seconds(10) },
  attemptTimeout: Duration.seconds(2),
  concurrency: 1
})
const email = OrderType.make("email", Schema.Struct({ sentAt: Schema.DateTimeUtcFromString }))
const types = OrderTypes.make(invoice, email)
const platform = OrderPlatform.service(types)

const submitInvoice = (cents = 1) =>
  Effect.flatMap(platform, (orders) => orders.submit({ type: "invoice", payload: { cents } }))
const submitEmail = (lane: { readonly orderingKey?: string; readonly group?: string } = {}) =>
  Effect.gen(function* () {
    const sentAt = yield* Schema.decodeEffect(Schema.DateTimeUtcFromString)("2026-11-27T12:00:00Z")
    return yield* (yield* platform).submit({ type: "email", payload: { sentAt }, ...lane })
  })
const configured = (settings: Readonly<Record<string, TypeSettings>>) =>
  Layer.succeed(SettingsOfTypes, settings)

/** Seconds from the creation of the order to each of its events. */
const timesOf = (id: Parameters<OrderPlatform<never>["find"]>[0]) =>
  Effect.gen(function* () {
    const timeline = yield* (yield* platform).timeline(id)
    const [created] = timeline
    return timeline.map(({ at, event }) => [
      event,
      Math.round((at.epochMilliseconds - (created?.at.epochMilliseconds ?? 0)) / 1000)
    ])
  })

describe("orders of several types", () => {
  it.effect("are stored with their type and version, and run in the processor of their type", () => {
    const invoices = Testing.scriptedProcessor(invoice, "completes")
    const emails = Testing.scriptedProcessor(email, "completes")
    return Effect.gen(function* () {
      const ids = [yield* submitInvoice(12), yield* submitEmail({ orderingKey: "ann", group: "acme" })]
      yield* Testing.drain
      const orders = yield* Effect.forEach(ids, (yield* OrderReads).find)
      assert.deepStrictEqual(
        orders.map(({ payload, payloadVersion, status, type }) => [status, type, payloadVersion, payload]),
        [
          ["PROCESSED", "invoice", 7, { cents: 12 }],
          ["PROCESSED", "email", 1, { sentAt: "2026-11-27T12:00:00.000Z" }]
        ]
      )
      assert.deepStrictEqual(
        invoices.attempts.map(({ payload, type }) => [type, payload.cents]),
        [["invoice", 12]]
      )
      assert.deepStrictEqual(
        emails.attempts.map(({ group, orderingKey, payload, type }) => [
          type,
          orderingKey,
          group,
          payload.sentAt.epochMilliseconds
        ]),
        [["email", "ann", "acme", Date.UTC(2026, 10, 27, 12)]]
      )
    }).pipe(Effect.provide(Testing.layer(types, Layer.merge(invoices.layer, emails.layer))))
  })

  it.effect("have the retry policy, the maxRetries and the timeout of their type", () => {
    const failing = new RetryableFailure({ reason: "no" })
    const invoices = Testing.scriptedProcessor(invoice, () => Effect.never, failing)
    const emails = Testing.scriptedProcessor(email, failing)
    return Effect.gen(function* () {
      const [bill, mail] = [yield* submitInvoice(), yield* submitEmail()]
      yield* Testing.drain
      assert.deepStrictEqual(
        (yield* timesOf(bill)).filter(([event]) => event !== "started"),
        [
          ["created", 0],
          ["retried", 2],
          ["retried", 12],
          ["retried", 22],
          ["retried", 32],
          ["failed", 42]
        ]
      )
      const [first] = (yield* (yield* platform).deadLetter(bill)).attempts
      assert.strictEqual(first?.reason, "The attempt took longer than 2s and was interrupted.")
      assert.deepStrictEqual(
        (yield* timesOf(mail)).filter(([event]) => event !== "started"),
        [
          ["created", 0],
          ["retried", 0],
          ["retried", 1],
          ["failed", 3]
        ]
      )
    }).pipe(Effect.provide(Testing.layer(types, Layer.merge(invoices.layer, emails.layer))))
  })

  it.effect("run no more at the same time than the concurrency of their type", () => {
    const running = { invoice: 0, email: 0 }
    const most = { invoice: 0, email: 0 }
    const count = ({ type }: { readonly type: "invoice" | "email" }) =>
      Effect.gen(function* () {
        most[type] = Math.max(most[type], ++running[type])
        yield* Effect.sleep("1 second")
        running[type]--
      })
    const processors = Layer.merge(OrderProcessor.layer(invoice, count), OrderProcessor.layer(email, count))
    return Effect.gen(function* () {
      for (let n = 0; n < 4; n++) {
        yield* submitInvoice()
        yield* submitEmail()
      }
      yield* Testing.drain
      assert.deepStrictEqual(most, { invoice: 1, email: 4 })
    }).pipe(Effect.provide(Testing.layer(types, processors)))
  })

  it.effect("maxRetries: the submission before the configuration, the type and the default", () =>
    Effect.gen(function* () {
      const orders = yield* platform
      const maxRetries = (parts: { readonly maxRetries?: number } = {}) =>
        Effect.gen(function* () {
          const id = yield* orders.submit({ type: "invoice", payload: { cents: 1 }, ...parts })
          return (yield* orders.find(id)).maxRetries
        })
      assert.deepStrictEqual([yield* maxRetries({ maxRetries: 9 }), yield* maxRetries()], [9, 5])
      assert.strictEqual((yield* orders.find(yield* submitEmail())).maxRetries, 4)
    }).pipe(
      Effect.provide(
        OrderPlatform.layer(types).pipe(
          Layer.provide(Layer.merge(Memory.layer, Layer.succeed(DefaultMaxRetries, 4)))
        )
      )
    )
  )

  it.effect("a setting of the configuration wins over that of the type, field by field", () => {
    const invoices = Testing.scriptedProcessor(invoice, new RetryableFailure({ reason: "no" }))
    const emails = Testing.scriptedProcessor(email, "completes")
    const settings = configured({ invoice: { maxRetries: 3, retryPolicy: { delay: Duration.seconds(60) } } })
    return Effect.gen(function* () {
      const id = yield* submitInvoice()
      yield* Testing.drain
      assert.deepStrictEqual(
        (yield* timesOf(id)).filter(([event]) => event !== "started"),
        [
          ["created", 0],
          ["retried", 0],
          ["retried", 60],
          ["failed", 120]
        ]
      )
    }).pipe(
      Effect.provide(
        Testing.layer(types, Layer.merge(invoices.layer, emails.layer)).pipe(Layer.provide(settings))
      )
    )
  })

  it.effect("a worker takes only the types that it was made for", () => {
    const emails = Testing.scriptedProcessor(email, "completes")
    const worker = OrderWorker.layer(email).pipe(Layer.provide(emails.layer))
    return Effect.gen(function* () {
      const orders = yield* platform
      const [bill, mail] = [yield* submitInvoice(), yield* submitEmail()]
      yield* pass("1 minute")
      assert.strictEqual((yield* orders.find(mail)).status, "PROCESSED")
      assert.strictEqual((yield* orders.find(bill)).status, "PENDING")
    }).pipe(
      Effect.provide(
        worker.pipe(Layer.provideMerge(OrderPlatform.layer(types)), Layer.provideMerge(Memory.layer))
      )
    )
  })
})

describe("an order of a type without a processor", () => {
  // A store must return only orders of the types that the claim names.
  const careless = Layer.effect(
    WorkStore,
    Effect.map(WorkStore, (store) => ({
      ...store,
      claim: (request: ClaimRequest) => {
        const { types: _, ...anyType } = request
        return store.claim(anyType)
      }
    }))
  ).pipe(Layer.provideMerge(Memory.layer))

  it.effect("becomes a dead letter without running, if a store returned it nevertheless", () => {
    const emails = Testing.scriptedProcessor(email, "completes")
    return Effect.gen(function* () {
      const id = yield* submitInvoice()
      yield* pass("1 second")
      const { reason, reasonCode } = yield* (yield* platform).deadLetter(id)
      assert.deepStrictEqual(
        [reasonCode, reason],
        ["UNDECODABLE", 'This worker has no processor for the type "invoice".']
      )
      assert.isEmpty(emails.attempts)
    }).pipe(
      Effect.provide(
        OrderWorker.layer(email).pipe(
          Layer.provide(emails.layer),
          Layer.provideMerge(OrderPlatform.layer(types)),
          Layer.provide(careless)
        )
      )
    )
  })
})

describe("a submission", () => {
  const submitted = Effect.map(OrderPlatform.service(types), ({ submit, submitMany }) => ({
    // A caller without type checking.
    submit: submit as (submission: unknown) => Effect.Effect<unknown, { readonly message: string }>,
    submitMany
  }))
  const provided = Effect.provide(OrderPlatform.layer(types).pipe(Layer.provideMerge(Memory.layer)))

  it.effect("of a type that the platform does not have is refused at its type", () =>
    Effect.gen(function* () {
      const { submit, submitMany } = yield* submitted
      for (const wrong of [{ type: "parcel", payload: {} }, { payload: { cents: 1 } }]) {
        const error = yield* Effect.flip(submit(wrong))
        assert.include(error.message, "Expected one of the types invoice, email")
        assert.include(error.message, '["type"]')
        const { answer } = yield* submitMany([wrong as never])
        const [refused] = answer
        assert(refused?._tag === "Failure" && refused.failure._tag === "SubmissionRefused")
        assert.deepStrictEqual(refused.failure.issues, [
          { path: ["type"], message: "Expected one of the types invoice, email" }
        ])
      }
    }).pipe(provided)
  )

  it.effect("with the payload of another type is refused at its payload", () =>
    Effect.gen(function* () {
      const { submit } = yield* submitted
      const error = yield* Effect.flip(submit({ type: "email", payload: { cents: 1 } }))
      assert.include(error.message, '["payload"]["sentAt"]')
    }).pipe(provided)
  )

  it.effect("may have any type where one type stands for all, but only a valid one", () =>
    Effect.gen(function* () {
      const { find, submit } = yield* OrderPlatform.service(anyJsonObject)
      const typeOf = (type?: string) =>
        Effect.gen(function* () {
          const id = yield* submit({ payload: {}, ...(type !== undefined && { type }) })
          return (yield* find(id)).type
        })
      assert.deepStrictEqual([yield* typeOf(), yield* typeOf("anything")], ["default", "anything"])
      const error = yield* Effect.flip(submit({ payload: {}, type: "Invoice" }))
      assert.include(error.message, "1 to 64 of the characters a-z 0-9 . _ -")
    }).pipe(Effect.provide(OrderPlatform.layer(anyJsonObject).pipe(Layer.provideMerge(Memory.layer))))
  )
})
