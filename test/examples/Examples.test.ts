import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/infrastructure/postgres/Postgres.ts"
import type { Programs } from "../BundledProgram.ts"
import { compileCache, databaseUrl, programs } from "../TestPostgres.ts"
import { eventually, type ExampleProcess, freePort, start } from "./ExampleProcess.ts"
import { shopScenario } from "./shopScenario.ts"

const run = (
  example: keyof Programs["examples"],
  environment: Readonly<Record<string, string>> = {},
  given: ReadonlyArray<string> = []
) =>
  Effect.acquireRelease(
    Effect.sync((): ExampleProcess =>
      start([...programs().exampleOptions, programs().examples[example], ...given], {
        ...compileCache,
        ...environment
      })
    ),
    ({ stop }) => Effect.promise(stop)
  )

const client = Layer.suspend(() =>
  Postgres.layerClient({
    url: Redacted.make(databaseUrl()),
    maxConnections: 1,
    prepare: true,
    acquireTimeout: Duration.seconds(5),
    statementTimeout: Duration.seconds(15)
  })
)

/** A new database, since the examples use the schema public as apps do. */
const database = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const name = `example_${globalThis.crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`
  yield* Effect.acquireRelease(sql`CREATE DATABASE ${sql(name)}`, () =>
    Effect.ignore(sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`)
  )
  const url = new URL(databaseUrl())
  url.pathname = name
  return url.href
})

const inDatabase = <A, E>(
  test: (url: string) => Effect.Effect<A, E, Effect.Services<ReturnType<typeof run>>>
) => Effect.flatMap(database, test).pipe(Effect.scoped, Effect.provide(client))

describe("the examples", { concurrent: true }, () => {
  it.live("coffee.ts processes an order in memory and exits", () =>
    Effect.gen(function* () {
      const coffee = yield* run("coffee")
      assert.strictEqual(yield* Effect.promise(() => coffee.ended), 0, coffee.output())
      assert.strictEqual(
        coffee.output(),
        "one flat white, please\nthe order is PROCESSED after 3 transitions\n"
      )
    })
  )

  it.live("office.ts processes orders of two types, each by its processor", () =>
    Effect.gen(function* () {
      const office = yield* run("office")
      assert.strictEqual(yield* Effect.promise(() => office.ended), 0, office.output())
      assert.strictEqual(office.output(), "ann owes 1200 cents\nto ann: your invoice\n")
    })
  )

  it.live("shop/ embeds platform, worker and routes in its own router and database", () =>
    inDatabase((DATABASE_URL) =>
      Effect.gen(function* () {
        const PORT = String(yield* Effect.promise(freePort))
        const shop = yield* run("shop/main", { DATABASE_URL, PORT })
        yield* Effect.promise(() => shopScenario(`http://127.0.0.1:${PORT}`, shop.output))
      })
    )
  )

  it.live("two-processes/ accepts orders in one process and processes them in another", () =>
    inDatabase((DATABASE_URL) =>
      Effect.gen(function* () {
        const PORT = String(yield* Effect.promise(freePort))
        const url = `http://127.0.0.1:${PORT}/orders`
        const api = yield* run("two-processes/api", { DATABASE_URL, PORT })
        const worker = yield* run("two-processes/worker", { DATABASE_URL })
        const output = () => `${api.output()}${worker.output()}`
        const body = JSON.stringify({ payload: { drink: "latte", cups: 2 } })
        const init = () => ({
          signal: AbortSignal.timeout(2000),
          method: "POST",
          headers: { "content-type": "application/json" },
          body
        })
        const { orderId } = yield* Effect.promise(() =>
          eventually(
            async () => (await (await fetch(url, init())).json()) as { readonly orderId?: string },
            output
          )
        )
        const order = yield* Effect.promise(() =>
          eventually(async () => {
            const order = (await (await fetch(`${url}/${orderId}`)).json()) as Record<string, unknown>
            return order["status"] === "PROCESSED" ? order : undefined
          }, output)
        )
        assert.deepStrictEqual([order["retryCount"], order["failureReason"]], [1, "still grinding"])
        assert.include(worker.output(), "brewed 2 latte")
        const customer = yield* run("two-processes/customer", {}, [`http://127.0.0.1:${PORT}`])
        assert.strictEqual(yield* Effect.promise(() => customer.ended), 0, customer.output())
        assert.deepStrictEqual(customer.output().trim().split("\n"), [
          "attempt 1: created, PENDING",
          "attempt 1: started, PROCESSING",
          "attempt 1: retried, PENDING: still grinding",
          "attempt 2: started, PROCESSING",
          "attempt 2: completed, PROCESSED"
        ])
      })
    )
  )
})
