import {
  Clock,
  Context,
  Effect,
  Exit,
  type Fiber,
  Layer,
  Metric,
  Random,
  References,
  Scheduler,
  Scope
} from "effect"
import { staleSettles } from "../../src/application/work/WorkMetrics.ts"
import { type AllStores, storesOf } from "../../src/testing/AllStores.ts"
import type { WakeUp } from "../../src/application/ports/WakeUp.ts"
import type { OrderId } from "../../src/domain/OrderId.ts"
import * as Memory from "../../src/infrastructure/memory/Memory.ts"
import { type Fact, groupLimits, type Line, type Plan } from "./Facts.ts"
import { Seed, SeededScheduler } from "./SeededScheduler.ts"
import { SimulatedTime } from "./SimulatedTime.ts"

/** The kinds of faults, of signals to processes, and cancels. */
export const faultKinds = [
  "crash",
  "crash of the api",
  "lost reply",
  "late claim",
  "failed before",
  "delay",
  "announcement lost",
  "announcement doubled",
  "freeze",
  "clock jump",
  "clean stop",
  "cancel",
  "poison row"
] as const
export type FaultKind = (typeof faultKinds)[number]

// One registry for all histories of a process, since creating all metrics takes longer than counting.
const metrics: Metric.MetricRegistry = new Map()

/** The number of stale settles counted so far in this process. */
export const countedStale = (): number =>
  Effect.runSync(Effect.provideService(Metric.value(staleSettles), Metric.MetricRegistry, metrics)).count

/** One process of the world: killing it ends its fibers, freezing it halts them. */
export interface SimulatedProcess {
  readonly name: string
  readonly kind: "worker" | "api"
  readonly scheduler: SeededScheduler
  /** Runs its transactions: freezes with the process, but outlives it long enough to roll back. */
  readonly connection: SeededScheduler
  readonly references: Context.Context<never>
  readonly connectionReferences: Context.Context<never>
  readonly transactions: Set<() => void>
  readonly scope: Scope.Closeable
  wakeUp: WakeUp["Service"] | null
  /** Builds its layers; a signal may arrive before that is done. */
  building: Fiber.Fiber<void> | null
  inFlight: Effect.Effect<number>
  freeSlots: number
  /** The number of orders that it stored or reprocessed, and that it announced. */
  stored: number
  announced: number
}

/** The simulated world: one seed, one clock, one store, its processes, and all facts. */
export class SimulatedWorld {
  readonly seed: Seed
  readonly time = new SimulatedTime()
  readonly schedulers: Array<SeededScheduler> = []
  readonly processes: Array<SimulatedProcess> = []
  readonly facts: Array<Fact> = []
  readonly ledger: Array<Line> = []
  readonly plans = new Map<OrderId, Plan>()
  /** Orders that make the store refuse the whole statement that contains them. */
  readonly poison = new Set<OrderId>()
  /** The orders that the store has stored. */
  readonly placed = new Set<OrderId>()
  readonly runs = new Map<OrderId, number>()
  readonly counts = new Map<string, number>()
  readonly rates: Readonly<Record<FaultKind, number>>
  readonly stores: AllStores
  readonly trace: Array<string> | null
  readonly maxQuantum: number
  readonly countedStaleBefore = countedStale()
  /** A hash of everything that happened, in order. */
  hash = 0x811c9dc5
  steps = 0
  faultsOver = false
  /** Until then no order is expired, as if other transactions had locked them. */
  lockedUntil = 0
  onDeath: (process: SimulatedProcess) => void = () => {}
  private readonly serverReferences: Context.Context<never>

  constructor(seed: number, rates: (seed: Seed) => Readonly<Record<FaultKind, number>>, traced: boolean) {
    this.seed = new Seed(seed)
    this.rates = rates(this.seed)
    this.maxQuantum = this.seed.pick([30, 200, 2000])
    this.trace = traced ? [] : null
    const server = new SeededScheduler(this.seed, Infinity)
    this.serverReferences = Context.make(Clock.Clock, this.time.clockOf(server))
    this.stores = this.statement(Effect.map(Effect.scoped(Layer.build(Memory.layerStores)), storesOf))
    for (const [group, limits] of Object.entries(groupLimits))
      this.statement(Effect.orDie(this.stores.control.setGroupLimits(group, { ...limits, maxPending: null })))
  }

  /** Runs a statement of the store in one piece, as a database would: its caller cannot interrupt it half-way. */
  statementExit<A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> {
    return Effect.runSyncExitWith(this.serverReferences)(effect)
  }
  statement<A>(effect: Effect.Effect<A>): A {
    return Effect.runSyncWith(this.serverReferences)(effect)
  }

  /** Recorded only for a history that is printed or compared, since most are not. */
  note(what: string): void {
    if (this.trace === null) return
    const text = `${this.time.now} ${what}`
    for (let n = 0; n < text.length; n++) this.hash = Math.imul(this.hash ^ text.charCodeAt(n), 0x01000193)
    this.trace.push(text)
  }
  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }
  /** Whether the seed injects this fault now. */
  injects(kind: FaultKind): boolean {
    return !this.faultsOver && this.seed.chance(this.rates[kind])
  }
  injected(kind: FaultKind, where: string): void {
    this.count(kind)
    this.note(`${kind}: ${where}`)
  }

  start(kind: SimulatedProcess["kind"], name: string): SimulatedProcess {
    const scheduler = new SeededScheduler(this.seed, this.maxQuantum)
    const connection = new SeededScheduler(this.seed, Infinity)
    this.schedulers.push(scheduler, connection)
    const process: SimulatedProcess = {
      name,
      kind,
      scheduler,
      connection,
      references: this.referencesOf(scheduler),
      connectionReferences: this.referencesOf(connection),
      transactions: new Set(),
      scope: Scope.makeUnsafe(),
      wakeUp: null,
      building: null,
      inFlight: Effect.succeed(0),
      freeSlots: 0,
      stored: 0,
      announced: 0
    }
    this.processes.push(process)
    this.note(`${name} starts`)
    return process
  }

  private referencesOf(scheduler: SeededScheduler): Context.Context<never> {
    return Context.make(Scheduler.Scheduler, scheduler).pipe(
      Context.add(Clock.Clock, this.time.clockOf(scheduler)),
      Context.add(Random.Random, {
        nextDoubleUnsafe: () => this.seed.next(),
        nextIntUnsafe: () => this.seed.between(0, 0x7fffffff)
      }),
      Context.add(Metric.MetricRegistry, metrics),
      Context.add(References.MinimumLogLevel, "None")
    )
  }

  /** kill -9: none of its fibers runs again, not even finalizers. The store rolls back its open transactions. */
  kill(process: SimulatedProcess): void {
    if (process.scheduler.dead) return
    process.scheduler.kill()
    for (const rollback of process.transactions) rollback()
    this.count("preemption", process.scheduler.preempted)
    for (const scheduler of [process.scheduler, process.connection])
      this.schedulers.splice(this.schedulers.indexOf(scheduler), 1)
    this.onDeath(process)
  }
  crash(process: SimulatedProcess, where: string): void {
    this.injected(process.kind === "worker" ? "crash" : "crash of the api", `${process.name} ${where}`)
    this.facts.push({ fact: "crashed", worker: process.name })
    this.kill(process)
  }
  /** SIGSTOP. */
  freeze(process: SimulatedProcess, millis: number): void {
    this.injected("freeze", process.name)
    process.scheduler.frozen = true
    process.connection.frozen = true
    this.disturb(process, millis)
    this.time.at(this.time.now + millis, () => this.thaw(process))
  }
  /** SIGCONT. */
  thaw(process: SimulatedProcess): void {
    process.scheduler.frozen = false
    process.connection.frozen = false
    this.note(`${process.name} is thawed`)
  }
  /** From now until then its heartbeat may be late. */
  disturb(process: SimulatedProcess, millis: number): void {
    this.facts.push({ fact: "disturbed", worker: process.name, until: this.time.now + millis })
  }
  living(kind: SimulatedProcess["kind"]): ReadonlyArray<SimulatedProcess> {
    return this.processes.filter((process) => process.kind === kind && !process.scheduler.dead)
  }
}
