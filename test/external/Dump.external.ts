import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { failure } from "../../src/domain/Failure.ts"
import { allStores } from "../../src/testing/AllStores.ts"
import { neededRights } from "../../src/infrastructure/postgres/client/ServerChecks.ts"
import { everyWay, fullCircle } from "../infrastructure/postgres/FullCircle.ts"
import { newOrder } from "../TestOrders.ts"
import { connected, ownServer } from "./OwnServer.ts"
import { storesOn } from "./StoresOn.ts"

const lease = Duration.minutes(10)

/** Orders in every state, with metadata, a discarded one, a dead letter, and a stored answer of an idempotency key. */
const fillStores = Effect.gen(function* () {
  const { control, deadLetters, intake, work } = yield* allStores
  yield* fullCircle
  const [dead, discarded] = [newOrder({ metadata: { shop: "COPY public.orders" } }), newOrder()]
  yield* intake.submit([dead, discarded])
  const { orders } = yield* work.claim({ worker: "w", max: 10, lease })
  for (const order of orders)
    yield* work.settle([
      { order, outcome: { event: "failed", failure: failure("PERMANENT", "no\nCOPY public.orders") } }
    ])
  yield* deadLetters.discard(discarded.id, { reason: "old" })
  const key = { scope: "shop POST /orders", key: "k", fingerprint: "f", requestId: crypto.randomUUID() }
  const scheduled = newOrder({
    payload: { text: "two\nlines\tand \\ 😀" },
    notBefore: DateTime.makeUnsafe("2050-01-01")
  })
  yield* intake.submit([newOrder()], [{ ...key, orders: [scheduled], answer: "{}", keepFor: lease }])
  yield* work.claim({ worker: "lost", max: 1, lease })
  // Orders of keys and groups: a head, one that waits behind it, and one that only the next claim examines; a closed
  // lane.
  const keyed = () => newOrder({ type: "parcel", group: "gold", orderingKey: "a\tb" })
  yield* intake.submit([keyed(), keyed(), newOrder({ type: "parcel", group: "silver" })])
  yield* control.setGroupLimits("gold", { maxRunning: 1, ratePerSecond: null, maxPending: null })
  yield* control.pause(
    { type: "parcel", group: "silver", reason: "stock", resumeAt: null },
    { by: "op", correlationId: null }
  )
  yield* work.claim({ worker: "lost", max: 10, lease, types: ["parcel"] })
  yield* intake.submit([newOrder({ group: "new", orderingKey: "new" }), newOrder({ group: "new" })])
})

const tables = Object.keys(neededRights).filter((table) => table !== "order_platform_migrations")

/** Every row, and the names of all other objects. */
const contentOf = Effect.fnUntraced(function* (url: string, schema: string) {
  const query = yield* connected(url)
  const ask = (statement: string) =>
    Effect.map(query(statement), (rows) => rows.map((row) => String(row["x"])))
  const rows = yield* Effect.forEach(tables, (table) =>
    ask(`SELECT t::text AS x FROM "${schema}".${table} t ORDER BY 1`)
  )
  const inSchema = `(SELECT oid FROM pg_namespace WHERE nspname = '${schema}')`
  return {
    rows,
    places: yield* ask(`SELECT last_value AS x FROM "${schema}".order_places`),
    functions: yield* ask(`SELECT proname AS x FROM pg_proc WHERE pronamespace = ${inSchema} ORDER BY 1`),
    triggers: yield* ask(
      `SELECT concat(tgname, ' ', tgenabled) AS x FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = ${inSchema} ORDER BY 1`
    ),
    indexes: yield* ask(
      `SELECT relname AS x FROM pg_class WHERE relkind = 'i' AND relnamespace = ${inSchema} ORDER BY 1`
    )
  }
})

/** A server with orders in one database, and a second one to restore into. */
const withDump = Effect.gen(function* () {
  const server = yield* ownServer()
  yield* Effect.provide(fillStores, storesOn(server.url))
  yield* server.query("CREATE DATABASE restored")
  const before = yield* contentOf(server.url, "public")
  assert.isTrue(before.rows.every((of) => of.length > 0))
  const url = server.url.replace(/postgres$/, "restored")
  const run = (program: string, ...args: ReadonlyArray<string>) =>
    Effect.promise(() => server.run(program, args))
  return { url, from: server.url, before, run, file: join(server.data, "..", "dump") }
})

/** Checks that the content is the same, and that a new order takes its full circle. */
const assertRestored = Effect.fnUntraced(function* (
  { before, url }: Effect.Success<typeof withDump>,
  schema = "public"
) {
  assert.deepStrictEqual(yield* contentOf(url, schema), before)
  assert.deepStrictEqual(yield* Effect.provide(fullCircle, storesOn(url, schema)), everyWay)
})

describe("a dump", () => {
  it.live("of the whole database, in the custom format, is restored", () =>
    Effect.gen(function* () {
      const dump = yield* withDump
      const { file, from, run, url } = dump
      yield* run("pg_dump", "-Fc", "-d", from, "-f", file)
      yield* run("pg_restore", "--exit-on-error", "-d", url, file)
      yield* assertRestored(dump)
    }).pipe(Effect.scoped)
  )

  it.live("of the whole database, as SQL, is restored", () =>
    Effect.gen(function* () {
      const dump = yield* withDump
      const { file, from, run, url } = dump
      yield* run("pg_dump", "-d", from, "-f", file)
      yield* run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", file)
      yield* assertRestored(dump)
    }).pipe(Effect.scoped)
  )

  it.live("of the data is restored into migrated tables", () =>
    Effect.gen(function* () {
      const dump = yield* withDump
      const { file, from, run, url } = dump
      yield* Effect.provide(SqlClient.SqlClient, storesOn(url))
      yield* run(
        "pg_dump",
        "-Fc",
        "-a",
        "-n",
        "public",
        "-T",
        "*.order_platform_migrations",
        "-d",
        from,
        "-f",
        file
      )
      yield* run("pg_restore", "--exit-on-error", "-a", "--disable-triggers", "-1", "-d", url, file)
      yield* assertRestored(dump)
    }).pipe(Effect.scoped)
  )

  it.live("of the data is restored into migrated tables in another schema", () =>
    Effect.gen(function* () {
      const dump = yield* withDump
      const { file, from, run, url } = dump
      yield* Effect.provide(SqlClient.SqlClient, storesOn(url, "shop"))
      const options = ["-a", "--disable-triggers", "-n", "public", "-T", "*.order_platform_migrations"]
      yield* run("pg_dump", ...options, "-d", from, "-f", file)
      yield* Effect.promise(async () => {
        const text = await readFile(file, "utf8")
        await writeFile(
          file,
          text.replaceAll(/^(COPY |ALTER TABLE |SELECT pg_catalog\.setval\(')public\./gm, "$1shop.")
        )
      })
      yield* run("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", file)
      yield* assertRestored(dump, "shop")
    }).pipe(Effect.scoped)
  )
})

describe("a renamed schema", () => {
  it.live("is refused at start in one sentence, and works when it is renamed back", () =>
    Effect.gen(function* () {
      const { query, url } = yield* ownServer()
      yield* Effect.provide(fillStores, storesOn(url, "old"))
      yield* query("ALTER SCHEMA old RENAME TO shop")
      const error = yield* Effect.flip(Effect.provide(fullCircle, storesOn(url, "shop")))
      assert.match(
        error.message,
        /^The database schema shop was renamed, and its functions still contain the old name: [^\n]*\.$/
      )
      yield* query("ALTER SCHEMA shop RENAME TO old")
      assert.deepStrictEqual(yield* Effect.provide(fullCircle, storesOn(url, "old")), everyWay)
    }).pipe(Effect.scoped)
  )
})
