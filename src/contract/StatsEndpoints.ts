import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import type { Stats } from "../domain/OrderQueries.ts"
import { OrderStatus } from "../domain/OrderStatus.ts"
import { Problems, temporary } from "./Problems.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"

/** The figures as callers see them. */
export const StatsView = Schema.Struct({
  byStatus: Schema.Struct({
    PENDING: Schema.Int,
    PROCESSING: Schema.Int,
    PROCESSED: Schema.Int,
    FAILED: Schema.Int
  }),
  estimated: Schema.Array(OrderStatus).annotate({
    description: "The final states whose number is an estimate, because there are more than 10,000."
  }),
  retrying: Schema.Int.annotate({ description: "PENDING after a failed attempt." }),
  deadLetters: Schema.Int,
  oldestDueAgeSeconds: Schema.Finite.annotate({
    description: "How long the order that is due longest has waited; 0 where none is due."
  }),
  createdPerSecond: Schema.Finite.annotate({ description: "In the last ten seconds." }),
  completedPerSecond: Schema.Finite.annotate({ description: "PROCESSED, in the last ten seconds." }),
  asOf: Schema.DateTimeUtcFromString,
  truncated: Schema.Boolean.annotate({
    description: "Whether a count of what is not final, or of dead letters, stopped at 100,000."
  })
}).annotate({ identifier: "Stats" })

/** Figures of all orders, whichever process took or processed them. */
export const StatsApi = HttpApiGroup.make("stats")
  .add(
    HttpApiEndpoint.get("get", "/stats", {
      success: StatsView,
      error: temporary(Problems.OrdersUnavailable)
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Figures of all orders",
        description:
          "What is not final, and the dead letters, are counted exactly up to 100,000 of each. Refreshed at most once a second, however many ask."
      })
    )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(OpenApi.annotations({ title: "Stats", description: "Figures of all orders." }))

const tenths = (value: number) => Math.round(value * 10) / 10

/** What callers see of the figures. */
export const viewStats = ({ oldestDueAge, ...stats }: Stats): typeof StatsView.Type => ({
  ...stats,
  oldestDueAgeSeconds: oldestDueAge === null ? 0 : Duration.toSeconds(oldestDueAge),
  createdPerSecond: tenths(stats.createdPerSecond),
  completedPerSecond: tenths(stats.completedPerSecond)
})
