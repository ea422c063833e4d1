import type { ExampleOrder } from "./OpenApiOrders.ts"
import { problemExamples } from "./ProblemExamples.ts"

// The same two orders throughout: one failed in its first attempt and waits for the second, the other failed permanently.
// A linter checks these JSON values against the schemas (npm run test:openapi).

const orderId = "01a20586-1e1c-764a-aee9-11cfc7017fe9"
const failedId = "01a20586-3aaf-7283-b0ef-0faff21652fc"
const worker = "shop-1:27995:6b47f3db"

const submitted = {
  type: "coffee",
  orderingKey: "table-12",
  group: "shop-7",
  priority: 5,
  maxRetries: 3,
  metadata: { shop: "7" }
}

const listed = {
  id: orderId,
  status: "PENDING",
  retryCount: 1,
  failureReason: "card declined",
  reasonCode: "PROCESSING_FAILED",
  createdAt: "2026-11-22T23:10:05.418Z",
  updatedAt: "2026-11-22T23:10:05.937Z",
  dueAt: "2026-11-22T23:10:06.958Z",
  ...submitted,
  correlationId: "8dae3fbe-76b1-4a93-aac8-e213770b486e",
  version: 3,
  discardedAt: null
}

const nothingElse = { worker: null, reason: null, reasonCode: null, detail: null }

const created = {
  at: "2026-11-22T23:10:05.418Z",
  event: "created",
  from: null,
  to: "PENDING",
  version: 1,
  attempt: 1,
  ...nothingElse
}

const started = {
  at: "2026-11-22T23:10:05.421Z",
  event: "started",
  from: "PENDING",
  to: "PROCESSING",
  version: 2,
  attempt: 1,
  ...nothingElse,
  worker
}

const retried = {
  at: "2026-11-22T23:10:05.937Z",
  event: "retried",
  from: "PROCESSING",
  to: "PENDING",
  version: 3,
  attempt: 1,
  ...nothingElse,
  worker,
  reason: "card declined",
  reasonCode: "PROCESSING_FAILED"
}

const deadLetter = {
  orderId: failedId,
  reason: "card declined",
  reasonCode: "PERMANENT",
  retryCount: 1,
  failedAt: "2026-11-22T23:10:13.165Z",
  fingerprint: "592bc8cd6f0b73e3"
}

const failureGroup = {
  fingerprint: deadLetter.fingerprint,
  reasonCode: deadLetter.reasonCode,
  type: "coffee",
  message: "card declined",
  count: 11,
  firstSeen: "2026-11-20T07:02:44.210Z",
  lastSeen: deadLetter.failedAt,
  sampleOrderId: failedId,
  versions: ["0.1.0"],
  state: "known"
}

const pause = {
  type: null,
  group: "shop-7",
  reason: "the machine is being cleaned",
  by: "ann",
  since: "2026-11-22T23:12:00.000Z",
  resumeAt: "2026-11-22T23:30:00.000Z"
}

const workers = {
  paused: false,
  pauses: [pause],
  typesWithoutWorker: ["invoice"],
  breakers: [{ type: "coffee", state: "open", since: "2026-11-22T23:11:58.000Z" }],
  processes: [
    {
      id: worker,
      host: "shop-1",
      version: "0.1.0",
      role: "worker",
      types: ["coffee"],
      inFlight: 12,
      capacity: 100,
      startedAt: "2026-11-22T08:00:00.000Z",
      seenAt: "2026-11-22T23:12:01.000Z",
      draining: false
    }
  ]
}

const limits = { maxRunning: 5, ratePerSecond: 2, maxPending: 1000 }

const failed = {
  ...retried,
  at: deadLetter.failedAt,
  event: "failed",
  to: "FAILED",
  reasonCode: deadLetter.reasonCode
}

/** The example of an operation's request body, with the type and payload that the app's schemas say. */
export const exampleOfRequest = (operationId: string, inSchema: ExampleOrder): object | undefined => {
  const order = { ...submitted, ...inSchema }
  const later = {
    ...(inSchema.type !== undefined && { type: inSchema.type }),
    notBefore: "2026-11-23T08:00:00Z"
  }
  switch (operationId) {
    case "orders.submit":
      return { example: order }
    case "orders.submitMany":
      return { example: { orders: [order, later] } }
    case "orders.cancel":
      return { example: { reason: "the guest has left" } }
    case "workers.pause":
      return {
        example: { group: pause.group, reason: pause.reason, resumeAt: pause.resumeAt }
      }
    case "workers.resume":
      return { example: { group: pause.group } }
    case "failureGroups.markFixed":
      return { example: { version: "0.1.1", reason: "the terminal was replaced" } }
    case "groups.set":
      return { example: limits }
    default:
      return undefined
  }
}

/** The example of the successful response of each operation, by operationId. */
export const examplesOfAnswers: Readonly<Record<string, { readonly example: unknown }>> = {
  "orders.submit": { example: { orderId } },
  "orders.submitMany": {
    example: { results: [{ orderId }, { problem: problemExamples["InvalidRequest"]?.value }] }
  },
  "orders.list": { example: { orders: [listed], nextCursor: null } },
  "orders.get": { example: { ...listed, payload: { drink: "espresso" } } },
  "orders.explain": {
    example: {
      events: [created, started, retried],
      explanation: "waiting until 2026-11-22T23:10:06.958Z after attempt 1 of 3 failed: card declined"
    }
  },
  "deadLetters.list": { example: [deadLetter] },
  "deadLetters.get": { example: { ...deadLetter, attempts: [failed] } },
  "deadLetters.reprocess": { example: { orderId: failedId } },
  "failureGroups.list": { example: [failureGroup] },
  "failureGroups.markFixed": { example: { ...failureGroup, state: "fixed" } },
  "orders.cancel": { example: { orderId } },
  "orders.run": { example: { orderId } },
  "workers.get": { example: workers },
  "workers.pause": { example: workers },
  "workers.resume": { example: { ...workers, pauses: [] } },
  "groups.list": { example: [{ group: "shop-7", ...limits }] },
  "groups.set": { example: { group: "shop-7", ...limits } },
  "audit.list": {
    example: [
      {
        at: pause.since,
        by: pause.by,
        action: "pause",
        subject: "group shop-7",
        reason: pause.reason,
        correlationId: "1b6f4a4e-4d0c-4c39-9d6c-2f6e7f1f9a55"
      }
    ]
  },
  "stats.get": {
    example: {
      byStatus: { PENDING: 3120, PROCESSING: 100, PROCESSED: 81_402, FAILED: 12 },
      estimated: ["PROCESSED"],
      retrying: 7,
      deadLetters: 11,
      oldestDueAgeSeconds: 1.4,
      createdPerSecond: 412.3,
      completedPerSecond: 409.8,
      asOf: "2026-11-22T23:10:14.000Z",
      truncated: false
    }
  },
  "health.live": { example: { status: "up" } },
  "health.ready": { example: { status: "ready" } },
  "health.metrics": {
    example: "# TYPE order_api_orders_created_total counter\norder_api_orders_created_total 81402\n"
  }
}

/** The event stream. OpenAPI 3.1 cannot describe the events of a stream, so it is text with an example. */
export const exampleStream = {
  schema: {
    type: "string",
    description:
      "Server-sent events (HTML Standard, 9.2). `id` is the version of the order, `event` the name of the event, `data` an OrderEvent as JSON. Lines that begin with a colon are comments."
  },
  example: [created, started]
    .map((it) => `id: ${it.version}\nevent: ${it.event}\ndata: ${JSON.stringify(it)}\n\n`)
    .join("")
}
