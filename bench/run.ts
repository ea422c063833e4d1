import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { startPostgres } from "../chaos/PostgresServer.ts"
import { connect } from "../chaos/Sql.ts"
import { killAll } from "./Children.ts"
import { contenders } from "./Contenders.ts"
import { type Databases, databasesOf } from "./Databases.ts"
import { idle } from "./Idle.ts"
import { machine } from "./Machine.ts"
import type { Outcome } from "./Outcome.ts"
import { findPgbench, limit, type LimitFigures } from "./Pgbench.ts"
import { type Plan, planOf } from "./Plan.ts"
import { ratios, writeResults } from "./Results.ts"
import { type Figures, round } from "./Round.ts"
import { soak } from "./Soak.ts"
import { figure } from "./Statistics.ts"
import type { Cost, Phase } from "./Usage.ts"

// npm run bench -- [--quick] [--rounds 3] [--millions 5] Measures the platform, its peers and the limit on one
// PostgreSQL in turns (A B C, A B C), so that drift affects all of them.

const began = Date.now()
const print = (line: string) => {
  const seconds = Math.round((Date.now() - began) / 1000)
  console.log(
    `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, "0")}  ${line}`
  )
}

const wholeNumber = (name: string, text: string | undefined) => {
  if (text === undefined) return {}
  if (!/^\d{1,3}$/.test(text)) throw new Error(`--${name} is a whole number, not ${text}.`)
  return { [name]: Number(text) }
}

const readPlan = (): Plan => {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      millions: { type: "string" }
    }
  })
  const plan = planOf({
    quick: values.quick,
    ...wholeNumber("rounds", values.rounds),
    ...wholeNumber("millions", values.millions)
  })
  return { ...plan, rounds: Math.max(1, plan.rounds) }
}

const describedCosts = (figures: Figures, phase: Phase) => {
  const of = (what: Cost) => figure(figures[`${phase}${what}`] ?? NaN)
  return `${phase} costs ${of("Cpu")} µs (Node ${of("CpuNode")}, PostgreSQL ${of("CpuPostgres")}) and ${of("Wal")} B of WAL an order`
}

const described = (figures: Figures) =>
  [
    `${figure(figures.acceptedPerSecond)} accepted/s`,
    `p50 ${figure(figures.acceptP50)} p99 ${figure(figures.acceptP99)} ms`,
    figures.endToEndPerSecond !== undefined && `${figure(figures.endToEndPerSecond)} end to end/s`,
    figures.drainPerSecond !== undefined && `drain ${figure(figures.drainPerSecond)}/s`,
    figures.pickUpP50 !== undefined &&
      `pick-up ${figure(figures.pickUpP50)} / ${figure(figures.pickUpP99 ?? NaN)} ms`,
    figures.bulkPerSecond !== undefined && `bulks ${figure(figures.bulkPerSecond)}/s`,
    describedCosts(figures, "accept"),
    figures.drainWal !== undefined && describedCosts(figures, "drain"),
    `${figure(figures.rssLoaded)} MB`
  ]
    .filter(Boolean)
    .join(", ")

const measure = async (
  plan: Plan,
  databases: Databases,
  admin: ReturnType<typeof connect>,
  directory: string
) => {
  const all = contenders(plan.millions)
  const [product] = all
  if (product === undefined) throw new Error("There is no contender.")
  const pgbench = await findPgbench(directory)
  if (pgbench === null) print("pgbench is not installed: the limit is left out")
  const rounds = new Map<string, Array<Figures>>(all.map(({ name }) => [name, []]))
  const limits: Array<LimitFigures> = []
  for (let number = 1; number <= plan.rounds; number++) {
    print(`round ${number} of ${plan.rounds}`)
    for (const contender of all) {
      const figures = await round(contender, plan, databases, directory)
      rounds.get(contender.name)?.push(figures)
      print(`  ${contender.name}: ${described(figures)}`)
    }
    if (pgbench === null) continue
    const figures = await limit(pgbench, plan.pgbenchSeconds, product, databases, directory)
    limits.push(figures)
    print(
      `  pgbench: insert ${figure(figures.insertPerSecond)}/s, whole life ${figure(figures.lifePerSecond)}/s`
    )
  }
  print(`all idle for ${plan.idleMs / 1000} s`)
  const idleFigures = await idle(all, plan.idleMs, admin, databases, directory)
  print(`soak of ${plan.soakMs / 1000} s`)
  const soakFigures = await soak(product, plan.soakMs, plan.warmUpMs, databases, directory)
  print(`  ${figure(100 * soakFigures.hotShare)} % of the UPDATEs of orders are HOT`)
  return {
    plan,
    contenders: all,
    rounds,
    idle: idleFigures,
    limit: limits,
    soak: soakFigures
  } satisfies Outcome
}

const plan = readPlan()
const loadBefore = os.loadavg()[0] ?? 0
const directory = await fs.mkdtemp(path.join(os.tmpdir(), "order-platform-bench-"))
// PostgreSQL may run as another user and needs access to its subdirectory.
await fs.chmod(directory, 0o755)
const finalizers: Array<() => Promise<unknown>> = [() => fs.rm(directory, { recursive: true, force: true })]
let ending: Promise<void> | null = null
const end = () =>
  (ending ??= (async () => {
    killAll()
    for (const step of finalizers.toReversed()) await step().catch((error: unknown) => console.error(error))
  })())
const abort = (why: string, code: number) => {
  console.error(why)
  void end().finally(() => process.exit(code))
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => abort(`Stopped by ${signal}.`, 130))
setTimeout(() => abort("The time limit of the run is exceeded.", 1), plan.limitMs).unref()

try {
  if (loadBefore > 0.5)
    print(`The machine is busy (load average ${loadBefore.toFixed(1)}): the figures will be unreliable.`)
  const postgres = await startPostgres(directory)
  finalizers.push(() => postgres.stop())
  const admin = connect(postgres.url)
  finalizers.push(() => admin.close())
  print(`${postgres.version}, ${plan.name} run`)
  const outcome = await measure(plan, databasesOf(postgres.url, admin, directory, print), admin, directory)
  console.log(`\n${ratios(outcome)}\n`)
  print(`written to ${await writeResults(outcome, await machine(postgres.version, loadBefore))}`)
} catch (error) {
  if (ending === null) console.error(error)
  process.exitCode = 1
} finally {
  await end()
}
