import type { Context } from "effect"
import type { OrderPlatform } from "../src/application/OrderPlatform.ts"
import { ControlStore } from "../src/application/ports/ControlStore.ts"
import { DeadLetterStore } from "../src/application/ports/DeadLetterStore.ts"
import { IntakeStore } from "../src/application/ports/IntakeStore.ts"
import { OrderReads } from "../src/application/ports/OrderReads.ts"
import { WorkStore } from "../src/application/ports/WorkStore.ts"
import type { OrderEventName } from "../src/domain/OrderEvent.ts"
import type { SqlFunction } from "../src/infrastructure/postgres/functions/Functions.ts"
import { cancelOrder } from "../src/infrastructure/postgres/functions/CancelOrder.ts"
import { claimOrders } from "../src/infrastructure/postgres/functions/ClaimOrders.ts"
import { expireLeases } from "../src/infrastructure/postgres/functions/ExpireLeases.ts"
import { pauseWorkers, resumeWorkers } from "../src/infrastructure/postgres/functions/PauseWorkers.ts"
import { runOrder } from "../src/infrastructure/postgres/functions/RunOrder.ts"
import { settleOrders } from "../src/infrastructure/postgres/functions/SettleOrders.ts"

/** One member of a port: its store and its name. */
interface PortMember {
  readonly store: Context.Key<never, Readonly<Record<string, unknown>>>
  readonly port: string
  readonly member: string
}

const member = <Self, S extends object>(
  store: Context.Key<Self, S>,
  member: keyof S & string
): PortMember => ({
  store: store as unknown as PortMember["store"],
  port: store.key.slice(store.key.lastIndexOf("/") + 1),
  member
})

/** One step of an order, under the same word from HTTP to SQL. Files are named below `src/`, each by its layer's room. */
export interface Verb {
  /** Endpoints of the contract, by group and name; none where only workers do it. */
  readonly endpoints: ReadonlyArray<string>
  /** The HTTP routes of the endpoints. */
  readonly routes: string | null
  /** The method of `OrderPlatform`. */
  readonly platform: keyof OrderPlatform<never> | null
  readonly application: string
  readonly port: PortMember
  readonly memory: string
  readonly postgres: string
  /** The verb whose file contains its statement; absent if it has a file of its own. */
  readonly shares?: string
  /** The SQL function that the statement calls. */
  readonly sqlFunction: SqlFunction | null
  /**
   * The events of its transition. Settle and expire also write `cancelled`, for an order whose cancel was requested.
   */
  readonly events: ReadonlyArray<OrderEventName>
}

/** Every verb, in the order of an order's life. The verb table of ARCHITECTURE.md. */
export const verbs = {
  submit: {
    endpoints: ["orders.submit", "orders.submitMany"],
    routes: "infrastructure/http/routes/SubmitRoutes.ts",
    platform: "submit",
    application: "application/intake/SubmitOrder.ts",
    port: member(IntakeStore, "submit"),
    memory: "infrastructure/memory/intake/MemoryIntakeStore.ts",
    postgres: "infrastructure/postgres/intake/SubmitOrders.ts",
    sqlFunction: null,
    events: ["created"]
  },
  claim: {
    endpoints: [],
    routes: null,
    platform: null,
    application: "application/work/ClaimOrders.ts",
    port: member(WorkStore, "claim"),
    memory: "infrastructure/memory/work/MemoryWorkStore.ts",
    postgres: "infrastructure/postgres/work/ClaimOrders.ts",
    sqlFunction: claimOrders,
    events: ["started"]
  },
  renew: {
    endpoints: [],
    routes: null,
    platform: null,
    application: "application/work/RenewLeases.ts",
    port: member(WorkStore, "renew"),
    memory: "infrastructure/memory/work/MemoryWorkStore.ts",
    postgres: "infrastructure/postgres/work/RenewLeases.ts",
    sqlFunction: null,
    events: []
  },
  expire: {
    endpoints: [],
    routes: null,
    platform: null,
    application: "application/work/ExpireLeases.ts",
    port: member(WorkStore, "expire"),
    memory: "infrastructure/memory/work/MemoryWorkStore.ts",
    postgres: "infrastructure/postgres/work/ExpireLeases.ts",
    sqlFunction: expireLeases,
    events: ["expired"]
  },
  settle: {
    endpoints: [],
    routes: null,
    platform: null,
    application: "application/work/SettleAttempts.ts",
    port: member(WorkStore, "settle"),
    memory: "infrastructure/memory/work/MemoryWorkStore.ts",
    postgres: "infrastructure/postgres/work/SettleOrders.ts",
    sqlFunction: settleOrders,
    events: ["completed", "retried", "failed", "snoozed"]
  },
  // A release is the settle of an attempt that did not end.
  release: {
    endpoints: [],
    routes: null,
    platform: null,
    application: "application/work/ReleaseOrders.ts",
    port: member(WorkStore, "settle"),
    memory: "infrastructure/memory/work/MemoryWorkStore.ts",
    postgres: "infrastructure/postgres/work/SettleOrders.ts",
    shares: "settle",
    sqlFunction: settleOrders,
    events: ["released"]
  },
  reprocess: {
    endpoints: ["deadLetters.reprocess"],
    routes: "infrastructure/http/routes/DeadLetterRoutes.ts",
    platform: "reprocess",
    application: "application/dead-letters/ReprocessOrder.ts",
    port: member(DeadLetterStore, "reprocess"),
    memory: "infrastructure/memory/dead-letters/MemoryDeadLetterStore.ts",
    postgres: "infrastructure/postgres/dead-letters/ReprocessOrder.ts",
    sqlFunction: null,
    events: ["reprocessed"]
  },
  discard: {
    endpoints: ["deadLetters.discard"],
    routes: "infrastructure/http/routes/DeadLetterRoutes.ts",
    platform: "discard",
    application: "application/dead-letters/DiscardOrder.ts",
    port: member(DeadLetterStore, "discard"),
    memory: "infrastructure/memory/dead-letters/MemoryDeadLetterStore.ts",
    postgres: "infrastructure/postgres/dead-letters/DiscardOrder.ts",
    sqlFunction: null,
    events: ["discarded"]
  },
  cancel: {
    endpoints: ["orders.cancel"],
    routes: "infrastructure/http/routes/OrderControlRoutes.ts",
    platform: "cancel",
    application: "application/control/CancelOrder.ts",
    port: member(ControlStore, "cancel"),
    memory: "infrastructure/memory/control/MemoryControlStore.ts",
    postgres: "infrastructure/postgres/control/CancelOrder.ts",
    sqlFunction: cancelOrder,
    events: ["cancelled"]
  },
  run: {
    endpoints: ["orders.run"],
    routes: "infrastructure/http/routes/OrderControlRoutes.ts",
    platform: "run",
    application: "application/control/RunOrder.ts",
    port: member(ControlStore, "run"),
    memory: "infrastructure/memory/control/MemoryControlStore.ts",
    postgres: "infrastructure/postgres/control/RunOrder.ts",
    sqlFunction: runOrder,
    events: ["hastened"]
  },
  pause: {
    endpoints: ["workers.pause"],
    routes: "infrastructure/http/routes/WorkerRoutes.ts",
    platform: "pause",
    application: "application/control/PauseWorkers.ts",
    port: member(ControlStore, "pause"),
    memory: "infrastructure/memory/control/MemoryControlStore.ts",
    postgres: "infrastructure/postgres/control/PauseWorkers.ts",
    sqlFunction: pauseWorkers,
    events: []
  },
  resume: {
    endpoints: ["workers.resume"],
    routes: "infrastructure/http/routes/WorkerRoutes.ts",
    platform: "resume",
    application: "application/control/ResumeWorkers.ts",
    port: member(ControlStore, "resume"),
    memory: "infrastructure/memory/control/MemoryControlStore.ts",
    postgres: "infrastructure/postgres/control/PauseWorkers.ts",
    shares: "pause",
    sqlFunction: resumeWorkers,
    events: []
  },
  watch: {
    endpoints: ["orders.watch"],
    routes: "infrastructure/http/routes/OrderRoutes.ts",
    platform: "watch",
    application: "application/watch/WatchOrder.ts",
    port: member(OrderReads, "eventsAfter"),
    memory: "infrastructure/memory/watch/MemoryOrderReads.ts",
    postgres: "infrastructure/postgres/watch/WatchOrder.ts",
    sqlFunction: null,
    events: []
  },
  explain: {
    endpoints: ["orders.explain"],
    routes: "infrastructure/http/routes/OrderRoutes.ts",
    platform: "explain",
    application: "application/watch/ExplainOrder.ts",
    port: member(OrderReads, "whyWaiting"),
    memory: "infrastructure/memory/watch/MemoryOrderReads.ts",
    postgres: "infrastructure/postgres/watch/ExplainOrder.ts",
    sqlFunction: null,
    events: []
  }
} as const satisfies Readonly<Record<string, Verb>>

const code = (names: ReadonlyArray<string>) => names.map((name) => `\`${name}\``).join(", ")

/**
 * The verbs as the Markdown table between the `verbs` markers of ARCHITECTURE.md. `calls` has the method and path of
 * each endpoint.
 */
export const verbTable = (calls: ReadonlyMap<string, string>): string =>
  [
    "| verb | room | HTTP | application | port | SQL | events |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...Object.entries<Verb>(verbs).map(
      ([verb, { application, endpoints, events, port, postgres, sqlFunction }]) => {
        const [, room = "", file = ""] = application.split("/")
        const cells = [
          code(endpoints.map((endpoint) => calls.get(endpoint) ?? endpoint)),
          code([file]),
          code([`${port.port}.${port.member}`]),
          code([sqlFunction?.name ?? postgres.split("/").slice(-2).join("/")]),
          code(events)
        ]
        return `| ${[verb, room, ...cells].join(" | ")} |`
      }
    )
  ].join("\n")
