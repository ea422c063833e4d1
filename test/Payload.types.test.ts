import { assert, describe, it } from "@effect/vitest"
import { type Context, DateTime, Effect, Layer, Schema } from "effect"
import { expectTypeOf } from "vitest"
import { OrderPlatform } from "../src/application/OrderPlatform.ts"
import { OrderWorker } from "../src/application/work/OrderWorker.ts"
import {
  type Attempt,
  OrderProcessor,
  PermanentFailure,
  RetryableFailure,
  Snooze
} from "../src/application/ports/OrderProcessor.ts"
import { OrderReads } from "../src/application/ports/OrderReads.ts"
import type { WorkStore } from "../src/application/ports/WorkStore.ts"
import type { WakeUp } from "../src/application/ports/WakeUp.ts"
import * as OrderPayload from "../src/domain/OrderPayload.ts"
import { OrderRoutes } from "../src/infrastructure/http/routes/OrderRoutes.ts"
import * as Memory from "../src/infrastructure/memory/Memory.ts"
import { pass } from "./VirtualTime.ts"

// The payload's schema is a type parameter of every part of an app. `tsc --noEmit` runs most of these tests: each line
// below an @ts-expect-error must be refused, each expectTypeOf must hold. Effect's own diagnostics refuse the same
// lines ("Missing 'OrderProcessor<…>' in the expected Layer context"); they know no expected errors, so they are off
// here: @effect-diagnostics missingEffectError:off missingLayerContext:off

const coffee = OrderPayload.make(Schema.Struct({ drink: Schema.String, cups: Schema.Int }))
type Coffee = typeof coffee.schema.Type

/** It is stored as a string; its processor gets a time. */
const parcel = OrderPayload.make(Schema.Struct({ sentAt: Schema.DateTimeUtcFromString }), { version: 7 })
type Parcel = typeof parcel.schema.Type

const brew = (_attempt: Attempt<Coffee>) => Effect.void
const deliver = (_attempt: Attempt<Parcel>) => Effect.void

describe("Payload", () => {
  it("submit accepts only the decoded type of the schema", () => {
    expectTypeOf<Parcel>().toEqualTypeOf<{ readonly sentAt: DateTime.Utc }>()
    const check = (
      coffees: OrderPlatform<{ default: Coffee }>,
      parcels: OrderPlatform<{ default: Parcel }>,
      now: DateTime.Utc
    ) => {
      const right = [
        coffees.submit({ payload: { drink: "espresso", cups: 1 } }),
        parcels.submit({ payload: { sentAt: now } })
      ]
      // @ts-expect-error cups is a number
      const wrongType = coffees.submit({ payload: { drink: "espresso", cups: "one" } })
      // @ts-expect-error cups are missing
      const missing = coffees.submit({ payload: { drink: "espresso" } })
      // @ts-expect-error the encoded form is only for the store
      const encoded = parcels.submit({ payload: { sentAt: "2026-11-22T12:00:00Z" } })
      // @ts-expect-error a coffee is not a parcel
      const other = parcels.submit({ payload: { drink: "espresso", cups: 1 } })
      // @ts-expect-error a payload with a schema is required
      const none = coffees.submit({})
      return [right, wrongType, missing, encoded, other, none]
    }
    assert.isFunction(check)
  })

  it("a processor gets its payload decoded", () => {
    expectTypeOf<Attempt<Parcel>["payload"]["sentAt"]>().toEqualTypeOf<DateTime.Utc>()
    // @ts-expect-error a processor of coffees does not process parcels
    const wrong = OrderProcessor.layer(parcel, brew)
    assert.isDefined(wrong)
  })

  it("a processor with an error that is not classified does not compile", () => {
    class NoBeans extends Schema.TaggedError<NoBeans>()("NoBeans", {}) {}
    const classified = OrderProcessor.layer(coffee, ({ attempt }) =>
      attempt === 1
        ? Effect.fail(
            new Snooze({ delay: DateTime.distance(DateTime.makeUnsafe(0), DateTime.makeUnsafe(1)) })
          )
        : Effect.fail(
            attempt === 2 ? new RetryableFailure({ reason: "" }) : new PermanentFailure({ reason: "" })
          )
    )
    expectTypeOf(classified).toEqualTypeOf<Layer.Layer<OrderProcessor<"default", Coffee>>>()
    // @ts-expect-error the error does not say whether to retry
    const unclassified = OrderProcessor.layer(coffee, () => Effect.fail(new NoBeans()))
    assert.isDefined(unclassified)
  })

  it("the services that a processor needs are requirements of its layer", () => {
    interface Grinder {
      readonly grind: Effect.Effect<void>
    }
    const grinder = null as unknown as Context.Service<Grinder, Grinder>
    const layer = () => OrderProcessor.layer(coffee, () => Effect.flatMap(grinder, ({ grind }) => grind))
    expectTypeOf<Layer.Services<ReturnType<typeof layer>>>().toEqualTypeOf<Grinder>()
  })

  it("a missing processor is named with its payload in the error", () => {
    const worker = OrderWorker.layer(coffee)
    expectTypeOf<Layer.Services<typeof worker>>().toEqualTypeOf<
      OrderProcessor<"default", Coffee> | WorkStore | WakeUp
    >()
    const missing = worker.pipe(Layer.provide(Memory.layer))
    expectTypeOf<Layer.Services<typeof missing>>().toEqualTypeOf<OrderProcessor<"default", Coffee>>()
    // @ts-expect-error Type 'OrderProcessor<"default", { readonly drink: string; readonly cups: number; }>' is not assignable to 'never'
    const complete: Layer.Layer<OrderWorker> = missing
    assert.isDefined(complete)
  })

  it("a processor or platform of another payload is not accepted", () => {
    const worker = OrderWorker.layer(coffee).pipe(
      Layer.provide(OrderProcessor.layer(parcel, deliver)),
      Layer.provide(Memory.layer)
    )
    expectTypeOf<Layer.Services<typeof worker>>().toEqualTypeOf<OrderProcessor<"default", Coffee>>()
    // @ts-expect-error the worker still needs a processor of coffees
    const complete: Layer.Layer<OrderWorker> = worker

    const routes = OrderRoutes.layer(coffee).pipe(Layer.provide(OrderPlatform.layer(parcel)))
    expectTypeOf<OrderPlatform<{ default: Coffee }>>().toExtend<Layer.Services<typeof routes>>()
    expectTypeOf<OrderPlatform<{ default: Parcel }>>().not.toExtend<Layer.Services<typeof routes>>()
    assert.isDefined([complete, routes])
  })

  it.effect("two payloads are encoded in the store and decoded in their processors", () => {
    const app = <P>(payload: OrderPayload.OrderPayload<P>, seen: Array<P>) =>
      OrderWorker.layer(payload).pipe(
        Layer.provide(
          OrderProcessor.layer(payload, (attempt) => Effect.sync(() => void seen.push(attempt.payload)))
        ),
        Layer.provideMerge(OrderPlatform.layer(payload)),
        Layer.provideMerge(Memory.layer)
      )

    // Submits and processes one order of this payload; returns what was stored.
    const wayOf = <P>(payload: OrderPayload.OrderPayload<P>, value: P, seen: Array<P>) =>
      Effect.gen(function* () {
        const platform = yield* OrderPlatform.service(payload)
        const id = yield* platform.submit({ payload: value })
        yield* pass("100 millis")
        return yield* (yield* OrderReads).find(id)
      }).pipe(Effect.provide(app(payload, seen)))

    return Effect.gen(function* () {
      const brewed: Array<Coffee> = []
      const espresso = { drink: "espresso", cups: 2 }
      const first = yield* wayOf(coffee, espresso, brewed)
      assert.deepStrictEqual([first.status, first.payload, first.payloadVersion], ["PROCESSED", espresso, 1])
      assert.deepStrictEqual(brewed, [espresso])

      const delivered: Array<Parcel> = []
      const sentAt = DateTime.makeUnsafe("2026-11-22T12:00:00Z")
      const second = yield* wayOf(parcel, { sentAt }, delivered)
      const stored = { sentAt: "2026-11-22T12:00:00.000Z" }
      assert.deepStrictEqual([second.status, second.payload, second.payloadVersion], ["PROCESSED", stored, 7])
      assert.deepStrictEqual(delivered, [{ sentAt }])
    })
  })
})
