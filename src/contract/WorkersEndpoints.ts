import { DateTime, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { maxReasonLength } from "../domain/Failure.ts"
import { GroupName, TypeName } from "../domain/Lane.ts"
import { coversAll, type Pause } from "../domain/Pauses.ts"
import type { OpenBreaker, RegisteredWorker } from "../domain/Workers.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"
import { withOptionalBody } from "./openapi/OptionalBody.ts"
import { bodyProblems, Problems, temporary } from "./Problems.ts"
import { FutureTime } from "./TimeAhead.ts"

const scope = { type: Schema.NullOr(Schema.String), group: Schema.NullOr(Schema.String) }

/** A pause as JSON. */
export const PauseView = Schema.Struct({
  ...scope,
  reason: Schema.String,
  by: Schema.NullOr(Schema.String).annotate({ description: "The name of the key of the operator." }),
  since: Schema.DateTimeUtcFromString,
  resumeAt: Schema.NullOr(Schema.DateTimeUtcFromString).annotate({
    description: "When the pause ends by itself; null if only a resume ends it."
  })
}).annotate({
  identifier: "Pause",
  description: "Orders of this type and group are not started; null: of every type or group."
})

/** An open circuit breaker as JSON. */
export const BreakerView = Schema.Struct({
  type: Schema.String,
  state: Schema.Literals(["open", "half-open"]).annotate({
    description: "open: no order of the type is started. half-open: one may be started, as a probe."
  }),
  since: Schema.DateTimeUtcFromString
}).annotate({
  identifier: "Breaker",
  description:
    "Most attempts of this type failed, so a process starts one order of the type at a time, until an attempt completes."
})

/** A process that works on orders, as JSON. */
export const WorkerProcessView = Schema.Struct({
  id: Schema.String,
  host: Schema.String,
  version: Schema.String,
  role: Schema.String,
  types: Schema.NullOr(Schema.Array(Schema.String)).annotate({
    description: "The order types that it takes; null: every type."
  }),
  inFlight: Schema.Int.annotate({ description: "Running attempts." }),
  capacity: Schema.Int.annotate({ description: "The maximum number of concurrent attempts." }),
  startedAt: Schema.DateTimeUtcFromString,
  seenAt: Schema.DateTimeUtcFromString.annotate({ description: "Its last heartbeat." }),
  draining: Schema.Boolean.annotate({ description: "Whether it is stopping and takes no further orders." })
}).annotate({ identifier: "WorkerProcess" })

/** The response of `GET /worker`, and of a pause and a resume. */
export const WorkersView = Schema.Struct({
  paused: Schema.Boolean.annotate({ description: "Whether no order at all is started." }),
  pauses: Schema.Array(PauseView).annotate({ description: "The pauses in force, oldest first." }),
  typesWithoutWorker: Schema.Array(Schema.String).annotate({
    description: "The types of due orders that no process takes, by name; at most 100."
  }),
  breakers: Schema.Array(BreakerView).annotate({
    description:
      "The types whose circuit breaker is open in some process, by name: `open` if it is in one of them, with the earliest `since`."
  }),
  processes: Schema.Array(WorkerProcessView).annotate({
    description: "The processes whose lease has not ended, by start; at most 1000."
  })
}).annotate({ identifier: "Workers" })

const requested = {
  type: Schema.optionalKey(TypeName.annotate({ description: "Only orders of this type." })),
  group: Schema.optionalKey(GroupName.annotate({ description: "Only orders of this group." }))
}

/** The body of `POST /worker/pause`. */
export const PauseBody = Schema.Struct({
  reason: Schema.String.check(
    Schema.makeFilter((text: string) => text.trim() !== "" || "Expected a text that is not blank")
  ).annotate({
    description: `Shown in the explanation of each order that waits; cut at ${maxReasonLength} characters.`
  }),
  resumeAt: Schema.optionalKey(FutureTime),
  ...requested
}).annotate({ identifier: "PauseWorkers" })

/** The body of `POST /worker/resume`. */
export const ResumeBody = Schema.Struct(requested).annotate({ identifier: "ResumeWorkers" })

const changing = {
  success: WorkersView,
  error: [...bodyProblems, temporary(Problems.BodyBudgetExhausted, Problems.OrdersUnavailable)]
} as const

/** The endpoints of workers and pauses, for operators. */
export const WorkersApi = HttpApiGroup.make("workers")
  .add(
    HttpApiEndpoint.get("get", "/worker", {
      success: WorkersView,
      error: temporary(Problems.OrdersUnavailable)
    }).annotateMerge(
      OpenApi.annotations({ summary: "Read the pauses and the processes that work on orders" })
    ),
    HttpApiEndpoint.post("pause", "/worker/pause", { payload: PauseBody, ...changing }).annotateMerge(
      OpenApi.annotations({
        summary: "Start no orders: of all, of a type, of a group, or of a group within a type",
        description:
          "Holds in every process within 2 seconds, and until a resume or `resumeAt`. Running attempts are not affected. A pause of the same type and group is replaced."
      })
    ),
    HttpApiEndpoint.post("resume", "/worker/resume", {
      payload: [ResumeBody, HttpApiSchema.NoContent],
      ...changing
    }).annotateMerge(
      OpenApi.annotations({
        summary: "End a pause",
        description:
          "Ends the pause of exactly this type and group; without both, the one of all orders. Does nothing if there is no such pause. The body is optional.",
        transform: withOptionalBody
      })
    )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(
    OpenApi.annotations({ title: "Workers", description: "The processes that work on orders, and pauses." })
  )

const breakersOf = (processes: ReadonlyArray<RegisteredWorker>): ReadonlyArray<OpenBreaker> => {
  const byType = Map.groupBy(
    processes.flatMap(({ breakers }) => breakers),
    ({ type }) => type
  )
  return Array.from(byType, ([type, breakers]): OpenBreaker => ({
    type,
    state: breakers.some(({ state }) => state === "open") ? "open" : "half-open",
    since: breakers.map(({ since }) => since).reduce((a, b) => DateTime.min(a, b))
  })).sort((a, b) => (a.type < b.type ? -1 : 1))
}

/** The pauses and processes as JSON. */
export const viewWorkers = (
  pauses: ReadonlyArray<Pause>,
  typesWithoutWorker: ReadonlyArray<string>,
  processes: ReadonlyArray<RegisteredWorker>
): typeof WorkersView.Type => ({
  paused: pauses.some(coversAll),
  pauses,
  typesWithoutWorker,
  breakers: breakersOf(processes),
  processes
})
