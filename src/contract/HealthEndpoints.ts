import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AcceptableAnswers, OperatorsOnly } from "./Middleware.ts"
import { Problems, temporary } from "./Problems.ts"

/** Whether the process serves, whether it should get requests, and its figures. */
export const HealthApi = HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("live", "/health/live", {
      success: Schema.Struct({ status: Schema.Literal("up") })
    }).annotateMerge(OpenApi.annotations({ summary: "Is the process alive" })),
    HttpApiEndpoint.get("ready", "/health/ready", {
      success: Schema.Struct({ status: Schema.Literal("ready") }),
      error: temporary(Problems.Unavailable)
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Should the process get requests",
        description: "503 with the reason while the database is away or the process drains."
      })
    ),
    HttpApiEndpoint.get("metrics", "/metrics", {
      success: Schema.String.pipe(
        HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
      )
    })
      .middleware(AcceptableAnswers)
      .middleware(OperatorsOnly)
      .annotateMerge(OpenApi.annotations({ summary: "Figures in Prometheus' text format" }))
  )
  .annotateMerge(
    OpenApi.annotations({ title: "Health", description: "For load balancers and orchestrators." })
  )
