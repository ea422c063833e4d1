import { assert, describe, it } from "@effect/vitest"
import { type DateTime, Effect, Layer, Schema } from "effect"
import { expectTypeOf } from "vitest"
import type { Submission } from "../src/application/intake/Submission.ts"
import { OrderPlatform } from "../src/application/OrderPlatform.ts"
import { type Attempt, OrderProcessor } from "../src/application/ports/OrderProcessor.ts"
import type { WakeUp } from "../src/application/ports/WakeUp.ts"
import type { WorkStore } from "../src/application/ports/WorkStore.ts"
import { OrderWorker } from "../src/application/work/OrderWorker.ts"
import type { OrderClient } from "../src/contract/OrderClient.ts"
import * as OrderPayload from "../src/domain/OrderPayload.ts"
import { OrderType } from "../src/domain/OrderType.ts"
import { OrderTypes } from "../src/domain/OrderTypes.ts"
import * as Testing from "../src/testing.ts"

// The set of order types is a type parameter of every part of an app. As in Payload.types.test.ts, `tsc --noEmit` runs
// most of these tests: @effect-diagnostics missingEffectError:off missingLayerContext:off

const invoice = OrderType.make("invoice", Schema.Struct({ cents: Schema.Int }))
const email = OrderType.make("email", Schema.Struct({ to: Schema.String, at: Schema.DateTimeUtcFromString }))
/** A type with the payload of another. */
const refund = OrderType.make("refund", Schema.Struct({ cents: Schema.Int }))
const plain = OrderPayload.make(Schema.Struct({ drink: Schema.String }))

const types = OrderTypes.make(invoice, email)
type Types = typeof types.Payloads

describe("OrderTypes", () => {
  it("a set has the decoded payload of each type under its name", () => {
    expectTypeOf<Types>().toEqualTypeOf<{
      readonly invoice: { readonly cents: number }
      readonly email: { readonly to: string; readonly at: DateTime.Utc }
    }>()
    expectTypeOf(OrderTypes.make(email, invoice).Payloads).toEqualTypeOf<Types>()
    expectTypeOf<(typeof plain)["Payloads"]>().toEqualTypeOf<{
      readonly default: { readonly drink: string }
    }>()
  })

  it("submit accepts only the payload of the type that the submission names", () => {
    const check = (orders: OrderPlatform<Types>, at: DateTime.Utc) => {
      const right = [
        orders.submit({ type: "invoice", payload: { cents: 1 } }),
        orders.submit({ type: "email", payload: { to: "ann", at }, orderingKey: "ann", group: "mails" }),
        orders.submitMany([
          { type: "invoice", payload: { cents: 1 } },
          { type: "email", payload: { to: "ann", at } }
        ])
      ]
      // @ts-expect-error an email has no cents
      const otherPayload = orders.submit({ type: "email", payload: { cents: 1 } })
      // @ts-expect-error there is no such type
      const otherType = orders.submit({ type: "parcel", payload: { cents: 1 } })
      // @ts-expect-error the type is missing
      const noType = orders.submit({ payload: { cents: 1 } })
      // @ts-expect-error it has the payload of another type
      const inBulk = orders.submitMany([{ type: "email", payload: { cents: 1 } }])
      return [right, otherPayload, otherType, noType, inBulk]
    }
    assert.isFunction(check)
  })

  it("the type may be omitted for the only type of a set and for the type default", () => {
    const check = (
      invoices: OrderPlatform<typeof invoice.Payloads>,
      both: OrderPlatform<{ default: { drink: string }; email: { to: string } }>
    ) => {
      const right = [
        invoices.submit({ payload: { cents: 1 } }),
        invoices.submit({ type: "invoice", payload: { cents: 1 } }),
        both.submit({ payload: { drink: "latte" } }),
        both.submit({ type: "default", payload: { drink: "latte" } }),
        both.submit({ type: "email", payload: { to: "ann" } })
      ]
      // @ts-expect-error it is the only type
      const otherType = invoices.submit({ type: "email", payload: { cents: 1 } })
      // @ts-expect-error without a type it is a drink
      const omitted = both.submit({ payload: { to: "ann" } })
      return [right, otherType, omitted]
    }
    assert.isFunction(check)
    expectTypeOf<Submission<typeof OrderPayload.anyJsonObject.Payloads>["type"]>().toEqualTypeOf<
      string | undefined
    >()
  })

  it("a worker needs the processors of exactly its types", () => {
    const worker = OrderWorker.layer(types)
    type Invoices = OrderProcessor<"invoice", { readonly cents: number }>
    type Emails = OrderProcessor<"email", Types["email"]>
    expectTypeOf<Layer.Services<typeof worker>>().toEqualTypeOf<Invoices | Emails | WorkStore | WakeUp>()
    const invoices = OrderProcessor.layer(invoice, () => Effect.void)
    const emails = OrderProcessor.layer(email, () => Effect.void)

    const one = Layer.provide(worker, invoices)
    expectTypeOf<Layer.Services<typeof one>>().toEqualTypeOf<Emails | WorkStore | WakeUp>()
    const all = Layer.provide(worker, [invoices, emails])
    expectTypeOf<Layer.Services<typeof all>>().toEqualTypeOf<WorkStore | WakeUp>()
    const subset = Layer.provide(OrderWorker.layer(email), emails)
    expectTypeOf<Layer.Services<typeof subset>>().toEqualTypeOf<WorkStore | WakeUp>()

    // A processor of another type with the same payload does not count.
    const refunds = Layer.provide(
      worker,
      OrderProcessor.layer(refund, () => Effect.void)
    )
    expectTypeOf<Layer.Services<typeof refunds>>().toEqualTypeOf<Invoices | Emails | WorkStore | WakeUp>()
    // @ts-expect-error the processor of emails is missing
    const inTests = Testing.layer(types, invoices)
    expectTypeOf(Testing.layer(types, Layer.merge(invoices, emails))).toExtend<
      Layer.Layer<OrderPlatform<Types>>
    >()
    assert.isDefined(inTests)
  })

  it("a processor gets the payload and the name of its type", () => {
    type Of<P> = P extends OrderProcessor<infer N, infer A> ? Attempt<A, N> : never
    type Emails = Of<Layer.Success<ReturnType<typeof emails>>>
    const emails = () => OrderProcessor.layer(email, ({ payload }) => Effect.log(payload.to))
    expectTypeOf<Emails["type"]>().toEqualTypeOf<"email">()
    expectTypeOf<Emails["payload"]>().toEqualTypeOf<Types["email"]>()
    // @ts-expect-error the payload is of another type
    const wrong = OrderProcessor.layer(invoice, ({ payload }) => Effect.log(payload.to))
    assert.isDefined(wrong)
  })

  it("a client submits only the types of its set", () => {
    const check = ({ orders }: OrderClient<Types>, at: DateTime.Utc) => {
      const headers = {}
      const right = orders.submit({ payload: { type: "email", payload: { to: "ann", at } }, headers })
      // @ts-expect-error an email has no cents
      const otherPayload = orders.submit({ payload: { type: "email", payload: { cents: 1 } }, headers })
      // @ts-expect-error there is no such type
      const otherType = orders.submit({ payload: { type: "parcel", payload: { cents: 1 } }, headers })
      return [right, otherPayload, otherType]
    }
    assert.isFunction(check)
  })

  it("a part that needs the platform of one set does not accept that of another", () => {
    expectTypeOf<OrderPlatform<Types>>().not.toExtend<OrderPlatform<typeof email.Payloads>>()
    expectTypeOf<OrderPlatform<typeof email.Payloads>>().not.toExtend<OrderPlatform<Types>>()
    const routes = Layer.provide(
      Layer.effectDiscard(OrderPlatform.service(email)),
      OrderPlatform.layer(types)
    )
    expectTypeOf<OrderPlatform<typeof email.Payloads>>().toExtend<Layer.Services<typeof routes>>()
  })
})
