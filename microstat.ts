// usage: node micro.ts CHECKOUT ROUNDS BATCH  -> µs of backend CPU an order for submit/claim/settle
import * as fs from "node:fs"
const checkout = process.argv[2]!, rounds = Number(process.argv[3] ?? 300), size = Number(process.argv[4] ?? 64)
const { startPostgres } = await import(`${checkout}/chaos/PostgresServer.ts`)
const { Effect, Layer, Duration, Redacted } = await import(`${checkout}/node_modules/effect/dist/index.js`)
const Postgres = await import(`${checkout}/src/infrastructure/postgres/Postgres.ts`)
const { allStores } = await import(`${checkout}/src/testing/AllStores.ts`)
const { newOrder } = await import(`${checkout}/src/testing/NewOrders.ts`)
const { SqlClient } = await import(`${checkout}/node_modules/effect/dist/sql/index.js`)
const dir = fs.mkdtempSync("/tmp/micro-"); fs.chmodSync(dir, 0o755)
const server = await startPostgres(dir, { settings: { shared_preload_libraries: "pg_stat_statements", "pg_stat_statements.track": "all", "pg_stat_statements.track_planning": "on" } })
const layer = Layer.provideMerge(Postgres.layerStores, Postgres.layerClient({ url: Redacted.make(server.url), maxConnections: 1, prepare: true, acquireTimeout: Duration.seconds(5), statementTimeout: Duration.seconds(15) }))
const cpu = (pid: number) => { const f = fs.readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" "); return Number(f[0]) / 1000 }
const program = Effect.gen(function* () {
  const s = yield* allStores
  const sql = yield* SqlClient.SqlClient
  const [{ pid }] = yield* sql`SELECT pg_backend_pid() AS pid`
  const lease = Duration.seconds(30)
  yield* sql`CREATE EXTENSION pg_stat_statements`; const out = { submit: [] as number[], claim: [] as number[], settle: [] as number[] }
  for (let n = 0; n < rounds; n++) {
    const orders = Array.from({ length: size }, () => newOrder())
    let a = cpu(pid); yield* s.intake.submit(orders); let b = cpu(pid); out.submit.push((b - a) / size)
    a = b; const c = yield* s.work.claim({ worker: "w", lease, max: size }); b = cpu(pid); out.claim.push((b - a) / size)
    if (c.orders.length !== size) throw new Error("claimed " + c.orders.length)
    a = b; yield* s.work.settle(c.orders.map((order: any) => ({ order, outcome: { event: "completed" } }))); b = cpu(pid); out.settle.push((b - a) / size)
  }
  const st = yield* sql.unsafe("SELECT calls::int, round(total_plan_time::numeric,1)::text plan, round(total_exec_time::numeric,1)::text exec, plans::int, left(regexp_replace(query, E'\\s+', ' ', 'g'), 150) q FROM pg_stat_statements WHERE calls>50 ORDER BY total_exec_time+total_plan_time DESC LIMIT 25"); for (const r of st) console.log(r.calls, "plans", r.plans, r.plan, "exec", r.exec, r.q); const med = (x: number[]) => x.slice(50).sort((p, q) => p - q)[Math.floor((x.length - 50) / 2)]!.toFixed(1)
  const hot = yield* sql`SELECT pg_stat_force_next_flush() IS NULL`.pipe(Effect.ignore)
  yield* Effect.sleep("1 second")
  const [h] = yield* sql`SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname='orders'`
  console.log(checkout.split("/").pop(), "submit", med(out.submit), "claim", med(out.claim), "settle", med(out.settle), "hot", h.n_tup_hot_upd, "/", h.n_tup_upd)
})
try { await Effect.runPromise(Effect.provide(program, layer)) } finally { await server.stop(); fs.rmSync(dir, { recursive: true, force: true }) }
