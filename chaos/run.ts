import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { type Fault, injectFaults, planFaults } from "./Faults.ts"
import { type ClientLog, clientOf } from "./Client.ts"
import { endAllPauses, setAllLimits, startControls } from "./Controls.ts"
import { defaultMaxRunning, settingsOfTypes } from "./Kinds.ts"
import { type Load, startLoad } from "./Load.ts"
import { type Finding, judge, longestUntil, unfinished } from "./Oracle.ts"
import { allServe, keepRunning, type OrderProcess, type Observations } from "./OrderProcesses.ts"
import { sideTablesThatDiffer } from "./Records.ts"
import { startPostgres } from "./PostgresServer.ts"
import { connect, type Sql } from "./Sql.ts"

// npm run chaos -- --seed 1 --minutes 5 --rate 200 [--synchronous-commit off] Runs two APIs and three workers under
// load with a fault every few seconds. Then an oracle that shares no code with the product checks the clients' log and
// the tables. Exits 1 if a promise was broken.

const leaseMs = 3000
const drainTimeoutMs = 3000

/**
 * After the load: waits while the number of orders that are not final decreases, at most this long without a decrease.
 */
const noProgressMs = 30_000
const settleMs = 300_000

const environment = (seed: string) => ({
  CHAOS_SEED: seed,
  LOG_FORMAT: "json",
  ORDER_QUEUE: "postgres",
  DATABASE_STATEMENT_TIMEOUT_MS: 3000,
  DATABASE_ACQUIRE_TIMEOUT_MS: 2000,
  ORDER_WORKER_LEASE_MS: leaseMs,
  ORDER_WORKER_DRAIN_TIMEOUT_MS: drainTimeoutMs,
  ORDER_WORKER_ATTEMPT_TIMEOUT_MS: 2000,
  ORDER_WORKER_CONCURRENCY: 20,
  ORDER_WORKER_PROCESSING_DELAY_MS: 20,
  ORDER_WORKER_FAILURE_PROBABILITY: 0.2,
  ORDER_WORKER_MAX_RETRIES: 4,
  ORDER_WORKER_RETRY_DELAY_MS: 100,
  ORDER_TYPES: JSON.stringify(settingsOfTypes),
  ORDER_GROUPS_MAX_RUNNING: defaultMaxRunning
})

interface Run {
  /** The server's default for synchronous_commit, which must make no difference. */
  readonly synchronousCommit: string
  readonly seed: string
  readonly minutes: number
  readonly rate: number
}

const number = (name: string, text: string, max: number) => {
  const value = Number(text)
  if (!(value > 0 && value <= max)) throw new Error(`--${name} is ${text}; it may be up to ${max}.`)
  return value
}

const readArguments = (): Run => {
  const { values } = parseArgs({
    options: {
      "synchronous-commit": { type: "string", default: "on" },
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "5" },
      rate: { type: "string", default: "200" }
    }
  })
  return {
    synchronousCommit: values["synchronous-commit"],
    seed: values.seed,
    minutes: number("minutes", values.minutes, 5),
    rate: number("rate", values.rate, 2000)
  }
}

const print = (line: string) => console.log(line)

const run = async (settings: Run): Promise<boolean> => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "order-platform-chaos-"))
  // PostgreSQL may run as another user and needs access to its subdirectory.
  await fs.chmod(directory, 0o755)
  const finalizers: Array<() => Promise<unknown>> = []
  let ended = false
  const end = async () => {
    if (ended) return
    ended = true
    for (const step of finalizers.reverse()) await step().catch(() => undefined)
  }
  let signalled = false
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      signalled = true
      void end()
        .then(() => fs.rm(directory, { recursive: true, force: true, maxRetries: 5 }))
        .finally(() => process.exit(130))
    })
  try {
    const passed = await withDirectory(directory, settings, finalizers)
    await end()
    if (passed) await fs.rm(directory, { recursive: true, force: true, maxRetries: 5 })
    else print(`The logs are in ${directory}.`)
    return passed
  } catch (error) {
    if (signalled) await sleep(60_000) // the signal handler ends the process
    throw error
  } finally {
    await end()
  }
}

const withDirectory = async (
  directory: string,
  { minutes, rate, seed, synchronousCommit }: Run,
  finalizers: Array<() => Promise<unknown>>
): Promise<boolean> => {
  const postgres = await startPostgres(directory, { settings: { synchronous_commit: synchronousCommit } })
  finalizers.push(() => postgres.stop())
  const sql = connect(postgres.url)
  finalizers.push(() => sql.close())
  print(
    `chaos: seed ${seed}, ${minutes} min, ${rate} orders/s; ${postgres.version}, synchronous_commit ${synchronousCommit}; logs in ${directory}`
  )

  const observations: Observations = {
    runs: [],
    killedByOrders: [],
    unexpectedExits: [],
    failedStarts: [],
    uncleanStops: [],
    errorsLogged: new Map()
  }
  const options = { directory, databasePort: postgres.port, observations, environment: environment(seed) }
  const processes: Array<OrderProcess> = []
  finalizers.push(() => Promise.all(processes.map(({ end }) => end())))
  const names = ["api-1", "api-2", "worker-1", "worker-2", "worker-3"]
  for (const name of names)
    processes.push(await keepRunning(name.startsWith("api") ? "api" : "worker", name, options))
  await allServe(processes, 60_000)
  await sql.query(
    `CREATE TABLE chaos_ledger (order_id uuid NOT NULL, attempt int NOT NULL, token text NOT NULL)`
  )

  const loadMs = minutes * 60_000
  const urls = processes.filter(({ kind }) => kind === "api").map(({ url }) => url)
  const client = clientOf(urls)
  finalizers.push(async () => client.close())
  await setAllLimits(client, seed)
  const began = Date.now()
  const load = startLoad(client, seed, rate)
  const controls = startControls(client, seed)
  const faults: Array<Fault> = []
  const plan = planFaults(seed, loadMs)
  const injecting = injectFaults(
    plan,
    { processes, postgres, sql, cleanStopWithinMs: drainTimeoutMs + 5000 },
    faults,
    () => Date.now() - began > loadMs
  )
  const reporting = setInterval(() => void progress(began, sql, client.log, load, faults), 5000)
  finalizers.push(async () => clearInterval(reporting))
  const looks: Looks = { taken: 0, different: [] }
  const looking = setInterval(() => void lookAtSideTables(sql, looks).catch(() => undefined), 10_000)
  finalizers.push(async () => clearInterval(looking))
  await sleep(loadMs)
  await load.stop()
  const loadTookMs = Date.now() - began
  await Promise.all([injecting, controls.stop()])
  await allServe(processes, 30_000)
  await endAllPauses(client)
  print("the load and the faults have ended; waiting until every order is final")

  await settled(sql)
  clearInterval(reporting)
  clearInterval(looking)
  const settledMs = Date.now() - began - loadTookMs
  const stale = await staleSettles(processes)
  // The tables must not change while they are checked, even if an order is not final.
  await Promise.all(processes.splice(0).map(({ end }) => end()))
  const timeOf = ({ from, kind, pid, to }: Fault) =>
    `${new Date(from).toISOString()} ${to - from} ms ${kind}${pid === null ? "" : ` (pid ${pid})`}\n`
  await fs.writeFile(path.join(directory, "faults.log"), faults.map(timeOf).join(""))

  const counts = await judgeRun({ sql, log: client.log, faults, observations, began })
  const findings: ReadonlyArray<Finding> = [
    ...counts,
    {
      what: `orders not in the side tables of their status, at ${looks.taken} looks during the run`,
      figure: looks.different.length,
      max: 0,
      examples: looks.different.slice(0, 5)
    },
    { what: "stale settles counted by the workers that run at the end", figure: stale },
    { what: "longest answer of an API", figure: client.log.slowestMs, unit: "ms" },
    { what: "from the end of the load until all orders were final", figure: settledMs, unit: "ms" }
  ]
  report(findings, faults, client.log, observations)
  print(
    `throughput: ${(client.log.accepted.length / (loadTookMs / 1000)).toFixed(0)} orders/s answered 202; load average of the machine ${os.loadavg()[0]?.toFixed(1)} on ${os.availableParallelism()} CPUs`
  )
  const broken = findings.filter(({ figure, max }) => max !== undefined && figure > max)
  print(broken.length === 0 ? "PASSED" : `FAILED: ${broken.map(({ what }) => what).join("; ")}`)
  return broken.length === 0
}

/** The results of the checks of the tables during the load. */
interface Looks {
  taken: number
  readonly different: Array<string>
}

/**
 * Each transition changes the side tables in its own transaction, so they must agree with the orders in every snapshot.
 */
const lookAtSideTables = async (sql: Sql, looks: Looks): Promise<void> => {
  const rows = await sql.query<object>(sideTablesThatDiffer())
  looks.taken++
  looks.different.push(...rows.map((row) => JSON.stringify(row)))
}

/** A slow machine may have a backlog when the load ends, as long as that decreases. */
const settled = async (sql: Sql): Promise<void> => {
  const began = Date.now()
  let fewest = Number.POSITIVE_INFINITY
  let progressAt = began
  while (Date.now() - progressAt < noProgressMs && Date.now() - began < settleMs) {
    const left = await unfinished(sql).catch(() => fewest)
    if (left === 0) return
    if (left < fewest) {
      fewest = left
      progressAt = Date.now()
    }
    await sleep(200)
  }
}

const progress = async (
  began: number,
  sql: Sql,
  log: ClientLog,
  load: Load,
  faults: ReadonlyArray<Fault>
) => {
  const rows = await sql
    .query<{ status: string; n: number }>(
      `SELECT status, count(*)::int AS n FROM orders GROUP BY status ORDER BY status`
    )
    .catch(() => [])
  const states = rows.map(({ n, status }) => `${status} ${n}`).join(", ")
  const last = faults.at(-1)
  const seconds = String(Math.round((Date.now() - began) / 1000)).padStart(3)
  print(
    `${seconds} s  answered ${log.accepted.length}, in flight ${load.inFlight()}; ${states || "the database is unavailable"}; ` +
      `${faults.length} faults${last === undefined ? "" : `, last: ${last.kind}`}`
  )
}

/** Only of running workers, because the counter ends with its process. */
const staleSettles = async (processes: ReadonlyArray<OrderProcess>) => {
  let sum = 0
  for (const { kind, url } of processes) {
    if (kind !== "worker") continue
    const page = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5000) })
      .then((answer) => answer.text())
      .catch(() => "")
    sum += Number(/^order_worker_stale_settles_total(?:\{[^}]*\})? (\d+)/m.exec(page)?.[1] ?? 0)
  }
  return sum
}

const crashing = [
  "kill -9 of a worker",
  "worker frozen past its lease",
  "network delayed",
  "connections silent"
]
// A lost reply, a reset and a clean stop do not count here: they must cost no attempt.
const mayExpireLeases = [...crashing, "connections refused"]
const databaseRestart = "PostgreSQL crashed and restarted"

/** How soon after a restart of PostgreSQL orders must be accepted and processed again. */
const maxRecoveryMs = 5000

const judgeRun = async (seen: {
  readonly sql: Sql
  readonly log: ClientLog
  readonly faults: ReadonlyArray<Fault>
  readonly observations: Observations
  readonly began: number
}): Promise<ReadonlyArray<Finding>> => {
  const { began, faults, log, sql, observations } = seen
  const restarts = faults.filter(({ kind }) => kind === databaseRestart)
  const isWorker = new Map(observations.runs.map(({ kind, pid }) => [pid, kind === "worker"]))
  const crashes = [
    ...faults.flatMap(({ from, kind, pid }) =>
      crashing.includes(kind) && pid !== null && isWorker.get(pid) === true ? [{ kind, pid, at: from }] : []
    ),
    ...observations.killedByOrders.map(({ at, pid }) => ({ kind: "order that killed its worker", pid, at }))
  ]
  const expirableTimes = [
    ...faults.filter(({ kind }) => mayExpireLeases.includes(kind)),
    ...restarts.map(({ from, to }) => ({ pid: null, from, to: to + 1000 })),
    ...observations.runs.flatMap(({ endedAt, pid }) =>
      endedAt === null || cleanlyStopped(pid, faults, observations)
        ? []
        : [{ pid, from: endedAt, to: endedAt }]
    )
  ]
  const availableMs = (from: number, to: number) => {
    let ms = 0
    const step = 20
    for (let at = from; at < to; at += step) {
      if (restarts.some((a) => a.from <= at && at <= a.to)) continue
      const someWorker = observations.runs.some(
        ({ endedAt, kind, pid, servesFrom }) =>
          kind === "worker" &&
          servesFrom !== null &&
          servesFrom <= at &&
          (endedAt === null || at < endedAt) &&
          !faults.some(
            (fault) => (fault.pid === null || fault.pid === pid) && fault.from <= at && at <= fault.to
          )
      )
      if (someWorker) ms += Math.min(step, to - at)
    }
    return ms
  }
  const findings = await judge(sql, {
    log,
    crashes,
    expirableTimes,
    availableMs,
    leaseMs,
    maxRestartMs: leaseMs + 2000
  })
  // A restart that another fault follows at once says nothing about recovery.
  const returns = restarts
    .map(({ to }) => to)
    .filter((to) => !restarts.some(({ from }) => from > to && from < to + maxRecoveryMs))
  const answeredAt = log.accepted.map(({ answeredAt }) => answeredAt).sort((a, b) => a - b)
  const untilAnswered = returns.map((to) => (answeredAt.find((at) => at >= to) ?? Infinity) - to)
  return [
    ...findings,
    {
      what: "answers that no client has to expect",
      figure: log.wrong.length,
      max: 0,
      examples: log.wrong.slice(0, 5)
    },
    { what: "503 without Retry-After", figure: log.withoutRetryAfter, max: 0 },
    { what: "orders that no API accepted within a minute", figure: log.gaveUp, max: 0 },
    {
      what: "processes that exited unexpectedly",
      figure: observations.unexpectedExits.length,
      max: 0,
      examples: observations.unexpectedExits.slice(0, 5)
    },
    {
      what: "starts that failed because the database restarted",
      figure: observations.failedStarts.length,
      examples: observations.failedStarts.slice(0, 3)
    },
    {
      what: "clean stops that took too long or failed",
      figure: observations.uncleanStops.length,
      max: 0,
      examples: observations.uncleanStops
    },
    {
      what: "longest from the restart of PostgreSQL to the next 202",
      figure: Math.max(0, ...untilAnswered),
      max: maxRecoveryMs,
      unit: "ms"
    },
    {
      what: "longest from the restart of PostgreSQL to the next start",
      figure: await longestUntil(sql, "started", returns),
      max: maxRecoveryMs,
      unit: "ms"
    },
    {
      what: "longest from the restart of PostgreSQL to the next completion",
      figure: await longestUntil(sql, "completed", returns),
      max: maxRecoveryMs,
      unit: "ms"
    },
    { what: "total seconds", figure: Math.round((Date.now() - began) / 1000) }
  ]
}

// A worker killed by an order just before the signal was not stopped by the signal.
const cleanlyStopped = (pid: number, faults: ReadonlyArray<Fault>, { killedByOrders }: Observations) =>
  faults.some((fault) => fault.kind === "clean stop of a worker" && fault.pid === pid) &&
  !killedByOrders.some((killed) => killed.pid === pid)

const report = (
  findings: ReadonlyArray<Finding>,
  faults: ReadonlyArray<Fault>,
  log: ClientLog,
  observations: Observations
) => {
  print("\n-- findings ------------------------------------------------------------------------")
  for (const { examples = [], figure, max, unit, what } of findings) {
    const bound = max === undefined ? "" : max === 0 ? "  must be 0" : `  at most ${max}`
    const verdict = max === undefined ? "      " : figure <= max ? "  ok  " : "BROKEN"
    print(
      `${verdict} ${String(figure).padStart(8)}${unit === undefined ? "  " : ` ${unit}`.slice(0, 3)} ${what}${bound}`
    )
    if (max === undefined || figure > max)
      for (const example of examples) print(`                    ${example}`)
  }
  const tally = (items: ReadonlyArray<string>) => {
    const counts = new Map<string, number>()
    for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
    return [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  }
  print("\n-- faults injected -----------------------------------------------------------------")
  for (const [kind, n] of tally([
    ...faults.map(({ kind }) => kind),
    ...observations.killedByOrders.map(() => "worker killed by an order")
  ]))
    print(`${String(n).padStart(15)} ${kind}`)
  print("\n-- answers -------------------------------------------------------------------------")
  for (const [what, n] of [...log.statuses].sort()) print(`${String(n).padStart(15)} ${what}`)
  if (observations.errorsLogged.size > 0) {
    print("\n-- logged as errors ----------------------------------------------------------------")
    for (const [what, n] of [...observations.errorsLogged].sort(([, a], [, b]) => b - a).slice(0, 15))
      print(`${String(n).padStart(15)} ${what}`)
  }
  print("")
}

run(readArguments()).then(
  (passed) => process.exit(passed ? 0 : 1),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
)
