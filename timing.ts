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
  yield* time("update workers", "UPDATE order_workers w SET lease_until = moment + lease, seen_at = moment WHERE w.id = claimer AND NOT w.is_expired;")
  yield* time("exists checks", "b := EXISTS (SELECT FROM order_key_checks) OR EXISTS (SELECT FROM order_lane_checks) OR EXISTS (SELECT FROM order_lanes l WHERE l.wake_at <= moment);")
  yield* time("pauses", "SELECT coalesce(p.resume_at, 'infinity') INTO t FROM order_pauses p WHERE p.type = '' AND p.group_name = '';")
  yield* time("next_due fn", "t := order_platform_next_due_v1(moment, true, null);")
  yield* time("next_lease", "SELECT extract(epoch FROM min(CASE WHEN w.is_expired THEN moment ELSE w.lease_until END) - moment) * 1000 FROM order_workers w INTO r;")
  yield* time("jsonb", "j := jsonb_build_object('chosen', null::uuid[], 'turns', turns, 'incomplete', b, 'x', 1.5, 'y', 1.5);")
  yield* time("claim fn empty", "PERFORM * FROM order_platform_claim_v1('w', '30 s', 100, null, null, null, turns, null, null);")
  yield* time("claim fn empty from", "FOR r IN SELECT * FROM order_platform_claim_v1('w', '30 s', 100, null, null, null, turns, null, null) c LOOP END LOOP;")
})
try { await Effect.runPromise(Effect.provide(program, layer)) } finally { await server.stop(); fs.rmSync(dir, { recursive: true, force: true }) }
