import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import type { Stats } from "../domain/OrderQueries.ts"
import { OrderStatus } from "../domain/OrderStatus.ts"
import { Problems, temporary } from "./Problems.ts"
import { AcceptableAnswers, OperatorsOnly, RequestDecoding } from "./Middleware.ts"

/** The JSON of the statistics. */
export const StatsView = Schema.Struct({
  byStatus: Schema.Struct({
    PENDING: Schema.Int,
    PROCESSING: Schema.Int,
    PROCESSED: Schema.Int,
    FAILED: Schema.Int
  }),
  estimated: Schema.Array(OrderStatus).annotate({
    description: "The final states whose count is an estimate, because it is above 10,000."
  }),
  retrying: Schema.Int.annotate({ description: "PENDING after a failed attempt." }),
  deadLetters: Schema.Int,
  oldestDueAgeSeconds: Schema.Finite.annotate({
    description: "Seconds since the oldest due order became due; 0 if no order is due."
  }),
  createdPerSecond: Schema.Finite.annotate({ description: "In the last ten seconds." }),
  completedPerSecond: Schema.Finite.annotate({ description: "PROCESSED, in the last ten seconds." }),
  asOf: Schema.DateTimeUtcFromString,
  truncated: Schema.Boolean.annotate({
    description: "Whether the count of orders that are not final, or of dead letters, stopped at 100,000."
  })
}).annotate({ identifier: "Stats" })

/** The endpoint of the statistics, for operators. */
export const StatsApi = HttpApiGroup.make("stats")
  .add(
    HttpApiEndpoint.get("get", "/stats", {
      success: StatsView,
      error: temporary(Problems.OrdersUnavailable)
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Statistics of all orders",
        description:
          "Orders that are not final, and dead letters, are counted exactly up to 100,000 each. Refreshed at most once a second."
      })
    )
  )
  .middleware(RequestDecoding)
  .middleware(AcceptableAnswers)
  .middleware(OperatorsOnly)
  .annotateMerge(OpenApi.annotations({ title: "Stats", description: "Statistics of all orders." }))

const tenths = (value: number) => Math.round(value * 10) / 10

/** The statistics as JSON. */
export const viewStats = ({ oldestDueAge, ...stats }: Stats): typeof StatsView.Type => ({
  ...stats,
  oldestDueAgeSeconds: oldestDueAge === null ? 0 : Duration.toSeconds(oldestDueAge),
  createdPerSecond: tenths(stats.createdPerSecond),
  completedPerSecond: tenths(stats.completedPerSecond)
})
