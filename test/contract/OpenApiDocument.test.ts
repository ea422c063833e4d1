import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { DeadLetter } from "../../src/domain/DeadLetter.ts"
import * as OrderPayload from "../../src/domain/OrderPayload.ts"
import { OrderType } from "../../src/domain/OrderType.ts"
import { OrderTypes } from "../../src/domain/OrderTypes.ts"
import { DeadLetterWithAttempts } from "../../src/contract/DeadLettersEndpoints.ts"
import { makeOrderApi } from "../../src/contract/OrderApi.ts"
import { OrderListing } from "../../src/contract/OrderListing.ts"
import { AcceptedOrder } from "../../src/contract/AcceptedOrder.ts"
import { AuditEntryView } from "../../src/contract/AuditEndpoints.ts"
import { MarkFixedBody } from "../../src/contract/FailureGroupsEndpoints.ts"
import { FailureGroup } from "../../src/domain/FailureGroup.ts"
import { GroupLimitsBody, GroupView } from "../../src/contract/GroupsEndpoints.ts"
import { CancelBody } from "../../src/contract/OrderControlEndpoints.ts"
import { Timeline } from "../../src/contract/OrdersEndpoints.ts"
import { PauseBody, ResumeBody, WorkersView } from "../../src/contract/WorkersEndpoints.ts"
import { OrderView } from "../../src/contract/OrderView.ts"
import { StatsView } from "../../src/contract/StatsEndpoints.ts"
import { submitOrderBody } from "../../src/contract/SubmitOrderBody.ts"
import { SubmittedOrders, submitOrdersBody } from "../../src/contract/SubmitOrdersBody.ts"

interface Media {
  readonly schema: {
    readonly type?: string
    readonly $ref?: string
    readonly anyOf?: ReadonlyArray<{ readonly $ref: string }>
  }
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: { readonly type: string } }>>
}
interface Operation {
  readonly operationId: string
  readonly parameters: ReadonlyArray<{ readonly name?: string; readonly in?: string }>
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>
}
interface ProblemSchema {
  readonly description?: string
  readonly properties?: { readonly type?: { readonly enum?: ReadonlyArray<string> } }
  readonly examples?: ReadonlyArray<{ readonly status: number }>
}

const documentOf = <T>(types: OrderTypes<T>) => {
  const spec = OpenApi.fromApi(makeOrderApi(types))
  const operations = Object.values(spec.paths).flatMap((it) => Object.values(it)) as unknown
  return {
    text: JSON.stringify(spec),
    schemas: spec.components.schemas as unknown as Readonly<Record<string, ProblemSchema>>,
    operations: operations as ReadonlyArray<Operation>
  }
}

const { operations, schemas, text } = documentOf(OrderPayload.anyJsonObject)

const operation = (id: string) => operations.find((it) => it.operationId === id) ?? assert.fail(id)

const types =
  "not-found invalid-request idempotency-mismatch not-in-dlq conflict version-mismatch unauthorized forbidden overloaded unavailable method-not-allowed not-acceptable too-large unsupported-media-type internal"

describe("the OpenAPI document", () => {
  it("describes every type of problem, with an example, in the responses with its status", () => {
    const described = Object.entries(schemas).flatMap(([name, { properties }]) =>
      (properties?.type?.enum ?? []).map((type) => [name, type] as const)
    )
    const urns = new Set(described.map(([, type]) => type.replace("urn:order-platform:", "")))
    assert.deepStrictEqual([...urns].sort(), types.split(" ").sort())
    for (const [name] of described) {
      const { description, examples } = schemas[name] ?? {}
      assert.isNotEmpty(description, name)
      const status = examples?.[0]?.status ?? assert.fail(name)
      const given = operations.flatMap(({ responses }) =>
        Object.entries(responses).filter(([, { content }]) => {
          const { $ref, anyOf = [] } = content?.["application/problem+json"]?.schema ?? {}
          return [$ref, ...anyOf.map((it) => it.$ref)].includes(`#/components/schemas/${name}`)
        })
      )
      assert.isNotEmpty(given, name)
      // Problems about paths and methods outside the document are under "default".
      const expected = name === "NoSuchPath" || name === "MethodNotAllowed" ? "default" : String(status)
      for (const [at] of given) assert.strictEqual(at, expected, name)
    }
  })

  it("has an example of every request and response body", () => {
    for (const { operationId, requestBody, responses } of operations) {
      const bodies = [requestBody?.content, ...Object.values(responses).map(({ content }) => content)]
      for (const [type, { example, examples }] of bodies.flatMap((content) => Object.entries(content ?? {})))
        assert.isDefined(example ?? Object.values(examples ?? {})[0], `${operationId} ${type}`)
    }
  })

  it("has examples that the schemas of the endpoints accept", () => {
    const answers: Readonly<Record<string, Schema.Codec<unknown, unknown>>> = {
      "orders.submit": AcceptedOrder,
      "orders.submitMany": SubmittedOrders,
      "orders.list": OrderListing,
      "orders.get": OrderView,
      "orders.explain": Timeline,
      "orders.cancel": AcceptedOrder,
      "orders.run": AcceptedOrder,
      "workers.get": WorkersView,
      "workers.pause": WorkersView,
      "workers.resume": WorkersView,
      "groups.list": Schema.Array(GroupView),
      "groups.set": GroupView,
      "audit.list": Schema.Array(AuditEntryView),
      "deadLetters.list": Schema.Array(DeadLetter),
      "deadLetters.get": DeadLetterWithAttempts,
      "deadLetters.reprocess": AcceptedOrder,
      "failureGroups.list": Schema.Array(FailureGroup),
      "failureGroups.markFixed": FailureGroup,
      "stats.get": StatsView
    }
    const strictly = { onExcessProperty: "error" } as const
    for (const [id, schema] of Object.entries(answers)) {
      const { responses } = operation(id)
      const { content } = responses["200"] ?? responses["202"] ?? {}
      Schema.decodeUnknownSync(schema, strictly)(content?.["application/json"]?.example)
    }
    const order = submitOrderBody(OrderPayload.anyJsonObject)
    const bodyOf = (id: string) => operation(id).requestBody?.content["application/json"]?.example
    Schema.decodeUnknownSync(order, strictly)(bodyOf("orders.submit"))
    Schema.decodeUnknownSync(submitOrdersBody(order), strictly)(bodyOf("orders.submitMany"))
    Schema.decodeUnknownSync(CancelBody, strictly)(bodyOf("orders.cancel"))
    Schema.decodeUnknownSync(ResumeBody, strictly)(bodyOf("workers.resume"))
    Schema.decodeUnknownSync(MarkFixedBody, strictly)(bodyOf("failureGroups.markFixed"))
    Schema.decodeUnknownSync(GroupLimitsBody, strictly)(bodyOf("groups.set"))
    // The example's time is no longer in the future, so it is not decoded.
    const { resumeAt, ...pause } = bodyOf("workers.pause") as Record<string, unknown>
    assert.isString(resumeAt)
    Schema.decodeUnknownSync(PauseBody, strictly)(pause)
  })

  it("has the example payload of the app's schema, or none", () => {
    const Coffee = Schema.Struct({ shots: Schema.Int }).annotate({ identifier: "Coffee" })
    const exampleFor = <P>(schema: Schema.Codec<P, Schema.JsonObject>) =>
      documentOf(OrderPayload.make(schema)).operations.find((it) => it.operationId === "orders.submit")
        ?.requestBody?.content["application/json"]?.example
    assert.notProperty(exampleFor(Coffee), "payload")
    assert.deepNestedInclude(exampleFor(Coffee.annotate({ examples: [{ shots: 2 }] })), {
      payload: { shots: 2 }
    })
  })

  it("describes an order of several types as exactly one of them, each with its name and payload", () => {
    const Coffee = Schema.Struct({ shots: Schema.Int }).annotate({ examples: [{ shots: 2 }] })
    const types = OrderTypes.make(
      OrderType.make("coffee", Coffee),
      OrderType.make("tea", Schema.Struct({ leaves: Schema.String }))
    )
    const { operations, schemas } = documentOf(types)
    assert.deepStrictEqual(schemas["SubmitOrder"] as unknown, {
      oneOf: ["coffee", "tea"].map((name) => ({ $ref: `#/components/schemas/SubmitOrder.${name}` }))
    })
    const { properties, required } = schemas["SubmitOrder.tea"] as unknown as {
      readonly properties: Readonly<Record<string, unknown>>
      readonly required: ReadonlyArray<string>
    }
    assert.deepStrictEqual(required, ["type"])
    assert.deepStrictEqual(properties["type"], { type: "string", enum: ["tea"] })
    assert.nestedProperty(properties["payload"], "properties.leaves")
    const example = operations.find((it) => it.operationId === "orders.submit")?.requestBody?.content[
      "application/json"
    ]?.example
    assert.deepNestedInclude(example, { type: "coffee", payload: { shots: 2 } })
    Schema.decodeUnknownSync(submitOrderBody(types), { onExcessProperty: "error" })(example)
  })

  it("shows the event stream as it is on the wire, and how to resume it", () => {
    const { parameters, responses } = operation("orders.watch")
    assert.isTrue(parameters.some((it) => it.name === "Last-Event-ID" && it.in === "header"))
    const { example, schema } = responses["200"]?.content?.["text/event-stream"] ?? assert.fail("no stream")
    assert.include(schema, { type: "string" })
    assert.match(String(example), /^id: 1\nevent: created\ndata: \{.*\}\n\nid: 2\n/)
    assert.notInclude(text, "x-effect-stream")
    assert.notInclude(text, "Encoded")
  })
})
