import * as fs from "node:fs"
const checkout = "/work/main"
const { startPostgres } = await import(`${checkout}/chaos/PostgresServer.ts`)
const { Effect, Layer, Duration, Redacted } = await import(`${checkout}/node_modules/effect/dist/index.js`)
const Postgres = await import(`${checkout}/src/infrastructure/postgres/Postgres.ts`)
const { SqlClient } = await import(`${checkout}/node_modules/effect/dist/sql/index.js`)
const dir = fs.mkdtempSync("/tmp/micro-"); fs.chmodSync(dir, 0o755)
const server = await startPostgres(dir)
const layer = Layer.provideMerge(Postgres.layerStores, Postgres.layerClient({ url: Redacted.make(server.url), maxConnections: 1, prepare: true, acquireTimeout: Duration.seconds(5), statementTimeout: Duration.seconds(60) }))
const cpu = (pid: number) => Number(fs.readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1000
const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const [{ pid }] = yield* sql`SELECT pg_backend_pid() AS pid`
  const time = (name: string, stmt: string, vars = "") => Effect.gen(function* () {
    const body = `DO $$ DECLARE moment timestamptz := now(); n int; t timestamptz; b boolean; j jsonb; claimer text := 'w'; lease interval := '30 s'; turns text[] := array_fill(NULL::text, ARRAY[10]); r record; ${vars} BEGIN FOR n IN 1..3000 LOOP ${stmt} END LOOP; END $$`
    yield* sql.unsafe(body)
    const a = cpu(pid); yield* sql.unsafe(body); const b = cpu(pid)
    console.log(name.padEnd(30), ((b - a) / 3000).toFixed(1), "µs")
  })
  yield* time("nothing", "")

  for (const [name, sets] of [["none",""],["seqscan","SET enable_seqscan = off"],["jit","SET jit=off"],["plan","SET plan_cache_mode = force_generic_plan"],["hash","SET enable_hashjoin=off SET enable_mergejoin=off"]]) {
    yield* sql.unsafe(`CREATE FUNCTION f_${name}() RETURNS int LANGUAGE plpgsql ${sets} AS $$ BEGIN RETURN 1; END $$`)
    yield* time("f " + name, `n := f_${name}();`, "")
  }
  yield* time("workers", "UPDATE order_workers w SET lease_until = moment + lease, seen_at = moment WHERE w.id = claimer AND NOT w.is_expired;")
  yield* sql.unsafe("INSERT INTO order_workers (id, lease_until, started_at, seen_at) VALUES ('w', now(), now(), now())")
  yield* time("workers", "UPDATE order_workers w SET lease_until = moment + lease, seen_at = moment WHERE w.id = claimer AND NOT w.is_expired;")
  yield* sql.unsafe("VACUUM order_workers")
  yield* time("workers for update", "PERFORM FROM order_workers w WHERE w.id = claimer AND NOT w.is_expired FOR UPDATE;")
})
try { await Effect.runPromise(Effect.provide(program, layer)) } finally { await server.stop(); fs.rmSync(dir, { recursive: true, force: true }) }
