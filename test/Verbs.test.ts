import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { HttpApi } from "effect/http-api"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { makeOrderApi } from "../src/contract/OrderApi.ts"
import { OrderEventName } from "../src/domain/OrderEvent.ts"
import * as OrderPayload from "../src/domain/OrderPayload.ts"
import * as Memory from "../src/infrastructure/memory/Memory.ts"
import { functions } from "../src/infrastructure/postgres/functions/Functions.ts"
import { type Verb, verbs, verbTable } from "./Verbs.ts"

const all: ReadonlyArray<readonly [string, Verb]> = Object.entries(verbs)
const read = (file: string) =>
  fs.readFileSync(path.join(fileURLToPath(new URL("..", import.meta.url)), file), "utf8")
const source = (file: string) => read(path.join("src", file))
const isNamedAfter = (verb: string, file: string) =>
  path.basename(file).toLowerCase().startsWith(verb.toLowerCase())

/** The methods of the endpoints, and their methods and paths. */
const endpoints = new Map<string, string>()
const calls = new Map<string, string>()
HttpApi.reflect(makeOrderApi(OrderPayload.anyJsonObject), {
  onGroup: () => {},
  onEndpoint: ({ endpoint, group }) => {
    const name = `${group.identifier}.${endpoint.identifier}`
    endpoints.set(name, endpoint.method)
    calls.set(name, `${endpoint.method} ${endpoint.path.replace(/:(\w+)/g, "{$1}")}`)
  }
})

/** Endpoints that change a setting or a mark, and no order. */
const settings = ["groups.set", "groups.delete", "failureGroups.markFixed"]

describe("the verbs", () => {
  it("name their endpoint, and every endpoint that changes more than a setting has a verb", () => {
    const named = all.flatMap(([verb, { endpoints }]) =>
      endpoints.map((endpoint) => [verb, endpoint] as const)
    )
    for (const [verb, endpoint] of named) {
      assert.isTrue(endpoints.has(endpoint), `${endpoint} is in the contract`)
      assert.isTrue(endpoint.split(".")[1]?.startsWith(verb), `${endpoint} is named ${verb}`)
    }
    const changing = [...endpoints].filter(([, method]) => method !== "GET").map(([endpoint]) => endpoint)
    assert.includeMembers([...named.map(([, endpoint]) => endpoint), ...settings], changing)
  })

  it("name their platform method, application file and statement file", () => {
    for (const [verb, { application, platform, postgres, shares = verb }] of all) {
      if (platform !== null) assert.strictEqual(platform, verb)
      assert.isTrue(isNamedAfter(verb, application), `${application} is named ${verb}`)
      assert.isTrue(isNamedAfter(shares, postgres), `${postgres} is named ${shares}`)
      for (const file of [application, postgres]) assert.include(source(file), "export const", file)
    }
  })

  it.effect("have a port member in both adapters, with their name unless they read", () =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(Memory.layerStores)
      for (const [verb, { memory: inMemory, port, postgres }] of all) {
        assert.isFunction(Context.getUnsafe(memory, port.store)[port.member], `${port.port}.${port.member}`)
        if (port.port !== "OrderReads" && verb !== "release") assert.strictEqual(port.member, verb)
        assert.match(source(inMemory), new RegExp(`\\b${port.member}[:,]`), inMemory)
        const store = path.join(path.dirname(postgres), `Postgres${port.port}.ts`)
        assert.match(source(store), new RegExp(`\\b${port.member}:`), store)
        assert.include(source(store), `"./${path.basename(postgres)}"`, store)
      }
    })
  )

  it("name their SQL function, which migrate creates and their statement calls", () => {
    for (const [verb, { postgres, sqlFunction }] of all) {
      if (sqlFunction === null) continue
      assert.match(sqlFunction.name, /^order_platform_[a-z]+_v\d+$/)
      if (verb !== "release") assert.include(sqlFunction.name, verb)
      assert.include(functions, sqlFunction)
      assert.match(source(postgres), /from "\.\.\/functions\//)
    }
  })

  it("write each event in exactly one place, whose SQL names it", () => {
    const written = all.flatMap(([, { events }]) => events)
    assert.sameMembers(written, [...OrderEventName.literals])
    for (const [, { events, postgres, sqlFunction }] of all)
      for (const event of events) {
        // Settle gets the event as a parameter.
        const sql = sqlFunction === null ? source(postgres) : sqlFunction.create('"s"')
        if (event !== "snoozed") assert.include(sql, `'${event}'`, postgres)
      }
  })

  it("have routes that call the platform's method", () => {
    for (const [, { platform, routes }] of all)
      if (routes !== null && platform !== null)
        assert.match(source(routes), new RegExp(`\\.${platform}(Many)?\\b`), routes)
  })

  it("are the table of ARCHITECTURE.md", () => {
    const [, table = ""] = read("ARCHITECTURE.md").split(/<!-- \/?verbs -->/)
    // The formatter aligns the columns.
    const plain = (text: string) => text.replaceAll(/-{3,}/g, "---").replaceAll(/ +/g, " ").trim()
    assert.strictEqual(plain(table), plain(verbTable(calls)))
  })
})
